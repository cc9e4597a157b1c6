//! What the integration tests share: stores that really wait, servers on demand, a proxy that misbehaves. The tests are
//! in `tests`.
//!
//! It also compiles the README's examples.

pub mod proxy;
pub mod server;
pub mod waiting;

/// The README, whose examples run as tests of this item.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
