//! Tells what a store does: a `tracing` span for each call, `metrics` counters and histograms.
//!
//! Neither ever has a user's id, a key or a value in it, on no level.
//!
//! # Spans and events (feature `tracing`)
//!
//! Target `stickystore`. Each call is a span `stickystore` on level INFO:
//!
//! | field | says |
//! |---|---|
//! | `store` | the store's scheme, as `redis` |
//! | `operation` | the method: `read`, `write`, `erase`, `scan`, `ping`, `diagnose`, `close` |
//! | `users` | how many users the call is about; 0 where it is about none |
//! | `items` | how many answers it gets: users, or changes |
//! | `failed` | how many of them are errors |
//!
//! A read that was [at hand](stickystore_core::AsyncStore::at_hand) has its span when it has ended.
//!
//! In it, an event on level WARN for each *kind* of error among the answers (fields `kind`, `effect`, `count`, and `error`,
//! the first of them), one for damaged entries that a read met (`damaged`), and one on level DEBUG for a call whose future was dropped.
//!
//! # Metrics (feature `metrics`)
//!
//! | name | kind | labels | counts |
//! |---|---|---|---|
//! | `stickystore_call_seconds` | histogram | `store`, `operation` | how long a call took |
//! | `stickystore_answers_total` | counter | `store`, `operation`, `answer` | answers: an outcome (`inserted`, `kept`, ..), `found` or `absent` of a read, `stood` or `absent` of an erase, `ok`, or the kind of an error (`timeout`, ..) |
//! | `stickystore_unknown_total` | counter | `store`, `operation` | changes and erases of which nobody knows whether they happened |
//! | `stickystore_damaged_entries_total` | counter | `store` | damaged entries that reads met |
//! | `stickystore_dropped_calls_total` | counter | `store`, `operation` | calls whose future was dropped before it was answered |
#![deny(clippy::missing_trait_methods)]

use std::time::Instant;

use stickystore_core::{
    AsyncScan, AsyncStore, AsyncStoreExt as _, Call, Cursor, Erase, Finding, Keys, Namespace, Operation,
    Outcome, Page, Profile, Read, Result, Scan, Store, StoreExt as _, StoreInfo, Subject, Write, async_trait,
};

mod call;
#[cfg(feature = "metrics")]
mod numbers;
#[cfg(not(feature = "metrics"))]
#[path = "observe/no_numbers.rs"]
mod numbers;
#[cfg(feature = "tracing")]
mod spans;
#[cfg(not(feature = "tracing"))]
#[path = "observe/no_spans.rs"]
mod spans;

use call::Observation;

/// An async store that tells what it does. Clones are as those of the store.
///
/// ```
/// use stickystore_core::{AsyncStore, Immediate, memory::MemoryStore};
/// use stickystore_layers::observe::AsyncObserved;
///
/// let store = AsyncObserved::new(Immediate::new(MemoryStore::new()));
/// assert_eq!(store.info().scheme, "memory");
/// ```
#[derive(Debug, Clone)]
pub struct AsyncObserved<S>(S);

/// A blocking store that tells what it does; the same as [`AsyncObserved`].
///
/// ```
/// use stickystore_core::{Store, memory::MemoryStore};
/// use stickystore_layers::observe::Observed;
///
/// let store = Observed::new(MemoryStore::new());
/// assert_eq!(store.info().scheme, "memory");
/// ```
#[derive(Debug, Clone)]
pub struct Observed<S>(S);

impl<S: AsyncStore> AsyncObserved<S> {
    /// Tells what this store does.
    pub fn new(store: S) -> Self {
        Self(store)
    }

    fn begin(&self, operation: Operation, users: usize, items: usize) -> Observation {
        Observation::begin(self.0.info().scheme, operation, users, items)
    }
}

impl<S: Store> Observed<S> {
    /// Tells what this store does.
    pub fn new(store: S) -> Self {
        Self(store)
    }

    fn begin(&self, operation: Operation, users: usize, items: usize) -> Observation {
        Observation::begin(self.0.info().scheme, operation, users, items)
    }
}

