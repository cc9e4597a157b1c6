//! Without the feature `metrics` nothing is counted.

pub(super) fn hit(_: &'static str) {}

pub(super) fn missed(_: &'static str, _: usize) {}

pub(super) fn stale(_: &'static str) {}
