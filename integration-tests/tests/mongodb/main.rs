//! The MongoDB store on real servers.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test asserts, and an assertion panics")]

mod bench;
mod conformance;
