//! The cache: what it may keep, for how long, and what it must never hand out.
#![cfg(feature = "cache")]
#![expect(clippy::unwrap_used, reason = "tests assert")]

mod age;
mod at_hand;
mod conformance;
mod gate;
mod network;
mod preload;
mod races;
mod saves;
mod single_flight;
mod world;
