//! The Memcached store on a real server.
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

mod bench;
mod conformance;
mod failure;
mod logins;
mod server_side;
