//! `Blocking`: the blocking face of any async store, for every place that a call can come from.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::async_store::{AsyncStore, AsyncStoreExt};
use crate::call::{Call, Erase, Read, Write};
use crate::detach::Detach;
use crate::error::{Effect, Error, ErrorKind, Operation, Result};
use crate::id::{Namespace, Subject};
use crate::info::{Finding, StoreInfo};
use crate::near::Near;
use crate::outcome::Outcome;
use crate::profile::Profile;
use crate::scan::{Cursor, Page};
use crate::store::{Scan, Store};

mod driven;
mod home;
mod jobs;
mod own;
mod waiter;

use home::{Home, Homes};
use jobs::Jobs;
use own::Own;

/// How long after the deadline a store that should have ended by itself is cut off.
const OVERRUN: Duration = Duration::from_millis(50);

/// The blocking face of an async store, on a runtime of its own.
///
/// It opens the store itself, on its own runtime: an async handle that lives on somebody else's runtime would
/// wait for the very thread that waits for it. Every call is handed over to that runtime's thread, where all that
/// the store needs is there, and its caller waits for the answer; or, of a store that was opened for it
/// ([`open_driven`](Self::open_driven)), callers drive the runtime themselves, or have stores of their own
/// ([`with_own`](Self::with_own)). Only what is
/// [at hand](AsyncStore::at_hand) of a read is answered on the caller's thread in any case, since nothing is waited for. Clones
/// share store and runtime, which end with the last of them.
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
/// go wrong); callers that spin for long before they sleep (a third of the calls, once they are more than the cores); a
/// runtime's thread that spins while calls are under way (nothing gained).
///
/// A store on it may do all that it may on a current-thread runtime: not `tokio::task::block_in_place`.
///
/// ```
/// use std::time::Duration;
/// use stickystore_core::{Blocking, Call, Immediate, Store, SystemClock, memory::MemoryStore};
///
/// let store = Blocking::open(|| async { Ok(Immediate::new(MemoryStore::new())) })?;
/// store.ping(Call::within(&SystemClock, Duration::from_secs(1)))?;
/// # Ok::<(), stickystore_core::Error>(())
/// ```
pub struct Blocking<S: AsyncStore>(Arc<Homes<S>>);

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
        Ok(Self::of(open_on(Jobs::start(), open)?, Vec::new()))
    }

    /// The same for a store that never keeps a thread: its callers drive the runtime. A call alone wakes nobody, and one
    /// among many is woken once, where a call that is handed over takes two wake-ups.
    ///
    /// One caller at a time drives: on its thread the runtime waits for its connections and timers and runs its tasks, until that
    /// caller's own call ends; then one who still waits drives. Some 10 to 20 ms after the last call, the runtime's own thread
    /// does, so that what the store does by itself goes on; it gives way to the next call. Whoever drives first after a while
    /// hears what came in the meantime, as the end of a connection, before it makes its call. Where a runtime cannot be entered, a
    /// call is handed over: in a task of any runtime, on a thread that has entered one (as in `spawn_blocking`), and where a thread
    /// ends and tokio's thread-local is gone.
    ///
    /// The whole table holds, if the store, its layers and its driver
    ///
    /// - never keep a thread for long. What keeps it keeps the caller who drives, past its deadline; the others are answered
    ///   [`ErrorKind::Timeout`] at theirs;
    /// - need no thread-local but tokio's that has a destructor: in a `Drop` while a thread ends it may be gone, and the answer
    ///   is then [`ErrorKind::Unexpected`];
    /// - do with the stack of a caller's thread.
    ///
    /// Who drives does others' work too: once its own answer is there, 61 more polls of tasks at most go before it. While the
    /// operating system keeps its thread from running, the others wait, each until its deadline at most.
    ///
    /// `examples/bridge_cost.rs`: 7.4 us for a round trip that takes 6.8 in a task, and 13.8 where it is handed over.
    /// Tried and not kept: `block_on` of one tokio runtime by all callers at once (as fast; but who waits there needs a thread-local
    /// of tokio more, and a driver that is kept keeps all), a runtime and a connection for each caller (at 8 callers twice the
    /// processor time of the server, and a half more of the client's).
    ///
    /// # Errors
    /// As of [`open`](Self::open).
    ///
    /// ```
    /// use std::time::Duration;
    /// use stickystore_core::{Blocking, Call, Immediate, Store, SystemClock, memory::MemoryStore};
    ///
    /// let store = Blocking::open_driven(|| async { Ok(Immediate::new(MemoryStore::new())) })?;
    /// store.ping(Call::within(&SystemClock, Duration::from_secs(1)))?;
    /// # Ok::<(), stickystore_core::Error>(())
    /// ```
    pub fn open_driven<F, Fut>(open: F) -> Result<Self>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<S>> + Send,
    {
        Ok(Self::of(open_on(Jobs::start_driven(), open)?, Vec::new()))
    }

    /// The same with so many stores, each on a runtime of its own, so that as many callers drive at the same time as there are
    /// processors.
    ///
    /// A call is made where the fewest are under way, so which store answers it is by chance: they must be handles of one and
    /// the same server, with nothing of their own that a caller could miss, as what a cache holds or a store in memory. One
    /// caller alone always has the first; the others connect when they are needed, if the store does so when it is first used.
    ///
    /// # Errors
    /// As of [`open`](Self::open).
    pub fn open_driven_on<F, Fut>(runtimes: NonZeroUsize, open: F) -> Result<Self>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<S>> + Send + 'static,
    {
        let one = || {
            let opened = open();
            open_on(Jobs::start_driven(), move || opened)
        };
        let first = one()?;
        let others: Result<Vec<_>> = (1..runtimes.get()).map(|_| one()).collect();
        Ok(Self::of(first, others?))
    }

    /// The same, whose callers can have stores of their own, at most so many at a time: a call for one user is made over one of
    /// them, if there is one that nobody has, and its thread waits for the answer itself. Where there is none the call goes the
    /// way of all calls, and one more is made in the meantime. One ends when its connection does, or at the next call once it was
    /// not used for a minute.
    ///
    /// They too must have nothing of their own that a caller could miss. What is true of who drives holds of their
    /// callers, but that these keep nobody else.
    ///
    /// `cargo xtask bench` has them beside callers who share: who drives there does the others' work and wakes them.
    #[must_use]
    pub fn with_own(self, most: NonZeroUsize) -> Self
    where
        S: Detach,
    {
        self.0.share(Own::new(most.get()));
        self
    }

    fn of(first: Home<S>, others: Vec<Home<S>>) -> Self {
        Self(Arc::new(Homes::new(first, others)))
    }

    /// Runs one call on the store's runtime, and waits for it: what a layer can do besides a store's methods, from every place
    /// that they can be called from. `work` is given the store (of several, any), and should end by the call's deadline; it is dropped 50 ms later.
    ///
    /// ```
    /// use std::time::Duration;
    /// use stickystore_core::memory::MemoryStore;
    /// use stickystore_core::{AsyncStore, Blocking, Call, Immediate, Operation, SystemClock};
    ///
    /// let store = Blocking::open(|| async { Ok(Immediate::new(MemoryStore::new())) })?;
    /// let call = Call::within(&SystemClock, Duration::from_secs(1));
    /// let scheme = store.run(call, Operation::Ping, |store| async move { store.info().scheme })?;
    /// assert_eq!(scheme, "memory");
    /// # Ok::<(), stickystore_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As the table says, with this operation: [`ErrorKind::Timeout`], [`ErrorKind::Unexpected`], [`ErrorKind::Forked`].
    pub fn run<T, Fut>(&self, call: Call, operation: Operation, work: impl FnOnce(Arc<S>) -> Fut) -> Result<T>
    where
        T: Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        self.run_in(&self.0.enter(), call, operation, work)
    }

    /// What a store of the caller's own answers, if one is ready for this user.
    fn run_own<T>(
        &self,
        operation: Operation,
        subject: &Subject,
        work: impl AsyncFnOnce(&S) -> T,
    ) -> Option<Result<T>> {
        let (own, home) = (self.0.own()?, self.0.first());
        // In a forked child a lock may be held for ever.
        let taken = own.take(subject, home.store(), home.jobs()?)?;
        let store = taken.store()?;
        let look = || pin!(work(store)).poll(&mut Context::from_waker(Waker::noop()));
        Some(match catch_unwind(AssertUnwindSafe(look)) {
            Ok(Poll::Ready(answer)) => {
                taken.give_back();
                Ok(answer)
            }
            Ok(Poll::Pending) => {
                Err(self.fail(operation, ErrorKind::Unexpected, "the store waits where it must not"))
            }
            Err(_) => Err(self.panicked(operation)),
        })
    }

    fn run_in<T, Fut>(
        &self,
        home: &Home<S>,
        call: Call,
        operation: Operation,
        work: impl FnOnce(Arc<S>) -> Fut,
    ) -> Result<T>
    where
        T: Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        let jobs = self.jobs(home, operation)?;
        let remaining = call.remaining();
        if remaining.is_zero() {
            let passed = self.fail(operation, ErrorKind::Timeout, "the deadline passed before the call");
            return Err(passed.with_effect(Effect::NotApplied));
        }
        let future = work(Arc::clone(home.store()));
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
        let home = self.0.first();
        self.jobs(home, Operation::Read)?;
        let look = || Near::look(&**home.store(), call, reads);
        catch_unwind(AssertUnwindSafe(look)).map_err(|_| self.panicked(Operation::Read))
    }

    fn read_far(&self, call: Call, reads: Vec<Read>) -> Result<Vec<Result<Profile>>> {
        self.run(call, Operation::Read, |store| async move { store.read(call, &reads).await })
    }

    fn jobs<'h>(&self, home: &'h Home<S>, operation: Operation) -> Result<&'h Jobs> {
        home.jobs().ok_or_else(|| {
            let context = "this handle belongs to the parent process; open the store again in the child";
            self.fail(operation, ErrorKind::Forked, context)
        })
    }

    fn overran(&self, operation: Operation) -> Error {
        self.fail(operation, ErrorKind::Timeout, "the store did not end by the deadline")
    }

    fn panicked(&self, operation: Operation) -> Error {
        self.fail(operation, ErrorKind::Unexpected, "the store panicked")
    }

    fn fail(&self, operation: Operation, kind: ErrorKind, context: &'static str) -> Error {
        Error::new(kind, context).with_origin(self.info().scheme, operation)
    }
}

