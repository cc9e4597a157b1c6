//! The two background tasks: one sends to the store, one writes to the journal. What they share with the handles.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stickystore_core::{AsyncStore, Call, Clock, Error, ErrorKind, Operation, Outcome, Result, StoreInfo};
use tokio::sync::Notify;
use tokio::time::timeout_at;

use super::journal::{Journal, Page};
use super::numbers;
use super::queue::{Batch, Next, Phase, Queue};
use super::settings::{Times, WhenFull};

const TARGET: &str = "stickystore";
/// A store ends a call within 100 ms of its deadline; one that does not is cut off.
pub(super) const OVERRUN: Duration = Duration::from_millis(200);

pub(super) struct Shared<S> {
    pub(super) store: S,
    pub(super) info: StoreInfo,
    pub(super) journal: Option<Journal>,
    pub(super) queue: Mutex<Queue>,
    pub(super) times: Times,
    pub(super) when_full: WhenFull,
    pub(super) clock: Arc<dyn Clock>,
    /// For the task that sends.
    pub(super) work: Notify,
    /// For the task that writes the journal.
    pub(super) ink: Notify,
    /// For all who wait for something to be settled, or for room.
    pub(super) changed: Notify,
}

impl<S: AsyncStore> Shared<S> {
    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        // A panic while the lock is held can only come from out of memory.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes everybody who may have something to do.
    pub(super) fn wake(&self) {
        self.work.notify_one();
        self.ink.notify_one();
        self.changed.notify_waiters();
    }

    fn call(&self) -> Call {
        Call::new(self.clock.now(), Instant::now() + self.times.attempt)
    }

    /// Sends what is queued, until the layer is closed.
    pub(super) fn sending(self: Arc<Self>) -> impl Future<Output = ()> + Send + use<S> {
        // Made here, so that it is dropped also with a task that never ran.
        let end = End(self);
        async move { end.0.send().await }
    }

    /// Writes the journal, until the layer is closed.
    pub(super) fn recording(self: Arc<Self>, journal: Journal) -> impl Future<Output = ()> + Send + use<S> {
        let end = End(self);
        async move { end.0.record(journal).await }
    }

    async fn send(&self) {
        loop {
            let next = {
                let mut queue = self.queue();
                if queue.phase == Phase::Closed {
                    return;
                }
                let next = queue.next(Instant::now(), self.clock.now());
                self.tell_depth(&queue);
                next
            };
            // Something may have been given up.
            self.ink.notify_one();
            self.changed.notify_waiters();
            match next {
                Next::Send(batch) => {
                    let answers = self.write(&batch).await;
                    self.queue().settle(batch, answers, Instant::now(), &self.times.backoff);
                }
                Next::Wait(at) => drop(timeout_at(at.into(), self.work.notified()).await),
                Next::Idle => self.work.notified().await,
            }
        }
    }

    async fn write(&self, batch: &Batch) -> Vec<Vec<Result<Outcome>>> {
        let call = self.call();
        let answers =
            timeout_at((call.deadline + OVERRUN).into(), self.store.write(call, &batch.writes)).await;
        let answers = answers.unwrap_or_else(|_| {
            let overran = || Err(overran(self.store.info().scheme));
            batch.writes.iter().map(|write| write.changes().iter().map(|_| overran()).collect()).collect()
        });
        let mut failed = answers.iter().flatten().filter_map(|answer| answer.as_ref().err());
        if let Some(error) = failed.next() {
            let (kind, count) = (error.kind().as_str(), 1 + failed.count());
            tracing::warn!(target: TARGET, kind, count, error = %error, "queued changes were not taken by the store");
        }
        answers
    }

    async fn record(&self, journal: Journal) {
        loop {
            let (page, rests) = {
                let mut queue = self.queue();
                if queue.phase == Phase::Closed {
                    return;
                }
                (queue.page(Instant::now()), queue.forget_rests)
            };
            match (page, rests) {
                (Some(page), _) => self.enter(&journal, page).await,
                (None, Some(rests)) => drop(timeout_at(rests.into(), self.ink.notified()).await),
                (None, None) => self.ink.notified().await,
            }
        }
    }

    async fn enter(&self, journal: &Journal, page: Page) {
        let call = self.call();
        let answers = timeout_at((call.deadline + OVERRUN).into(), journal.write(call, &page)).await;
        let answers = answers.unwrap_or_else(|_| page.refused(&overran(journal.store.info().scheme)));
        self.queue().journaled(page, answers, Instant::now(), &self.times.backoff);
        self.work.notify_one();
        self.changed.notify_waiters();
    }

    /// Leaves behind what is queued, and says so; how many changes that were.
    pub(super) fn abandon(&self, how: &'static str) -> Left {
        let left = {
            let mut queue = self.queue();
            queue.phase = Phase::Closed;
            let left = queue.leave_all();
            self.tell_depth(&queue);
            left
        };
        if left.changes > 0 {
            let (changes, unknown, journaled) = (left.changes, left.unknown, left.journaled);
            tracing::warn!(target: TARGET, changes, unknown, journaled, "{how} with changes queued that were not written");
        }
        self.wake();
        left
    }

    pub(super) fn tell_depth(&self, queue: &Queue) {
        let oldest = queue.oldest().map_or(Duration::ZERO, |oldest| self.clock.now().since(oldest));
        numbers::depth(queue.store, queue.changes, queue.bytes, oldest);
    }
}

/// What was left behind.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Left {
    pub(super) changes: usize,
    /// How many of them may have been applied.
    pub(super) unknown: usize,
    /// How many of them are in the journal.
    pub(super) journaled: usize,
}

/// Says so when a task ends by anything else than closing: its runtime has ended, or the store panicked.
struct End<S: AsyncStore>(Arc<Shared<S>>);

impl<S: AsyncStore> Drop for End<S> {
    fn drop(&mut self) {
        if self.0.queue().phase != Phase::Closed {
            self.0.abandon("the background task ended");
        }
    }
}

fn overran(scheme: &'static str) -> Error {
    Error::new(ErrorKind::Timeout, "the store did not answer by its deadline")
        .with_origin(scheme, Operation::Write)
}
