//! What the integration tests share: stores that really wait, servers on demand, proxies that misbehave. The tests are in
//! `tests`.
//!
//! It also compiles the README's examples.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what tests stand on asserts, and an assertion panics"
)]

pub mod authority;
pub mod failing;
pub mod far;
pub mod meddler;
pub mod owned;
pub mod proxy;
pub mod racing;
pub mod resp;
pub mod server;
pub mod torture;
pub mod waiting;
pub mod words;

/// The README, whose examples run as tests of this item.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
