//! Deadline, retries and limit: what is sent again, and what never is.
#![cfg(feature = "resilience")]
#![expect(clippy::unwrap_used, reason = "tests assert")]

mod conformance;
mod faulty;
mod limits;
mod retries;
