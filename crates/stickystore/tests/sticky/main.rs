//! The handle that most people use.
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

mod assign;
mod bench;
#[cfg(feature = "coalesce")]
mod coalescing;
mod opening;
mod overriding;
#[cfg(feature = "write-behind")]
mod write_behind;