/// A store on this runtime.
fn open_on<S, F, Fut>(jobs: io::Result<Jobs>, open: F) -> Result<Home<S>>
where
    S: AsyncStore,
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
    Ok(Home::of(Arc::new(store), jobs))
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
        self.0.first().store().info()
    }

    fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        let all = |error| vec![Err(error); reads.len()];
        let near = match self.near(call, reads) {
            Ok(near) => near,
            Err(error) => return all(error),
        };
        if near.is_nothing() {
            if let [read] = reads
                && let Some(told) =
                    self.run_own(Operation::Read, &read.subject, async |store| store.read(call, reads).await)
            {
                return told.unwrap_or_else(all);
            }
            return self.read_far(call, reads.to_vec()).unwrap_or_else(all);
        }
        let far = near.far(reads);
        let count = far.len();
        let answers = if far.is_empty() { Ok(Vec::new()) } else { self.read_far(call, far) };
        near.with(answers.unwrap_or_else(|error| vec![Err(error); count]), self.info())
    }

    fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let own = match writes {
            [write] => {
                self.run_own(Operation::Write, write.subject(), async |store| store.write(call, writes).await)
            }
            _ => None,
        };
        let told = own.unwrap_or_else(|| {
            self.run(call, Operation::Write, |store| {
                let writes = writes.to_vec();
                async move { store.write(call, &writes).await }
            })
        });
        told.unwrap_or_else(|error| {
            writes.iter().map(|write| vec![Err(error.clone()); write.changes().len()]).collect()
        })
    }

    fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        let own = match erases {
            [erase] => {
                self.run_own(Operation::Erase, &erase.subject, async |store| store.erase(call, erases).await)
            }
            _ => None,
        };
        let told = own.unwrap_or_else(|| {
            self.run(call, Operation::Erase, |store| {
                let erases = erases.to_vec();
                async move { store.erase(call, &erases).await }
            })
        });
        told.unwrap_or_else(|error| vec![Err(error); erases.len()])
    }

    fn ping(&self, call: Call) -> Result<()> {
        self.run(call, Operation::Ping, |store| async move { store.ping(call).await })?
    }

    fn close(&self, call: Call) -> Result<()> {
        let close = |home| {
            self.run_in(home, call, Operation::Close, |store| async move { store.close(call).await })?
        };
        if let Some(own) = self.0.own() {
            own.close();
        }
        // Every one, whatever became of those before.
        self.0.all().map(close).fold(Ok(()), Result::and)
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
        self.0.first().store().scan().map(|_| self as &dyn Scan)
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
        f.debug_tuple("Blocking").field(self.0.first().store()).finish()
    }
}
