//! The embedded store from outside: the conformance suite, its file, and other processes.
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

mod conformance;
mod opening;
mod processes;
mod reopening;
mod scratch;
