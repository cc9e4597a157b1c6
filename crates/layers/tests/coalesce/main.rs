//! Calls that go together: the whole suite through the layer, and each of its promises on a store that answers when told.
#![cfg(feature = "coalesce")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test asserts, and an assertion panics")]

mod answers;
mod bench;
mod conformance;
mod leaving;
mod order;
mod sizes;
mod times;
