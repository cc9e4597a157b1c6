//! A store whose calls are counted, and can be held up after they were done and before they are answered.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    AsyncScan, AsyncStore, AsyncStoreExt as _, Call, Cursor, Erase, Error, ErrorKind, Finding, Immediate,
    Namespace, Outcome, Page, Profile, Read, Result, StoreInfo, Write, async_trait,
};
use tokio::sync::Semaphore;

/// Clones are the same store.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    store: Immediate<MemoryStore>,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    reads: AtomicUsize,
    users: AtomicUsize,
    /// Answers pass one by one while it is closed.
    reading: Semaphore,
    writing: Semaphore,
    failing: Mutex<Option<Error>>,
    is_panicking: Mutex<bool>,
    at_gate: AtomicUsize,
}

/// More than any test lets pass.
const OPEN: usize = 1_000_000;

impl Gate {
    pub(crate) fn new(store: MemoryStore) -> Self {
        let state = State {
            reads: AtomicUsize::new(0),
            users: AtomicUsize::new(0),
            reading: Semaphore::new(OPEN),
            writing: Semaphore::new(OPEN),
            failing: Mutex::default(),
            is_panicking: Mutex::default(),
            at_gate: AtomicUsize::new(0),
        };
        Self { store: Immediate::new(store), state: Arc::new(state) }
    }

    /// How many reads there were, and of how many users.
    pub(crate) fn reads(&self) -> (usize, usize) {
        (self.state.reads.load(Ordering::SeqCst), self.state.users.load(Ordering::SeqCst))
    }

    /// From now on reads are done but not answered.
    pub(crate) fn hold_reads(&self) {
        self.state.reading.forget_permits(OPEN);
    }

    pub(crate) fn release_reads(&self) {
        self.state.reading.add_permits(OPEN);
    }

    /// From now on writes are done but not answered.
    pub(crate) fn hold_writes(&self) {
        self.state.writing.forget_permits(OPEN);
    }

    pub(crate) fn release_writes(&self) {
        self.state.writing.add_permits(OPEN);
    }

    /// Waits until so many calls are done and not answered.
    pub(crate) async fn held_up(&self, calls: usize) {
        while self.state.at_gate.load(Ordering::SeqCst) < calls {
            tokio::task::yield_now().await;
        }
    }

    /// From now on everything fails so; reads and writes are not even done.
    pub(crate) fn fail(&self, kind: Option<ErrorKind>) {
        *self.state.failing.lock().unwrap() = kind.map(|kind| Error::new(kind, "the gate is broken"));
    }

    /// From now on reads panic, or not.
    pub(crate) fn panic(&self, is_panicking: bool) {
        *self.state.is_panicking.lock().unwrap() = is_panicking;
    }

    fn failure(&self) -> Option<Error> {
        self.state.failing.lock().unwrap().clone()
    }

    async fn pass(&self, gate: &Semaphore) {
        self.state.at_gate.fetch_add(1, Ordering::SeqCst);
        let passed = gate.acquire().await.unwrap();
        self.state.at_gate.fetch_sub(1, Ordering::SeqCst);
        drop(passed);
    }
}

#[async_trait]
impl AsyncStore for Gate {
    fn info(&self) -> &StoreInfo {
        self.store.info()
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        self.state.reads.fetch_add(1, Ordering::SeqCst);
        self.state.users.fetch_add(reads.len(), Ordering::SeqCst);
        assert!(!*self.state.is_panicking.lock().unwrap(), "the gate was told to");
        if let Some(error) = self.failure() {
            return vec![Err(error); reads.len()];
        }
        let answers = self.store.read(call, reads).await;
        self.pass(&self.state.reading).await;
        answers
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        if let Some(error) = self.failure() {
            return writes.iter().map(|write| vec![Err(error.clone()); write.changes().len()]).collect();
        }
        let answers = self.store.write(call, writes).await;
        self.pass(&self.state.writing).await;
        answers
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        self.store.erase(call, erases).await
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
        Some(self)
    }
}

#[async_trait]
impl AsyncScan for Gate {
    async fn scan_page(
        &self,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        let page = self.store.scan_users(call, namespace, cursor, limit).await;
        self.pass(&self.state.reading).await;
        page
    }
}
