//! Without the feature `metrics` nothing is counted.

use stickystore_core::Operation;

pub(super) fn retried(_: &'static str, _: Operation) {}

pub(super) fn refused(_: &'static str, _: Operation) {}

pub(super) fn crowded(_: &'static str, _: Operation) {}
