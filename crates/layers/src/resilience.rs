//! One deadline, one budget of retries, and a limit of what is under way at once.
//!
//! | what | how |
//! |---|---|
//! | deadline | of each call, retries and waiting included: the caller's own, or [`Config::with_deadline`] if that is sooner |
//! | retries | at most [`Config::with_retries`] for each call, each after a random wait; only while the budget of the handle lasts: every call puts a tenth of a retry into it, so that an outage makes a tenth more calls and not several times as many |
//! | limit | so many calls are under way at once ([`Config::with_limit`]); others wait, until their deadline |
//!
//! # What is sent again
//!
//! Only the failed items of a call, and only those that failed as `Unavailable` or `Timeout` with time left:
//!
//! | item | not applied | unknown |
//! |---|---|---|
//! | read, page of a scan | again | again |
//! | insert with an epoch, replace | again | again, under the same revision: it finds itself |
//! | put, remove, remove-if, insert that ignores erasures | again | never: between two attempts it could destroy what somebody else wrote, or answer wrongly |
//! | erase | again | again, as another attempt: it finds its own mark, and behind somebody else's it is told apart from the first |
//!
//! What may have been applied by one attempt stays unknown, however a further one failed.
//!
//! A change is not sent again if a later write of the same call names the same user and key: they take effect in their order.
//! `ping`, `diagnose` and `close` are sent once and wait for nobody.
//!
//! It needs tokio's timer.
//!
//! # Metrics (feature `metrics`)
//!
//! | name | kind | labels | counts |
//! |---|---|---|---|
//! | `stickystore_retries_total` | counter | `store`, `operation` | attempts after the first |
//! | `stickystore_retries_refused_total` | counter | `store`, `operation` | retries that were not made, as the budget was used up |
//! | `stickystore_crowded_total` | counter | `store`, `operation` | calls that got no place before their deadline |
#![deny(clippy::missing_trait_methods)]

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use stickystore_core::{
    AsyncScan, AsyncStore, AsyncStoreExt as _, Call, Cursor, Erase, Finding, Keys, Namespace, Operation,
    Outcome, Page, Profile, Read, Result, StoreInfo, Subject, Write, async_trait,
};

mod again;
mod budget;
mod config;
mod effort;
#[cfg(feature = "metrics")]
mod numbers;
#[cfg(not(feature = "metrics"))]
#[path = "resilience/no_numbers.rs"]
mod numbers;

use again::Pending;
pub use config::Config;
use effort::Effort;

/// An async store whose calls are limited, retried within reason, and ended by their deadline. Clones share limit and budget.
///
/// ```
/// use stickystore_core::{AsyncStore, Immediate, memory::MemoryStore};
/// use stickystore_layers::resilience::{Config, Resilient};
///
/// let store = Resilient::new(Immediate::new(MemoryStore::new()), &Config::new().with_retries(1));
/// assert_eq!(store.info().scheme, "memory");
/// ```
pub struct Resilient<S> {
    store: Arc<S>,
    effort: Arc<Effort>,
}

#[expect(clippy::missing_trait_methods, reason = "what the lint is for are the methods of stores")]
impl<S> Clone for Resilient<S> {
    fn clone(&self) -> Self {
        Self { store: Arc::clone(&self.store), effort: Arc::clone(&self.effort) }
    }
}

impl<S: AsyncStore> Resilient<S> {
    /// Limits and retries the calls of this store.
    pub fn new(store: S, config: &Config) -> Self {
        let effort = Effort::new(config, store.info().scheme);
        Self { store: Arc::new(store), effort: Arc::new(effort) }
    }

    /// The store.
    pub fn get_ref(&self) -> &S {
        &self.store
    }
}

#[async_trait]
impl<S: AsyncStore> AsyncStore for Resilient<S> {
    fn info(&self) -> &StoreInfo {
        self.store.info()
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        let mut pending = Pending::new(reads.to_vec(), |_, _| true);
        let mut tries = self.effort.begin(call, Operation::Read);
        while let Some(items) = pending.next(&mut tries).await {
            let answers = tries.attempt(items.len(), self.store.read(tries.call(), &items)).await;
            pending.answered(answers);
        }
        pending.answers()
    }

    /// It needs no place. What failed is read, within the budget.
    fn at_hand(&self, call: Call, subject: &Subject, keys: &Keys) -> Option<Result<Profile>> {
        self.store.at_hand(call, subject, keys).filter(Result::is_ok)
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let mut pending = again::Changes::new(writes);
        let mut tries = self.effort.begin(call, Operation::Write);
        while let Some(writes) = pending.next(&mut tries).await {
            let store = self.store.write(tries.call(), &writes);
            let answers = tries.attempt_writes(&writes, store).await;
            pending.answered(answers);
        }
        pending.answers()
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        let last: HashMap<_, _> = erases.iter().enumerate().map(|(at, erase)| (&erase.subject, at)).collect();
        let is_last = |at: usize, erase: &Erase| last.get(&erase.subject) == Some(&at);
        let mut pending = Pending::new(erases.to_vec(), is_last);
        let mut tries = self.effort.begin(call, Operation::Erase);
        let mut attempts = 0..;
        while let Some(items) = pending.next(&mut tries).await {
            let attempt = attempts.next().unwrap_or_default();
            let items: Vec<_> = items.into_iter().map(|erase| erase.attempt(attempt)).collect();
            let answers = tries.attempt(items.len(), self.store.erase(tries.call(), &items)).await;
            pending.answered(answers);
        }
        pending.answers()
    }

    async fn ping(&self, call: Call) -> Result<()> {
        self.store.ping(self.effort.shortened(call)).await
    }

    async fn close(&self, call: Call) -> Result<()> {
        self.store.close(call).await
    }

    async fn diagnose(&self, call: Call) -> Vec<Finding> {
        self.store.diagnose(call).await
    }

    fn scan(&self) -> Option<&dyn AsyncScan> {
        self.store.scan().map(|_| self as &dyn AsyncScan)
    }
}

#[async_trait]
impl<S: AsyncStore> AsyncScan for Resilient<S> {
    async fn scan_page(
        &self,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        // A page may take what its caller gives it: the configured deadline is for what users wait for.
        let mut tries = self.effort.begin_long(call, Operation::Scan);
        let mut pending = Pending::new(vec![()], |_, ()| true);
        while pending.next(&mut tries).await.is_some() {
            let page = async { vec![self.store.scan_users(tries.call(), namespace, cursor, limit).await] };
            let answers = tries.attempt(1, page).await;
            pending.answered(answers);
        }
        pending.answers().pop().unwrap_or_else(|| Err(tries.unanswered()))
    }
}

impl<S: fmt::Debug> fmt::Debug for Resilient<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resilient").field("store", &self.store).finish_non_exhaustive()
    }
}
