//! Stores around stores: each layer takes a store and is one, so that they can stand around each other.
//!
//! A layer changes nothing of the contract: it forwards every method and every answer.
//!
//! | layer | feature |
//! |---|---|
//! | [`cache`]: what was read, kept in this process for a while | `cache` |
//! | [`coalesce`]: concurrent calls that go together | `coalesce` |
//! | [`resilience`]: one deadline, a budget of retries, a limit of what is under way | `resilience` |
//! | [`observe`]: spans, events, counters, histograms | `tracing`, `metrics` |
//! | [`write_behind`]: saves that do not wait for the store | `write-behind` |
//!
//! Without its feature a layer is not there, and costs nothing.

#[cfg(feature = "cache")]
pub mod cache;
#[cfg(feature = "coalesce")]
pub mod coalesce;
#[cfg(any(feature = "metrics", feature = "tracing"))]
pub mod observe;
#[cfg(feature = "resilience")]
pub mod resilience;
#[cfg(feature = "write-behind")]
pub mod write_behind;
