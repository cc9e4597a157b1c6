//! Without the feature `tracing` a call has no span.

use stickystore_core::Operation;

use super::call::Failure;

pub(super) struct Span;

impl Span {
    pub(super) fn new(_: &'static str, _: Operation, _: usize, _: usize) -> Self {
        Self
    }

    pub(super) fn instrument<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        future
    }

    pub(super) fn inside<T>(&self, call: impl FnOnce() -> T) -> T {
        call()
    }

    pub(super) fn damaged(&self, _: usize) {}

    pub(super) fn failed(&self, _: &[Failure]) {}

    pub(super) fn dropped(&self) {}
}
