//! The Memcached store on a real server.
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

mod bench;
mod conformance;
mod diagnose;
mod failure;
mod logins;
mod processes;
mod server_side;
