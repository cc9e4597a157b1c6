//! The Redis store on a real server.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test asserts, and an assertion panics"
)]

mod bench;
mod conformance;
mod diagnose;
mod failure;
mod script;
mod server_side;
mod tls;
