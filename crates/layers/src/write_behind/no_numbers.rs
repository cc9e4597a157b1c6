//! Without the feature `metrics` nothing is counted.

use std::time::Duration;

use stickystore_core::{Error, Outcome};

pub(super) fn queued(_: &'static str, _: usize) {}

pub(super) fn judged(_: &'static str, _: &Outcome) {}

pub(super) fn failed(_: &'static str, _: &Error) {}

pub(super) fn tried_again(_: &'static str) {}

pub(super) fn dropped(_: &'static str, _: &'static str, _: usize) {}

pub(super) fn refused(_: &'static str, _: &'static str) {}

pub(super) fn depth(_: &'static str, _: usize, _: usize, _: Duration) {}
