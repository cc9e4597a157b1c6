//! The handle: flushing, reporting, shutting down. Queueing is in `enqueue`, the store's own face of it in `face`.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use stickystore_core::{AsyncStore, Call, Error, ErrorKind, Operation, Result, UnixMillis};
use tokio::task::JoinHandle;
use tokio::time::timeout_at;

use super::queue::{Phase, Queue};
use super::report::Report;
use super::settings::{Builder, wrong};
use super::tasks::{Left, OVERRUN, Shared};

/// A store with a queue before it; see the [module](super). Clones share the queue.
///
/// Dropping the last handle ends the tasks at once: what is still queued is left behind, and a `tracing` event and the metrics
/// say how much that was. [`shutdown`](Self::shutdown) first.
pub struct WriteBehind<S: AsyncStore>(Arc<Handle<S>>);

struct Handle<S: AsyncStore> {
    shared: Arc<Shared<S>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// How much is queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Depth {
    /// Users of whom something is queued.
    pub users: usize,
    /// Changes.
    pub changes: usize,
    /// Bytes, as [`Builder::max_bytes`] counts them.
    pub bytes: usize,
    /// Records that stand in the journal for nothing that is queued, and are to be taken out: of each, the journal never said
    /// whether it was written. Each counts as a change and 256 bytes against the bounds until then.
    pub unforgotten: usize,
    /// When the oldest was queued.
    pub oldest: Option<UnixMillis>,
}

impl<S: AsyncStore> WriteBehind<S> {
    /// A queue before this store, to be set up and started.
    pub fn over(store: S) -> Builder<S> {
        Builder::new(store)
    }

    pub(super) async fn start(builder: Builder<S>, call: Call) -> Result<Self> {
        let Builder { store, journal, bounds, when_full, times, clock, .. } = builder;
        let runtime = tokio::runtime::Handle::try_current();
        let runtime =
            runtime.map_err(|_| wrong("the queue lives on the caller's tokio runtime, and there is none"))?;
        let mut queue = Queue::new(store.info().scheme, bounds, times.linger, journal.is_some());
        if let Some(journal) = &journal {
            let found = journal.read(call).await?;
            queue.replay(found, clock.now(), times, Instant::now());
        }
        let queue = Mutex::new(queue);
        let (work, ink, changed) = Default::default();
        let info = store.info().clone().showing_queued();
        let journaling = journal.clone();
        let shared =
            Shared { store, info, journal: journaling, queue, times, when_full, clock, work, ink, changed };
        let shared = Arc::new(shared);
        let mut tasks = vec![runtime.spawn(Arc::clone(&shared).sending())];
        tasks.extend(journal.map(|journal| runtime.spawn(Arc::clone(&shared).recording(journal))));
        Ok(Self(Arc::new(Handle { shared, tasks: Mutex::new(tasks) })))
    }

    pub(super) fn shared(&self) -> &Shared<S> {
        &self.0.shared
    }

    /// Sends what is queued now without delay, waits until the store has judged it or the deadline has passed, and reports
    /// what became of everything since the last report.
    ///
    /// What could not be written by the deadline stays queued: [`Report::pending`]. A report is of the queue, not of a handle:
    /// what one has told, no other tells again.
    pub async fn flush(&self, call: Call) -> Report {
        let shared = self.shared();
        let until = {
            let mut queue = shared.queue();
            queue.hurry(Instant::now());
            queue.next_id
        };
        shared.wake();
        self.wait_until(call.deadline, |queue| queue.is_settled(until)).await;
        shared.queue().report()
    }

    /// What became of everything since the last report; waits for nothing.
    pub fn report(&self) -> Report {
        self.shared().queue().report()
    }

    /// How much is queued.
    pub fn depth(&self) -> Depth {
        let queue = self.shared().queue();
        Depth {
            users: queue.lanes.len(),
            changes: queue.changes,
            bytes: queue.bytes,
            unforgotten: queue.orphans,
            oldest: queue.oldest(),
        }
    }

    /// Takes nothing more, flushes until the deadline, ends the tasks, closes journal and store, and reports what was not
    /// written, entry by entry. When it answers, no task is left.
    ///
    /// What is in the journal stays there for the next start, and the report says so.
    pub async fn shutdown(&self, call: Call) -> Report {
        let (_, not_closed) = self.end(call).await;
        let mut report = self.report();
        report.not_closed = not_closed;
        report
    }

    /// Ends everything; what was left behind, and why something could not be closed. The report stays to be taken.
    pub(super) async fn end(&self, call: Call) -> (Left, Option<Error>) {
        let shared = self.shared();
        {
            let mut queue = shared.queue();
            if queue.phase == Phase::Open {
                queue.phase = Phase::Closing;
            }
            queue.hurry(Instant::now());
        }
        shared.wake();
        self.wait_until(call.deadline, |queue| queue.is_settled(u64::MAX)).await;
        let left = shared.abandon("the layer was closed");
        let tasks = std::mem::take(&mut *self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for mut task in tasks {
            if timeout_at(call.deadline.into(), &mut task).await.is_err() {
                task.abort();
                drop(task.await);
            }
        }
        // They are asked also when the time is up: closing takes none where nothing is under way.
        let call = call.with_deadline(call.deadline.max(Instant::now() + OVERRUN));
        let mut closed = Ok(());
        if let Some(journal) = &shared.journal {
            closed = journal.store.close(call).await;
        }
        (left, shared.store.close(call).await.and(closed).err())
    }

    /// Waits until this is true of the queue, or it is closed, or the deadline has passed; whether it is.
    pub(super) async fn wait_until(&self, deadline: Instant, mut is_so: impl FnMut(&Queue) -> bool) -> bool {
        let shared = self.shared();
        loop {
            let mut changed = std::pin::pin!(shared.changed.notified());
            changed.as_mut().enable();
            {
                let queue = shared.queue();
                if is_so(&queue) {
                    return true;
                }
                if queue.phase == Phase::Closed {
                    return false;
                }
            }
            if timeout_at(deadline.into(), changed).await.is_err() {
                return is_so(&shared.queue());
            }
        }
    }
}

impl<S: AsyncStore> Clone for WriteBehind<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: AsyncStore> fmt::Debug for WriteBehind<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteBehind")
            .field("store", &self.shared().store)
            .field("depth", &self.depth())
            .finish()
    }
}

impl<S: AsyncStore> Drop for Handle<S> {
    fn drop(&mut self) {
        if self.shared.queue().phase != Phase::Closed {
            self.shared.abandon("the last handle was dropped");
        }
        // Closed, they end by themselves; but not before what they wait for.
        for task in self.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }
}

pub(super) fn closed() -> Error {
    fail(ErrorKind::Closed, "the layer was closed, or its runtime has ended")
}

pub(super) fn fail(kind: ErrorKind, context: impl Into<String>) -> Error {
    Error::new(kind, context).with_origin("write-behind", Operation::Write)
}
