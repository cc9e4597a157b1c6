//! The Cassandra store on three nodes that keep everything three times: nodes that die, writers that meet.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test asserts, and an assertion panics"
)]

mod bench;
mod contention;
mod nodes;
