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
            let until = self.until;
            // Its clock is the runtime's, outside of which it may be dropped.
            self.home.spawn(async move { timeout_at(until, rest).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use futures::FutureExt as _;
    use tokio::runtime::Runtime;
    use tokio::sync::oneshot;

    use super::*;

    /// Longer than any of this takes.
    const LONG: Duration = Duration::from_secs(60);

    /// Waits for the first channel and then tells the second one.
    fn work(until: Instant) -> (Work<()>, oneshot::Sender<()>, mpsc::Receiver<()>) {
        let ((go, wait), (tell, told)) = (oneshot::channel(), mpsc::channel());
        let work = Work::new(until, async move {
            wait.await.unwrap();
            tell.send(()).unwrap();
            Ok(())
        });
        (work, go, told)
    }

    #[test]
    fn what_is_dropped_outside_of_its_runtime_goes_on_there() {
        let runtime = Runtime::new().unwrap();
        let (work, go, told) = runtime.block_on(async {
            let (mut work, go, told) = work(Instant::now() + LONG);
            assert!((&mut work).now_or_never().is_none());
            (work, go, told)
        });
        drop(work);
        go.send(()).unwrap();
        told.recv_timeout(LONG).unwrap();
    }

    #[test]
    fn what_has_ended_or_is_told_to_or_has_no_more_time_does_not_go_on() {
        let runtime = Runtime::new().unwrap();
        let (mut ended, _go, told) = runtime.block_on(async { work(Instant::now() + LONG) });
        ended.end();
        assert_eq!(told.recv(), Err(mpsc::RecvError));
        let (late, _go, told) = runtime.block_on(async { work(Instant::now()) });
        drop(late);
        assert_eq!(told.recv_timeout(LONG), Err(mpsc::RecvTimeoutError::Disconnected));
    }

    #[test]
    fn a_panic_is_an_answer() {
        let runtime = Runtime::new().unwrap();
        let answer = runtime.block_on(async {
            let parsed = "no number".parse::<u8>();
            Work::new(Instant::now() + LONG, async move { Ok(parsed.unwrap()) }).await
        });
        assert_eq!(answer.unwrap_err().effect(), stickystore_core::Effect::Unknown);
    }
}
