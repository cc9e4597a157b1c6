//! Without the feature `metrics` nothing is counted.

use std::time::Duration;

use stickystore_core::Operation;

pub(super) fn took(_: &'static str, _: Operation, _: Duration) {}

pub(super) fn answer(_: &'static str, _: Operation, _: &'static str) {}

pub(super) fn unknown(_: &'static str, _: Operation) {}

pub(super) fn damaged(_: &'static str, _: usize) {}

pub(super) fn dropped(_: &'static str, _: Operation) {}
