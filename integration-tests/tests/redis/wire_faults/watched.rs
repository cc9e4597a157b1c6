//! A Redis store behind a meddling proxy, which it tells of calls that are given up.
#![deny(clippy::missing_trait_methods)]

use std::sync::Arc;

use stickystore_core::{
    AsyncScan, AsyncStore, Call, Effect, Erase, Error, ErrorKind, Finding, Keys, Outcome, Profile, Read,
    Result, StoreInfo, Subject, Write, async_trait,
};
use stickystore_integration_tests::meddler::{Fault, Meddler};
use stickystore_redis::RedisStore;

/// The store; its proxy ends with the last clone.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    store: RedisStore,
    fault: Hidden,
    _meddler: Arc<Meddler>,
}

impl Watched {
    pub(super) fn new(store: RedisStore, fault: Arc<dyn Fault>, meddler: Meddler) -> Self {
        Self { store, fault: Hidden(fault), _meddler: Arc::new(meddler) }
    }

    /// Runs a call; what is dropped before it ends, or ends without an answer, was given up.
    async fn watch<T>(&self, call: impl Future<Output = T>, is_late: impl Fn(&T) -> bool) -> T {
        let mut under_way = UnderWay { fault: &self.fault, is_answered: false };
        let answer = call.await;
        under_way.is_answered = !is_late(&answer);
        answer
    }
}

struct UnderWay<'a> {
    fault: &'a Hidden,
    is_answered: bool,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.fault.0.given_up();
        }
    }
}

/// Shows nothing: a fault is no part of what a store's `Debug` is asked for.
#[derive(Clone)]
struct Hidden(Arc<dyn Fault>);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

#[async_trait]
impl AsyncStore for Watched {
    fn info(&self) -> &StoreInfo {
        self.store.info()
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        self.watch(self.store.read(call, reads), |answers| answers.iter().any(is_late)).await
    }

    fn at_hand(&self, call: Call, subject: &Subject, keys: &Keys) -> Option<Result<Profile>> {
        self.store.at_hand(call, subject, keys)
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        self.watch(self.store.write(call, writes), |answers| answers.iter().flatten().any(is_late)).await
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        self.watch(self.store.erase(call, erases), |answers| answers.iter().any(is_late)).await
    }

    async fn ping(&self, call: Call) -> Result<()> {
        self.watch(self.store.ping(call), is_late).await
    }

    async fn close(&self, call: Call) -> Result<()> {
        self.store.close(call).await
    }

    async fn diagnose(&self, call: Call) -> Vec<Finding> {
        self.store.diagnose(call).await
    }

    fn scan(&self) -> Option<&dyn AsyncScan> {
        self.store.scan()
    }
}

/// Whether the deadline has passed when something may have been sent.
fn is_late<T>(answer: &Result<T>) -> bool {
    let is_late = |error: &Error| error.kind() == ErrorKind::Timeout && error.effect() == Effect::Unknown;
    answer.as_ref().err().is_some_and(is_late)
}
