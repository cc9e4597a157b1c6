//! A store that fails as it is told, before or after it did what it was asked.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    AsyncScan, AsyncStore, AsyncStoreExt as _, Call, Cursor, Effect, Entry, Erase, Error, ErrorKind, Expiry,
    Finding, Immediate, Key, Namespace, Outcome, Page, Profile, Read, Result, StoreInfo, Subject, UnixMillis,
    UserId, Value, Write, async_trait,
};
use tokio::sync::Semaphore;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is answered.
    None,
    /// It fails before anything was done, and says so.
    Before(ErrorKind),
    /// It is done, and fails as unknown.
    After,
    /// It never ends.
    Hang,
}

/// Clones are the same store.
#[derive(Debug, Clone)]
pub(crate) struct Faulty {
    pub(crate) memory: MemoryStore,
    store: Immediate<MemoryStore>,
    plan: Arc<Mutex<VecDeque<Fault>>>,
    attempts: Arc<AtomicUsize>,
    pub(crate) gate: Arc<Semaphore>,
    pub(crate) most: Arc<AtomicUsize>,
    under_way: Arc<AtomicUsize>,
}

impl Faulty {
    /// The next calls become of this, all further ones are answered.
    pub(crate) fn new(plan: impl IntoIterator<Item = Fault>) -> Self {
        let memory = MemoryStore::new();
        Self {
            store: Immediate::new(memory.clone()),
            memory,
            plan: Arc::new(Mutex::new(plan.into_iter().collect())),
            attempts: Arc::default(),
            gate: Arc::new(Semaphore::new(1_000)),
            most: Arc::default(),
            under_way: Arc::default(),
        }
    }

    pub(crate) fn plan(&self, plan: impl IntoIterator<Item = Fault>) {
        *self.plan.lock().unwrap() = plan.into_iter().collect();
    }

    /// How many calls there were.
    pub(crate) fn attempts(&self) -> usize {
        self.attempts.load(Ordering::SeqCst)
    }

    async fn begin(&self) -> Fault {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        let fault = self.plan.lock().unwrap().pop_front().unwrap_or(Fault::None);
        if fault == Fault::Hang {
            std::future::pending::<()>().await;
        }
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        drop(self.gate.acquire().await.unwrap());
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        fault
    }
}

fn fault(fault: Fault) -> Option<Error> {
    match fault {
        Fault::None | Fault::Hang => None,
        Fault::Before(kind) => Some(Error::new(kind, "told to fail").with_effect(Effect::NotApplied)),
        Fault::After => Some(Error::new(ErrorKind::Unavailable, "told to fail").with_effect(Effect::Unknown)),
    }
}

#[async_trait]
impl AsyncStore for Faulty {
    fn info(&self) -> &StoreInfo {
        self.store.info()
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        match fault(self.begin().await) {
            Some(error) => vec![Err(error); reads.len()],
            None => self.store.read(call, reads).await,
        }
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let told = self.begin().await;
        let answers = match told {
            Fault::Before(_) => Vec::new(),
            _ => self.store.write(call, writes).await,
        };
        match fault(told) {
            Some(error) => {
                writes.iter().map(|write| vec![Err(error.clone()); write.changes().len()]).collect()
            }
            None => answers,
        }
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        let told = self.begin().await;
        let answers = match told {
            Fault::Before(_) => Vec::new(),
            _ => self.store.erase(call, erases).await,
        };
        fault(told).map_or(answers, |error| vec![Err(error); erases.len()])
    }

    async fn ping(&self, call: Call) -> Result<()> {
        fault(self.begin().await).map_or(Ok(()), Err)?;
        self.store.ping(call).await
    }

    async fn close(&self, call: Call) -> Result<()> {
        self.store.close(call).await
    }

    async fn diagnose(&self, call: Call) -> Vec<Finding> {
        self.store.diagnose(call).await
    }

    fn scan(&self) -> Option<&dyn AsyncScan> {
        Some(self)
    }
}

#[async_trait]
impl AsyncScan for Faulty {
    async fn scan_page(
        &self,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        fault(self.begin().await).map_or(Ok(()), Err)?;
        self.store.scan_users(call, namespace, cursor, limit).await
    }
}

/// A call with time enough.
pub(crate) fn call() -> Call {
    Call::new(UnixMillis::new(1_700_000_000_000).unwrap(), Instant::now() + Duration::from_secs(60))
}

pub(crate) fn subject() -> Subject {
    Subject::new(Namespace::new("n").unwrap(), UserId::new("ann").unwrap())
}

pub(crate) fn key() -> Key {
    Key::new("k").unwrap()
}

pub(crate) fn entry(value: &str) -> Entry {
    Entry::new(Value::string(value), Expiry::Never)
}
