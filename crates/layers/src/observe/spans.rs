//! The span of a call and the events in it.

use stickystore_core::Operation;
use tracing::Instrument as _;
use tracing::field::Empty;

use super::call::Failure;

const TARGET: &str = "stickystore";

pub(super) struct Span(tracing::Span);

impl Span {
    pub(super) fn new(store: &'static str, operation: Operation, users: usize, items: usize) -> Self {
        let operation = operation.as_str();
        Self(
            tracing::info_span!(target: TARGET, "stickystore", store, operation, users, items, failed = Empty),
        )
    }

    pub(super) fn instrument<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        future.instrument(self.0.clone())
    }

    pub(super) fn inside<T>(&self, call: impl FnOnce() -> T) -> T {
        self.0.in_scope(call)
    }

    pub(super) fn damaged(&self, damaged: usize) {
        self.inside(|| tracing::warn!(target: TARGET, damaged, "damaged entries stand in the store"));
    }

    pub(super) fn failed(&self, failures: &[Failure]) {
        self.0.record("failed", failures.iter().map(|failure| failure.count).sum::<usize>());
        for Failure { first, count } in failures {
            let (kind, effect) = (first.kind().as_str(), first.effect().as_str());
            self.inside(
                || tracing::warn!(target: TARGET, kind, effect, count, error = %first, "answers failed"),
            );
        }
    }

    pub(super) fn dropped(&self) {
        self.inside(|| tracing::debug!(target: TARGET, "dropped before it was answered"));
    }
}
