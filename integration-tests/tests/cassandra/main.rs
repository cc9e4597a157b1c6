//! The Cassandra store on a real node.
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

mod bench;
mod conformance;
mod diagnose;
mod failure;
mod round_trips;
mod secure;
mod server_side;
