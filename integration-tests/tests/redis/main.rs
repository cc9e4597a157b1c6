//! The Redis store on a real server.
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

mod bench;
mod conformance;
mod diagnose;
mod failure;
mod joined;
mod own;
mod processes;
mod round_trips;
mod script;
mod server_side;
mod tls;
mod wire_faults;
