//! `Blocking`: the blocking face of any async store, for every place that a call can come from.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::async_store::{AsyncStore, AsyncStoreExt};
use crate::call::{Call, Erase, Read, Write};
use crate::error::{Effect, Error, ErrorKind, Operation, Result};
use crate::id::Namespace;
use crate::info::{Finding, StoreInfo};
use crate::near::Near;
use crate::outcome::Outcome;
use crate::profile::Profile;
use crate::scan::{Cursor, Page};
use crate::store::{Scan, Store};

mod driven;
mod jobs;
mod waiter;

use jobs::Jobs;

/// How long after the deadline a store that should have ended by itself is cut off.
const OVERRUN: Duration = Duration::from_millis(50);

/// How long the last handle waits for its store to be dropped: far longer than that takes, unless the store hangs.
const GOODBYE: Duration = Duration::from_secs(1);

/// The blocking face of an async store, on a runtime of its own.
///
/// It opens the store itself, on its own runtime: an async handle that lives on somebody else's runtime would
/// wait for the very thread that waits for it. Every call is handed over to that runtime's thread, where all that
/// the store needs is there, and its caller waits for the answer. Only what is [at hand](AsyncStore::at_hand) of a read is
/// answered on the caller's thread, since nothing is waited for. Clones share store and runtime, which end with the last
/// of them.
///
/// | called from | answer |
/// |---|---|
/// | a plain thread | the store's |
/// | a task of a multi-thread runtime | the store's; the worker waits |
/// | a task of a current-thread runtime | the store's; that runtime waits |
/// | `spawn_blocking` | the store's |
/// | a `Drop`, on a thread or in a task | the store's |
/// | a `Drop` of a thread-local, while its thread ends | the store's |
/// | after the caller's runtime has ended | the store's: the own runtime goes on |
/// | after [`close`](Store::close), on any clone | [`ErrorKind::Closed`] |
/// | a forked child | [`ErrorKind::Forked`]: the runtime's thread is not there |
///
/// Never a panic and never a deadlock: where a store overruns its deadline, also by keeping its thread, the answer
/// is [`ErrorKind::Timeout`], where it panics [`ErrorKind::Unexpected`], and its future is dropped.
///
/// What it costs, over the bare async call: see `examples/bridge_cost.rs`, which prints it beside the ways that were
/// not taken. The runtime has one thread and a queue of calls before it. Tried and not kept, on two cores with 1, 8 and 32
/// callers: tokio's own queue, on this runtime and on a multi-thread one with one worker (a third more processor time for
/// each call); a slot with a condition variable, or the task's own handle, in the place of a channel (as good, with more to
/// go wrong); callers that spin for long before they sleep (a third of the calls, once they are more than the cores).
///
/// A store on it may do all that it may on a current-thread runtime: not `tokio::task::block_in_place`. One that ran on its
/// callers' threads would be cheaper by one wake-up; but it would find thread-locals gone (tokio's, or a driver's random
/// numbers) in a `Drop` while a thread ends, and could keep its caller for ever.
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

/// In this order: by the time that `home` is dropped, it has the last hold of the store.
struct Inner<S: AsyncStore> {
    store: Arc<S>,
    home: Home<S>,
}

