//! What a store's calls tell: the whole suite through the layer, and each metric. Spans are told by a process of their own.
#![cfg(feature = "metrics")]
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

mod bench;
mod conformance;
mod numbers;
