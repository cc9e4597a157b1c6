//! An operation that runs where it is waited for, and goes on by itself for a while where nobody does any more.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use stickystore_core::Result;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

use crate::error;

/// Has to be polled inside a runtime; whoever drops it before its end lets it go on there, as a task, until its last moment.
pub(super) struct Work<T: Send + 'static> {
    /// Nothing after its end.
    rest: Option<Rest<T>>,
    until: Instant,
    home: Handle,
}

type Rest<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

impl<T: Send + 'static> Work<T> {
    pub(super) fn new(until: Instant, work: impl Future<Output = Result<T>> + Send + 'static) -> Self {
        // As it is: a future that waits for it would take twice as much again.
        Self { rest: Some(Box::pin(work)), until, home: Handle::current() }
    }

    /// It ends where it is.
    pub(super) fn end(&mut self) {
        self.rest = None;
    }
}

impl<T: Send + 'static> Future for Work<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        let Some(rest) = &mut self.rest else { return Poll::Ready(Err(error::lost())) };
        let polled = catch_unwind(AssertUnwindSafe(|| rest.as_mut().poll(context)));
        // A driver that panics is an answer, too.
        let polled = polled.unwrap_or_else(|_| Poll::Ready(Err(error::lost())));
        if polled.is_ready() {
            self.rest = None;
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Work<T> {
    fn drop(&mut self) {
        if let Some(rest) = self.rest.take() {
            self.home.spawn(timeout_at(self.until, rest));
        }
    }
}
