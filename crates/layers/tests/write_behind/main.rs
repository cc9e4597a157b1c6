//! Write-behind over a memory store with planted faults: what is queued, in which order it arrives, what is told of it.
#![cfg(feature = "write-behind")]
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

mod closing;
mod conformance;
mod erasing;
mod failing;
mod full;
mod journal;
mod model;
#[cfg(feature = "metrics")]
mod numbers;
mod planted;
mod queueing;
mod reading;
