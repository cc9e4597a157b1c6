//! What waits for the writer: jobs, the answer that each is owed, and whether its caller still wants it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use stickystore_core::{Call, Effect, Erase, ErrorKind, Operation, Outcome, Result, Write};

use crate::error::{closed, fail};
use crate::layout::Row;

/// How many jobs may wait. Each has a caller that waits for it, or gave it up while the disk hung: what callers
/// give up must not pile up without bound.
const MAX_WAITING: usize = 16_384;

/// How many jobs one transaction takes: enough for every caller that there can be, and an end to its memory.
const MAX_BATCH: usize = 1_024;

/// What is asked of the writer.
pub(crate) enum Ask {
    Write(Vec<Write>),
    Erase(Vec<Erase>),
    /// Everything that ended longer ago than the grace.
    Sweep,
    /// Any bytes in any row. For tests.
    Plant(Row, Vec<u8>),
    /// Nothing but an open file.
    Reopen,
    /// Waits until the other end is dropped: so that what waits behind it is seen together.
    #[cfg(test)]
    Hold(std::sync::mpsc::Receiver<()>),
    #[cfg(test)]
    Panic,
}

/// What the writer answers.
pub(crate) enum Answer {
    Write(Vec<Vec<Result<Outcome>>>),
    Erase(Vec<Result<bool>>),
    /// How many rows it was about.
    Done(u64),
}

/// Takes the answer to whoever waits for it. Dropped unused, it tells them that there is none.
pub(crate) type Reply = Box<dyn FnOnce(Result<Answer>) + Send>;

/// One caller's question.
pub(crate) struct Job {
    pub(crate) call: Call,
    pub(crate) operation: Operation,
    pub(crate) ask: Ask,
    pub(crate) ticket: Ticket,
    pub(crate) reply: Reply,
}

/// Whether a job was begun or given up, whichever came first.
#[derive(Debug, Clone)]
pub(crate) struct Ticket(Arc<AtomicU8>);

const WAITING: u8 = 0;
const BEGUN: u8 = 1;
const GIVEN_UP: u8 = 2;

impl Ticket {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU8::new(WAITING)))
    }

    /// The writer begins it; false if nobody wants it any more.
    pub(crate) fn begin(&self) -> bool {
        self.0.compare_exchange(WAITING, BEGUN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The caller gives it up: what it can know then about what the job does.
    pub(crate) fn give_up(&self) -> Effect {
        match self.0.compare_exchange(WAITING, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Effect::NotApplied,
            Err(_) => Effect::Unknown,
        }
    }
}

/// The jobs that wait, and whether more are taken.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// No more are taken.
    ending: bool,
    /// The writer is gone, and has let go of the file.
    ended: bool,
}

impl Queue {
    /// Lets a job wait for the writer.
    pub(crate) fn push(&self, job: Job) -> Result<()> {
        let mut state = self.lock();
        if state.ending || state.ended {
            return Err(closed(job.operation));
        }
        if state.jobs.len() >= MAX_WAITING {
            let context = format!("{MAX_WAITING} calls wait for the disk already");
            let error = fail(job.operation, ErrorKind::Unavailable, context);
            return Err(error.with_effect(Effect::NotApplied));
        }
        state.jobs.push_back(job);
        self.changed.notify_all();
        Ok(())
    }

    /// Waits for jobs and takes them, in their order; nothing once the queue has ended and is empty.
    pub(crate) fn take(&self) -> Option<Vec<Job>> {
        let mut state = self.lock();
        while state.jobs.is_empty() {
            if state.ending {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let count = state.jobs.len().min(MAX_BATCH);
        Some(state.jobs.drain(..count).collect())
    }

    /// Takes no more; what waits is still done.
    pub(crate) fn end(&self) {
        self.lock().ending = true;
        self.changed.notify_all();
    }

    /// The writer is gone: nothing waits any more.
    pub(crate) fn ended(&self) {
        let mut state = self.lock();
        state.ending = true;
        state.ended = true;
        let left = std::mem::take(&mut state.jobs);
        drop(state);
        self.changed.notify_all();
        drop(left);
    }

    /// Waits until the writer is gone; false if it is not by then.
    pub(crate) fn wait_ended(&self, until: Instant) -> bool {
        let mut state = self.lock();
        while !state.ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.lock().ending
    }

    /// How many jobs wait.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.lock().jobs.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}