/// How many changes these writes have.
fn changes(writes: &[Write]) -> usize {
    writes.iter().map(|write| write.changes().len()).sum()
}

#[async_trait]
impl<S: AsyncStore> AsyncStore for AsyncObserved<S> {
    fn info(&self) -> &StoreInfo {
        self.0.info()
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        let seen = self.begin(Operation::Read, reads.len(), reads.len());
        let answers = seen.within(self.0.read(call, reads)).await;
        seen.read(answers)
    }

    /// What was at hand is a read that ended at once; where nothing was, there was no call.
    fn at_hand(&self, call: Call, subject: &Subject, keys: &Keys) -> Option<Result<Profile>> {
        let began = Instant::now();
        let answer = self.0.at_hand(call, subject, keys)?;
        let seen = Observation::since(began, self.0.info().scheme, Operation::Read, 1, 1);
        Some(seen.was_read(answer))
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let seen = self.begin(Operation::Write, writes.len(), changes(writes));
        let answers = seen.within(self.0.write(call, writes)).await;
        seen.written(answers)
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        let seen = self.begin(Operation::Erase, erases.len(), erases.len());
        let answers = seen.within(self.0.erase(call, erases)).await;
        seen.erased(answers)
    }

    async fn ping(&self, call: Call) -> Result<()> {
        let seen = self.begin(Operation::Ping, 0, 1);
        let answer = seen.within(self.0.ping(call)).await;
        seen.done(answer)
    }

    async fn close(&self, call: Call) -> Result<()> {
        let seen = self.begin(Operation::Close, 0, 1);
        let answer = seen.within(self.0.close(call)).await;
        seen.done(answer)
    }

    async fn diagnose(&self, call: Call) -> Vec<Finding> {
        let seen = self.begin(Operation::Diagnose, 0, 1);
        let findings = seen.within(self.0.diagnose(call)).await;
        seen.diagnosed(findings)
    }

    fn scan(&self) -> Option<&dyn AsyncScan> {
        self.0.scan().map(|_| self as &dyn AsyncScan)
    }
}

#[async_trait]
impl<S: AsyncStore> AsyncScan for AsyncObserved<S> {
    async fn scan_page(
        &self,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        let seen = self.begin(Operation::Scan, 0, 1);
        let page = seen.within(self.0.scan_users(call, namespace, cursor, limit)).await;
        seen.done(page)
    }
}

impl<S: Store> Store for Observed<S> {
    fn info(&self) -> &StoreInfo {
        self.0.info()
    }

    fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        let seen = self.begin(Operation::Read, reads.len(), reads.len());
        let answers = seen.inside(|| self.0.read(call, reads));
        seen.read(answers)
    }

    fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let seen = self.begin(Operation::Write, writes.len(), changes(writes));
        let answers = seen.inside(|| self.0.write(call, writes));
        seen.written(answers)
    }

    fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        let seen = self.begin(Operation::Erase, erases.len(), erases.len());
        let answers = seen.inside(|| self.0.erase(call, erases));
        seen.erased(answers)
    }

    fn ping(&self, call: Call) -> Result<()> {
        let seen = self.begin(Operation::Ping, 0, 1);
        let answer = seen.inside(|| self.0.ping(call));
        seen.done(answer)
    }

    fn close(&self, call: Call) -> Result<()> {
        let seen = self.begin(Operation::Close, 0, 1);
        let answer = seen.inside(|| self.0.close(call));
        seen.done(answer)
    }

    fn diagnose(&self, call: Call) -> Vec<Finding> {
        let seen = self.begin(Operation::Diagnose, 0, 1);
        let findings = seen.inside(|| self.0.diagnose(call));
        seen.diagnosed(findings)
    }

    fn scan(&self) -> Option<&dyn Scan> {
        self.0.scan().map(|_| self as &dyn Scan)
    }
}

impl<S: Store> Scan for Observed<S> {
    fn scan_page(
        &self,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        let seen = self.begin(Operation::Scan, 0, 1);
        let page = seen.inside(|| self.0.scan_users(call, namespace, cursor, limit));
        seen.done(page)
    }
}
