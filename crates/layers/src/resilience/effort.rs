//! One call's attempts: its place, its time, its retries.

use std::time::{Duration, Instant};

use stickystore_core::{Call, Effect, Error, ErrorKind, Operation, Outcome, Result, Write};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{sleep, timeout_at};

use super::budget::Budget;
use super::config::Config;
use super::numbers;

/// How long after the deadline a store that should have ended by itself is cut off.
const OVERRUN: Duration = Duration::from_millis(50);

/// The longest wait before a retry.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// What all calls of a store share.
#[derive(Debug)]
pub(super) struct Effort {
    scheme: &'static str,
    deadline: Option<Duration>,
    retries: u32,
    wait: Duration,
    limit: usize,
    places: Semaphore,
    budget: Budget,
}

impl Effort {
    pub(super) fn new(config: &Config, scheme: &'static str) -> Self {
        let limit = config.limit.min(Semaphore::MAX_PERMITS);
        Self {
            scheme,
            deadline: config.deadline,
            retries: config.retries,
            wait: config.wait,
            limit,
            places: Semaphore::new(limit),
            budget: Budget::new(),
        }
    }

    /// The same call with the configured deadline, if that is sooner.
    pub(super) fn shortened(&self, call: Call) -> Call {
        let deadline = self.deadline.and_then(|deadline| Instant::now().checked_add(deadline));
        deadline.map_or(call, |deadline| call.with_deadline(deadline.min(call.deadline)))
    }

    pub(super) fn begin(&self, call: Call, operation: Operation) -> Tries<'_> {
        self.begin_long(self.shortened(call), operation)
    }

    /// A call that takes what time its caller gives it.
    pub(super) fn begin_long(&self, call: Call, operation: Operation) -> Tries<'_> {
        self.budget.earn();
        Tries { effort: self, call, operation, made: 0 }
    }
}

/// The attempts of one call.
pub(super) struct Tries<'a> {
    effort: &'a Effort,
    call: Call,
    operation: Operation,
    made: u32,
}

impl Tries<'_> {
    pub(super) fn call(&self) -> Call {
        self.call
    }

    /// Whether there was no attempt yet.
    pub(super) fn is_first(&self) -> bool {
        self.made == 0
    }

    /// Whether there is an attempt left, and time for it.
    pub(super) fn is_possible(&self) -> bool {
        self.is_first() || (self.made <= self.effort.retries && !self.call.remaining().is_zero())
    }

    /// Whether there may be another attempt after this one failed so.
    pub(super) fn is_passing(&self, error: &Error) -> bool {
        matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout)
    }

    /// Waits for the next attempt; false if there is none.
    pub(super) async fn next(&mut self) -> bool {
        let retry = self.made;
        self.made += 1;
        if retry == 0 {
            return true;
        }
        let wait = self.wait(retry);
        if retry > self.effort.retries || wait >= self.call.remaining() {
            return false;
        }
        if !self.effort.budget.pay() {
            numbers::refused(self.effort.scheme, self.operation);
            return false;
        }
        sleep(wait).await;
        numbers::retried(self.effort.scheme, self.operation);
        true
    }

    /// One attempt, in its place; each of so many items is answered.
    pub(super) async fn attempt<T>(
        &self,
        items: usize,
        attempt: impl Future<Output = Vec<Result<T>>>,
    ) -> Vec<Result<T>> {
        let answers = self.within(attempt).await;
        let answers = answers.unwrap_or_else(|error| again(&error, items));
        if answers.len() == items { answers } else { again(&self.miscounted(), items) }
    }

    /// [`attempt`](Self::attempt) of writes.
    pub(super) async fn attempt_writes(
        &self,
        writes: &[Write],
        attempt: impl Future<Output = Vec<Vec<Result<Outcome>>>>,
    ) -> Vec<Vec<Result<Outcome>>> {
        let all = |error: &Error| writes.iter().map(|write| again(error, write.changes().len())).collect();
        let answers = self.within(attempt).await.unwrap_or_else(|error| all(&error));
        let is_whole = answers.len() == writes.len()
            && answers.iter().zip(writes).all(|(answers, write)| answers.len() == write.changes().len());
        if is_whole { answers } else { all(&self.miscounted()) }
    }

    /// What an item is answered that nobody answered.
    pub(super) fn unanswered(&self) -> Error {
        self.fail(ErrorKind::Timeout, "the call ended before it was answered".to_owned())
    }

    async fn within<T>(&self, attempt: impl Future<Output = T>) -> Result<T> {
        let _place = self.place().await?;
        let cut = self.call.deadline.checked_add(OVERRUN).unwrap_or(self.call.deadline);
        let ended = timeout_at(cut.into(), attempt).await;
        ended.map_err(|_| self.fail(ErrorKind::Timeout, "the store did not end by the deadline".to_owned()))
    }

    /// A place among the calls that are under way.
    async fn place(&self) -> Result<Option<SemaphorePermit<'_>>> {
        if let Ok(place) = self.effort.places.try_acquire() {
            return Ok(Some(place));
        }
        match timeout_at(self.call.deadline.into(), self.effort.places.acquire()).await {
            // It is never closed.
            Ok(place) => Ok(place.ok()),
            Err(_) => {
                numbers::crowded(self.effort.scheme, self.operation);
                let context = format!(
                    "{} calls were under way, the most that are allowed, until the deadline",
                    self.effort.limit
                );
                Err(self.fail(ErrorKind::Timeout, context).with_effect(Effect::NotApplied))
            }
        }
    }

    /// Some time between none and twice as much as before.
    fn wait(&self, retry: u32) -> Duration {
        let factor = 1_u32.checked_shl(retry.saturating_sub(1)).unwrap_or(u32::MAX);
        let most = self.effort.wait.saturating_mul(factor).min(LONGEST_WAIT);
        let mut bytes = [0; 2];
        // Without random numbers the longest wait is as good as any.
        match getrandom::fill(&mut bytes) {
            Ok(()) => most.mul_f64(f64::from(u16::from_ne_bytes(bytes)) / f64::from(u16::MAX)),
            Err(_) => most,
        }
    }

    fn miscounted(&self) -> Error {
        let context = "the store gave another number of answers than was asked for";
        self.fail(ErrorKind::Unexpected, context.to_owned())
    }

    fn fail(&self, kind: ErrorKind, context: String) -> Error {
        Error::new(kind, context).with_origin(self.effort.scheme, self.operation)
    }
}

fn again<T>(error: &Error, count: usize) -> Vec<Result<T>> {
    (0..count).map(|_| Err(error.clone())).collect()
}
