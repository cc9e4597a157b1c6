//! `Blocking`: the blocking face of any async store, for every place that a call can come from.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Runtime};

use crate::async_store::{AsyncStore, AsyncStoreExt};
use crate::call::{Call, Erase, Read, Write};
use crate::error::{Effect, Error, ErrorKind, Operation, Result};
use crate::id::Namespace;
use crate::info::{Finding, StoreInfo};
use crate::outcome::Outcome;
use crate::profile::Profile;
use crate::scan::{Cursor, Page};
use crate::store::{Scan, Store};

/// How long after the deadline a store that should have ended by itself is cut off.
const OVERRUN: Duration = Duration::from_millis(50);

/// The blocking face of an async store, on a runtime of its own.
///
/// It opens the store itself, on its own runtime: an async handle that lives on somebody else's runtime would
/// wait for the very thread that waits for it. Clones share store and runtime, which end with the last of them.
///
/// | called from | answer | how |
/// |---|---|---|
/// | a plain thread | the store's | the caller's thread runs the call |
/// | a task of a multi-thread runtime | the store's; the worker waits | handed over to the own runtime |
/// | a task of a current-thread runtime | the store's; that runtime waits | handed over |
/// | `spawn_blocking` | the store's | handed over |
/// | a `Drop`, on a thread or in a task | the store's | as there |
/// | a `Drop` of a thread-local, while its thread ends | the store's | handed over |
/// | after the caller's runtime has ended | the store's: the own runtime goes on | as there |
/// | after [`close`](Store::close), on any clone | [`ErrorKind::Closed`] | |
/// | a forked child | [`ErrorKind::Forked`]: the runtime's threads are not there | |
///
/// Never a panic and never a deadlock: where a store overruns its deadline, the answer is
/// [`ErrorKind::Timeout`], where it panics [`ErrorKind::Unexpected`], and its future is dropped.
///
/// What it costs, over the bare async call: see `examples/bridge_cost.rs`, which prints it.
///
/// ```
/// use std::time::Duration;
/// use stickystore_core::{Blocking, Call, Immediate, Store, SystemClock, memory::MemoryStore};
///
/// let store = Blocking::open(|| async { Ok(Immediate::new(MemoryStore::new())) })?;
/// store.ping(Call::within(&SystemClock, Duration::from_secs(1)))?;
/// # Ok::<(), stickystore_core::Error>(())
/// ```
pub struct Blocking<S: AsyncStore>(Arc<Inner<S>>);

struct Inner<S> {
    store: Arc<S>,
    /// Taken out only when it is dropped.
    runtime: Option<Runtime>,
    process: u32,
}

