//! The handle that most people use.
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

mod assign;
mod bench;
#[cfg(feature = "coalesce")]
mod coalescing;
#[cfg(feature = "cache")]
mod counted;
mod layers;
mod opening;
mod overriding;
#[cfg(feature = "cache")]
mod preloading;
#[cfg(feature = "write-behind")]
mod write_behind;
