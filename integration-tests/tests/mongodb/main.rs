//! The MongoDB store on real servers.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test asserts, and an assertion panics"
)]

mod bench;
mod conformance;
mod damage;
mod diagnose;
mod effects;
mod failover;
mod failure;
mod pipeline;
mod processes;
mod round_trips;
mod server_side;
mod tls;