impl<S: AsyncStore> Blocking<S> {
    /// Builds a runtime and opens the store on it; returns when it is open, or could not be.
    ///
    /// # Errors
    /// What `open` answers; [`ErrorKind::Config`] if the process can have no more threads.
    pub fn open<F, Fut>(open: F) -> Result<Self>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<S>> + Send,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("stickystore")
            .enable_all()
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Config, "no thread for the blocking API").with_source(error)
            })?;
        let (sender, receiver) = sync_channel(1);
        runtime.spawn(async move {
            // The receiver waits for as long as this runs.
            let _ = sender.send(open().await);
        });
        let opened = receiver.recv();
        match opened {
            Ok(Ok(store)) => {
                let process = std::process::id();
                Ok(Self(Arc::new(Inner { store: Arc::new(store), runtime: Some(runtime), process })))
            }
            failed => {
                // Not an ordinary drop, which would panic where the caller is a task.
                runtime.shutdown_background();
                match failed {
                    Ok(Err(error)) => Err(error),
                    _ => Err(Error::new(ErrorKind::Unexpected, "opening the store panicked")
                        .with_effect(Effect::NotApplied)),
                }
            }
        }
    }

    /// Runs one call: `here` on this thread where that is allowed, else `there` on the own runtime.
    fn run<T, Fut>(
        &self,
        call: Call,
        operation: Operation,
        here: impl Future<Output = T>,
        there: impl FnOnce(Arc<S>) -> Fut,
    ) -> Result<T>
    where
        T: Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        let runtime = self.runtime(operation)?;
        let until = call.deadline + OVERRUN;
        let overrun = || self.fail(operation, ErrorKind::Timeout, "the store did not end by the deadline");
        let plain_thread = Handle::try_current().is_err_and(|error| error.is_missing_context());
        let panicked = || self.fail(operation, ErrorKind::Unexpected, "the store panicked");
        if plain_thread {
            let bounded = async { tokio::time::timeout_at(until.into(), here).await };
            // Nothing of ours is half done when the store's future panics: it is dropped, and with it what it held.
            let run = AssertUnwindSafe(|| runtime.block_on(bounded));
            return catch_unwind(run).map_err(|_| panicked())?.map_err(|_| overrun());
        }
        let (sender, receiver) = sync_channel(1);
        let future = there(Arc::clone(&self.0.store));
        let task = runtime.spawn(async move {
            // Nobody receives any more only after the overrun, which has its own answer.
            let _ = sender.send(future.await);
        });
        match receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(answer) => Ok(answer),
            Err(RecvTimeoutError::Timeout) => {
                task.abort();
                Err(overrun())
            }
            Err(RecvTimeoutError::Disconnected) => Err(panicked()),
        }
    }

    fn runtime(&self, operation: Operation) -> Result<&Runtime> {
        match &self.0.runtime {
            Some(runtime) if self.0.process == std::process::id() => Ok(runtime),
            _ => Err(self.fail(
                operation,
                ErrorKind::Forked,
                "this handle belongs to the parent process; open the store again in the child",
            )),
        }
    }

    fn fail(&self, operation: Operation, kind: ErrorKind, context: &'static str) -> Error {
        Error::new(kind, context).with_origin(self.0.store.info().scheme, operation)
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: AsyncStore> Store for Blocking<S> {
    fn info(&self) -> &StoreInfo {
        self.0.store.info()
    }

    fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        let owned = || reads.to_vec();
        self.run(call, Operation::Read, self.0.store.read(call, reads), |store| {
            let reads = owned();
            async move { store.read(call, &reads).await }
        })
        .unwrap_or_else(|error| vec![Err(error); reads.len()])
    }

    fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let owned = || writes.to_vec();
        self.run(call, Operation::Write, self.0.store.write(call, writes), |store| {
            let writes = owned();
            async move { store.write(call, &writes).await }
        })
        .unwrap_or_else(|error| {
            writes.iter().map(|write| vec![Err(error.clone()); write.changes().len()]).collect()
        })
    }

    fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        let owned = || erases.to_vec();
        self.run(call, Operation::Erase, self.0.store.erase(call, erases), |store| {
            let erases = owned();
            async move { store.erase(call, &erases).await }
        })
        .unwrap_or_else(|error| vec![Err(error); erases.len()])
    }

    fn ping(&self, call: Call) -> Result<()> {
        let there = |store: Arc<S>| async move { store.ping(call).await };
        self.run(call, Operation::Ping, self.0.store.ping(call), there)?
    }

    fn close(&self, call: Call) -> Result<()> {
        let there = |store: Arc<S>| async move { store.close(call).await };
        self.run(call, Operation::Close, self.0.store.close(call), there)?
    }

    fn diagnose(&self, call: Call) -> Vec<Finding> {
        let there = |store: Arc<S>| async move { store.diagnose(call).await };
        self.run(call, Operation::Ping, self.0.store.diagnose(call), there).unwrap_or_else(|error| {
            let mend = "see that the server answers, then diagnose again";
            vec![Finding::new("no-diagnosis", crate::Severity::Problem, error.to_string(), mend)]
        })
    }

    fn scan(&self) -> Option<&dyn Scan> {
        self.0.store.scan().map(|_| self as &dyn Scan)
    }
}

impl<S: AsyncStore> Scan for Blocking<S> {
    fn scan_page(
        &self,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        let here = self.0.store.scan_users(call, namespace, cursor, limit);
        self.run(call, Operation::Scan, here, |store| {
            let (namespace, cursor) = (namespace.clone(), cursor.cloned());
            async move { store.scan_users(call, &namespace, cursor.as_ref(), limit).await }
        })?
    }
}

impl<S: AsyncStore> Clone for Blocking<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: AsyncStore> fmt::Debug for Blocking<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Blocking").field(&self.0.store).finish()
    }
}

impl<S> Drop for Inner<S> {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        if self.process == std::process::id() {
            // An ordinary drop waits for the worker, and panics where the caller is a task.
            runtime.shutdown_background();
        } else {
            // In a forked child the worker is not there to be told, and its locks may be held for ever.
            std::mem::forget(runtime);
        }
    }
}