/// Where the store lives, and where it has to be dropped.
struct Home<S: AsyncStore> {
    /// Taken out only when it is dropped.
    lives: Option<(Arc<S>, Jobs)>,
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
        Self::open_on(Jobs::start(), open)
    }

    /// The same for a store that never keeps a thread: its callers drive the runtime themselves.
    ///
    /// # Errors
    /// As of [`open`](Self::open).
    pub fn open_driven<F, Fut>(open: F) -> Result<Self>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<S>> + Send,
    {
        Self::open_on(Jobs::start_driven(), open)
    }

    fn open_on<F, Fut>(jobs: io::Result<Jobs>, open: F) -> Result<Self>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<S>> + Send,
    {
        let no_thread =
            |error| Error::new(ErrorKind::Config, "no thread for the blocking API").with_source(error);
        let jobs = jobs.map_err(no_thread)?;
        let (sender, receiver) = sync_channel(1);
        jobs.run(async move {
            // The receiver waits for as long as this runs.
            let _ = sender.send(open().await);
        });
        let store = receiver.recv().unwrap_or_else(|_| {
            let panicked = Error::new(ErrorKind::Unexpected, "opening the store panicked");
            Err(panicked.with_effect(Effect::NotApplied))
        })?;
        let store = Arc::new(store);
        let home = Home { lives: Some((Arc::clone(&store), jobs)), process: std::process::id() };
        Ok(Self(Arc::new(Inner { store, home })))
    }

    /// Runs one call on the own runtime, and waits for it.
    fn run<T, Fut>(&self, call: Call, operation: Operation, work: impl FnOnce(Arc<S>) -> Fut) -> Result<T>
    where
        T: Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        let jobs = self.jobs(operation)?;
        let remaining = call.remaining();
        if remaining.is_zero() {
            let passed = self.fail(operation, ErrorKind::Timeout, "the deadline passed before the call");
            return Err(passed.with_effect(Effect::NotApplied));
        }
        let future = work(Arc::clone(&self.0.store));
        let time = remaining.saturating_add(OVERRUN);
        if let Some(driven) = jobs.driven() {
            return match catch_unwind(AssertUnwindSafe(|| driven.run(future, time))) {
                Ok(answer) => answer.ok_or_else(|| self.overran(operation)),
                Err(_) => Err(self.panicked(operation)),
            };
        }
        let (sender, receiver) = sync_channel(1);
        let (waits, given_up) = oneshot::channel();
        jobs.run(async move {
            if let Some(answer) = unless(given_up, future).await {
                // Nobody receives any more only after the overrun, which has its own answer.
                let _ = sender.send(answer);
            }
        });
        match receiver.recv_timeout(time) {
            Ok(answer) => Ok(answer),
            Err(RecvTimeoutError::Timeout) => {
                drop(waits);
                Err(self.overran(operation))
            }
            Err(RecvTimeoutError::Disconnected) => Err(self.panicked(operation)),
        }
    }

    /// What of these is at hand: on the caller's thread, where it costs no wake-up.
    fn near(&self, call: Call, reads: &[Read]) -> Result<Near> {
        // In a forked child a lock of the store's may be held for ever.
        self.jobs(Operation::Read)?;
        let look = || Near::look(&*self.0.store, call, reads);
        catch_unwind(AssertUnwindSafe(look)).map_err(|_| self.panicked(Operation::Read))
    }

    fn read_far(&self, call: Call, reads: Vec<Read>) -> Result<Vec<Result<Profile>>> {
        self.run(call, Operation::Read, |store| async move { store.read(call, &reads).await })
    }

    fn jobs(&self, operation: Operation) -> Result<&Jobs> {
        match &self.0.home.lives {
            Some((_, jobs)) if self.0.home.process == std::process::id() => Ok(jobs),
            _ => Err(self.fail(
                operation,
                ErrorKind::Forked,
                "this handle belongs to the parent process; open the store again in the child",
            )),
        }
    }

    fn overran(&self, operation: Operation) -> Error {
        self.fail(operation, ErrorKind::Timeout, "the store did not end by the deadline")
    }

    fn panicked(&self, operation: Operation) -> Error {
        self.fail(operation, ErrorKind::Unexpected, "the store panicked")
    }

    fn fail(&self, operation: Operation, kind: ErrorKind, context: &'static str) -> Error {
        Error::new(kind, context).with_origin(self.0.store.info().scheme, operation)
    }
}

/// What this future answers; nothing, and the future is dropped, if its caller gives it up before.
async fn unless<F: Future>(mut given_up: oneshot::Receiver<()>, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => Pin::new(&mut given_up).poll(context).map(|_| None),
    })
    .await
}

#[deny(clippy::missing_trait_methods)]
impl<S: AsyncStore> Store for Blocking<S> {
    fn info(&self) -> &StoreInfo {
        self.0.store.info()
    }

    fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        let all = |error| vec![Err(error); reads.len()];
        let near = match self.near(call, reads) {
            Ok(near) => near,
            Err(error) => return all(error),
        };
        if near.is_nothing() {
            return self.read_far(call, reads.to_vec()).unwrap_or_else(all);
        }
        let far = near.far(reads);
        let count = far.len();
        let answers = if far.is_empty() { Ok(Vec::new()) } else { self.read_far(call, far) };
        near.with(answers.unwrap_or_else(|error| vec![Err(error); count]), self.info())
    }

    fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        self.run(call, Operation::Write, |store| {
            let writes = writes.to_vec();
            async move { store.write(call, &writes).await }
        })
        .unwrap_or_else(|error| {
            writes.iter().map(|write| vec![Err(error.clone()); write.changes().len()]).collect()
        })
    }

    fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        self.run(call, Operation::Erase, |store| {
            let erases = erases.to_vec();
            async move { store.erase(call, &erases).await }
        })
        .unwrap_or_else(|error| vec![Err(error); erases.len()])
    }

    fn ping(&self, call: Call) -> Result<()> {
        self.run(call, Operation::Ping, |store| async move { store.ping(call).await })?
    }

    fn close(&self, call: Call) -> Result<()> {
        self.run(call, Operation::Close, |store| async move { store.close(call).await })?
    }

    fn diagnose(&self, call: Call) -> Vec<Finding> {
        let diagnosed =
            self.run(call, Operation::Diagnose, |store| async move { store.diagnose(call).await });
        diagnosed.unwrap_or_else(|error| {
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
        self.run(call, Operation::Scan, |store| {
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

impl<S: AsyncStore> Drop for Home<S> {
    fn drop(&mut self) {
        let Some((store, jobs)) = self.lives.take() else { return };
        if self.process != std::process::id() {
            // In a forked child the thread is not there, and its locks may be held for ever. And the store's
            // connections are the parent's: to drop them here would take them out of the parent's reactor too.
            std::mem::forget((store, jobs));
            return;
        }
        let (sender, receiver) = sync_channel(1);
        jobs.run(async move {
            // Where a driver that says goodbye to its server finds a runtime to do so.
            drop(store);
            let _ = sender.send(());
        });
        // So that what the store held, as a file's lock, is free when this returns. A store that hangs or panics
        // here has nobody left to be told.
        let _ = receiver.recv_timeout(GOODBYE);
    }
}
