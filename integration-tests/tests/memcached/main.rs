//! The Memcached store on a real server.
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

mod bench;
mod conformance;
mod diagnose;
mod failure;
mod liar;
mod logins;
mod own;
mod processes;
mod round_trips;
mod server_side;
