//! The handle that most people use.
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

mod assign;
mod bench;
mod layers;
mod opening;
mod overriding;
