//! The embedded store through the async API.

use std::fmt;

use stickystore_core::{
    AsyncScan, AsyncStore, Call, Cursor, Erase, ErrorKind, Finding, Keys, Namespace, Operation, Outcome,
    Page, Profile, Read, Result, Scan as _, Severity, Store as _, StoreInfo, Subject, Write, async_trait,
};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout_at;

use crate::config::Config;
use crate::error::{fail, panicked};
use crate::queue::{Answer, Ask, Ticket};
use crate::shared::gave_up;
use crate::store::{EmbeddedStore, erased, written};

/// A store in one file, through the async API. Clones share it; the last one flushes and closes it, which may hold
/// up the thread that drops it for as long as a sync takes: [`close`](AsyncStore::close) first to avoid that.
///
/// Reads run on tokio's blocking pool; writes wait, without a thread, for the one that writes. It is used inside a
/// tokio runtime whose time is enabled, and opened anywhere.
#[derive(Clone)]
pub struct AsyncEmbeddedStore(EmbeddedStore);

impl AsyncEmbeddedStore {
    /// Opens the file on the blocking pool; see [`EmbeddedStore::open`].
    ///
    /// # Errors
    /// As there.
    pub async fn open(config: Config) -> Result<Self> {
        on_pool(Operation::Open, move || EmbeddedStore::open(config)).await?.map(Self)
    }

    /// The async face of a store that is open.
    pub fn new(store: EmbeddedStore) -> Self {
        Self(store)
    }

    /// The blocking face.
    pub fn get_ref(&self) -> &EmbeddedStore {
        &self.0
    }

    /// Runs a call on the blocking pool, and waits for it until the deadline.
    async fn run<T: Send + 'static>(
        &self,
        call: Call,
        operation: Operation,
        run: impl FnOnce(&EmbeddedStore) -> T + Send + 'static,
    ) -> Result<T> {
        // Also what needs no pool, such as a closed store.
        self.0.shared().admit(call, operation)?;
        let store = self.0.clone();
        let running = on_pool(operation, move || run(&store));
        match timeout_at(call.deadline.into(), running).await {
            Ok(answer) => answer,
            Err(_) => {
                Err(fail(operation, ErrorKind::Timeout, "the deadline passed while the disk was at work"))
            }
        }
    }

    /// Asks the writer, and waits for its answer until the deadline.
    async fn ask(&self, call: Call, operation: Operation, ask: Ask) -> Result<Answer> {
        in_runtime(operation)?;
        let (sender, receiver) = oneshot::channel();
        // Nobody receives any more if the caller gave up.
        let reply = Box::new(move |answer| drop(sender.send(answer)));
        let ticket = self.0.shared().send(call, operation, ask, reply)?;
        // Also if this future is dropped.
        let wanted = Wanted(ticket);
        match timeout_at(call.deadline.into(), receiver).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(panicked(operation)),
            Err(_) => Err(gave_up(operation, wanted.0.give_up())),
        }
    }
}

/// Gives the job up when nobody waits any more; does nothing once it was begun.
struct Wanted(Ticket);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

fn in_runtime(operation: Operation) -> Result<Handle> {
    Handle::try_current().map_err(|error| {
        let context = "the async embedded store is used inside a tokio runtime";
        fail(operation, ErrorKind::Config, context).with_source(error)
    })
}

async fn on_pool<T: Send + 'static>(
    operation: Operation,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let mut running = Running(in_runtime(operation)?.spawn_blocking(run));
    (&mut running.0).await.map_err(|error| {
        if error.is_cancelled() {
            fail(operation, ErrorKind::Unavailable, "the runtime is shutting down")
        } else {
            panicked(operation)
        }
    })
}

/// Takes what has not begun out of the pool's queue when nobody waits any more, so that a disk that hangs piles
/// nothing up.
struct Running<T>(JoinHandle<T>);

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl AsyncStore for AsyncEmbeddedStore {
    fn info(&self) -> &StoreInfo {
        self.0.info()
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        if reads.is_empty() {
            return Vec::new();
        }
        let owned = reads.to_vec();
        self.run(call, Operation::Read, move |store| store.read(call, &owned))
            .await
            .unwrap_or_else(|error| vec![Err(error); reads.len()])
    }

    /// What is not in memory is read from the disk.
    fn at_hand(&self, _: Call, _: &Subject, _: &Keys) -> Option<Result<Profile>> {
        None
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        if writes.is_empty() {
            return Vec::new();
        }
        written(self.ask(call, Operation::Write, Ask::Write(writes.to_vec())).await, writes)
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        if erases.is_empty() {
            return Vec::new();
        }
        erased(self.ask(call, Operation::Erase, Ask::Erase(erases.to_vec())).await, erases)
    }

    async fn ping(&self, call: Call) -> Result<()> {
        self.run(call, Operation::Ping, move |store| store.ping(call)).await?
    }

    async fn close(&self, call: Call) -> Result<()> {
        // It ends by its own deadline; and it can be called again, which `run` would refuse.
        let store = self.0.clone();
        on_pool(Operation::Close, move || store.close(call)).await?
    }

    async fn diagnose(&self, call: Call) -> Vec<Finding> {
        self.run(call, Operation::Ping, move |store| store.diagnose(call)).await.unwrap_or_else(|error| {
            let mend = "see that the disk answers, then diagnose again";
            vec![Finding::new("no-diagnosis", Severity::Problem, error.to_string(), mend)]
        })
    }

    fn scan(&self) -> Option<&dyn AsyncScan> {
        Some(self)
    }
}

#[async_trait]
impl AsyncScan for AsyncEmbeddedStore {
    async fn scan_page(
        &self,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        let (namespace, cursor) = (namespace.clone(), cursor.cloned());
        let page = move |store: &EmbeddedStore| store.scan_page(call, &namespace, cursor.as_ref(), limit);
        self.run(call, Operation::Scan, page).await?
    }
}

impl fmt::Debug for AsyncEmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncEmbeddedStore").field(&self.0).finish()
    }
}
