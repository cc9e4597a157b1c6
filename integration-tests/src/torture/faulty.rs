//! A store whose calls fail, are late, are answered to nobody, and land twice: faults for stores that have no wire.
#![deny(clippy::missing_trait_methods)]

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use stickystore_core::{
    AsyncScan, AsyncStore, Call, Change, Effect, Erase, Error, ErrorKind, Finding, Keys, Outcome, Profile,
    Read, Result, StoreInfo, Subject, Write,
};

use super::dice::Dice;

/// How late the second copy of a write lands at most, in milliseconds.
const LATE: u64 = 150;

/// How long a second copy may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What goes wrong, in a thousand calls each.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Rates {
    /// A call fails and was not applied.
    pub(crate) failed: u64,
    /// It takes longer, before or after.
    pub(crate) delayed: u64,
    /// It is applied, and its answer lost.
    pub(crate) cut: u64,
    /// A write lands a second time, late.
    pub(crate) duplicated: u64,
}

/// A store with faults.
pub(crate) struct Faulty {
    store: Arc<dyn AsyncStore>,
    rates: Rates,
    dice: Mutex<Dice>,
    hit: Arc<dyn Fn(&str) + Send + Sync>,
    is_off: AtomicBool,
}

impl Faulty {
    /// This store with these faults; each one that hits is told.
    pub(crate) fn new(
        store: Arc<dyn AsyncStore>,
        rates: Rates,
        seed: u64,
        hit: Arc<dyn Fn(&str) + Send + Sync>,
    ) -> Self {
        Self {
            store,
            rates,
            dice: Mutex::new(Dice::new(seed, u64::MAX)),
            hit,
            is_off: AtomicBool::new(false),
        }
    }

    /// No fault from now on.
    pub(crate) fn stop(&self) {
        self.is_off.store(true, Ordering::SeqCst);
    }

    fn happens(&self, rate: u64) -> bool {
        !self.is_off.load(Ordering::SeqCst) && self.dice.lock().unwrap().happens(rate)
    }

    /// Whether the call is to go on.
    async fn before(&self) -> Result<()> {
        if self.happens(self.rates.failed) {
            (self.hit)("failed");
            return Err(unavailable(Effect::NotApplied));
        }
        self.delay().await;
        Ok(())
    }

    /// Whether its answer is to come.
    async fn after(&self) -> Result<()> {
        self.delay().await;
        if self.happens(self.rates.cut) {
            (self.hit)("cut");
            return Err(unavailable(Effect::Unknown));
        }
        Ok(())
    }

    async fn delay(&self) {
        if self.happens(self.rates.delayed) {
            (self.hit)("delayed");
            let millis = self.dice.lock().unwrap().below(20);
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
    }

    fn duplicate(&self, call: Call, writes: &[Write], answers: &[Vec<Result<Outcome>>]) {
        // What was never sent is not there twice.
        let was_sent = |answer: &Result<Outcome>| {
            answer.as_ref().map_or_else(|error| error.effect() == Effect::Unknown, |_| true)
        };
        // What an operator removes is removed again, whatever stands there by then.
        let removes = |change: &Change| matches!(change, Change::Remove(_));
        if writes.iter().any(|write| write.changes().iter().any(removes)) {
            return;
        }
        if !answers.iter().flatten().all(was_sent) || !self.happens(self.rates.duplicated) {
            return;
        }
        let (store, writes, hit) = (Arc::clone(&self.store), writes.to_vec(), Arc::clone(&self.hit));
        let late = Duration::from_millis(self.dice.lock().unwrap().below(LATE));
        tokio::spawn(async move {
            tokio::time::sleep(late).await;
            let again = Call::new(call.now, Instant::now() + PATIENCE);
            if store.write(again, &writes).await.iter().flatten().any(Result::is_ok) {
                hit("duplicated");
            }
        });
    }
}

fn unavailable(effect: Effect) -> Error {
    Error::new(ErrorKind::Unavailable, "a fault of the torture run").with_effect(effect)
}

#[async_trait]
impl AsyncStore for Faulty {
    fn info(&self) -> &StoreInfo {
        self.store.info()
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        if let Err(error) = self.before().await {
            return vec![Err(error); reads.len()];
        }
        let answers = self.store.read(call, reads).await;
        match self.after().await {
            Ok(()) => answers,
            Err(error) => vec![Err(error); reads.len()],
        }
    }

    /// Every read may fail.
    fn at_hand(&self, _: Call, _: &Subject, _: &Keys) -> Option<Result<Profile>> {
        None
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let all = |error: &Error| {
            writes.iter().map(|write| vec![Err(error.clone()); write.changes().len()]).collect()
        };
        if let Err(error) = self.before().await {
            return all(&error);
        }
        let answers = self.store.write(call, writes).await;
        self.duplicate(call, writes, &answers);
        match self.after().await {
            Ok(()) => answers,
            Err(error) => all(&error),
        }
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        if let Err(error) = self.before().await {
            return vec![Err(error); erases.len()];
        }
        let answers = self.store.erase(call, erases).await;
        match self.after().await {
            Ok(()) => answers,
            Err(error) => vec![Err(error); erases.len()],
        }
    }

    async fn ping(&self, call: Call) -> Result<()> {
        self.store.ping(call).await
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

impl std::fmt::Debug for Faulty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faulty").field("rates", &self.rates).finish_non_exhaustive()
    }
}
