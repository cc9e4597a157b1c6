//! Keeps what was read in this process for a while: most lookups then cost no round trip.
//!
//! | what | how |
//! |---|---|
//! | bound | by bytes ([`Config::with_bytes`]); who was not read for longest is forgotten |
//! | age | an answer is at most so old ([`Config::with_age`]), by the calls' own `now`; that a user has nothing, or nothing any more, a shorter while |
//! | expiry | by the call's own `now`, to the millisecond |
//! | erased users | are not kept while a read gives their epoch: it does not say when the mark ends |
//! | one user read by many at once | is one read of the store; whoever of them is dropped, the others get the answer. One that has been under way for longer than the age is joined by nobody |
//! | a write through this handle | is seen by every read that begins after it; what its answers tell is kept |
//! | a write of another handle or process | is seen when the age has passed, [`StoreInfo::reads_behind`] says so; until then a save that was decided by the older answer fails its compare at the store, and the report says so |
//! | a failed read | is an error, which is never kept; or the older answer, if [`Config::with_stale`] allows and the user had something |
//!
//! Revisions, histories, unknown and damaged members are kept as they were read. A read of some keys reads all of the user.
//! Scans, `ping` and `diagnose` ask the store. [`Cached::preload`] reads users before anybody asks for them.
//!
//! Reads that wait for each other need tokio's timer.
//!
//! # Metrics (feature `metrics`)
//!
//! | name | kind | labels | counts |
//! |---|---|---|---|
//! | `stickystore_cache_reads_total` | counter | `store`, `answer` | users that were read: `hit` (held), `miss` (asked of the store, alone or with others), and of these `stale` (the store failed, an older answer was given) |
#![deny(clippy::missing_trait_methods)]

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use stickystore_core::{
    AsyncScan, AsyncStore, AsyncStoreExt as _, Call, Cursor, Erase, ErrorKind, Finding, Keys, Namespace,
    Outcome, Page, Profile, Read, Result, Severity, StoreInfo, Subject, UnixMillis, Write, async_trait,
};

mod after;
mod config;
mod flight;
mod held;
mod memory;
#[cfg(feature = "metrics")]
mod numbers;
#[cfg(not(feature = "metrics"))]
#[path = "cache/no_numbers.rs"]
mod numbers;
mod preload;
mod read;
mod write;

pub use config::Config;
use held::Held;
use memory::Memory;
pub use preload::{Preloaded, Preloading, Whom};
use write::Writing;

/// An async store with a cache around it. Clones share the cache.
///
/// ```
/// use stickystore_core::{AsyncStore, Immediate, memory::MemoryStore};
/// use stickystore_layers::cache::{Cached, Config};
///
/// let store = Cached::new(Immediate::new(MemoryStore::new()), &Config::new());
/// assert_eq!(store.info().reads_behind, Some(Config::AGE));
/// ```
pub struct Cached<S>(Arc<Inner<S>>);

#[expect(clippy::missing_trait_methods, reason = "what the lint is for are the methods of stores")]
impl<S> Clone for Cached<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Inner<S> {
    store: S,
    info: StoreInfo,
    config: Config,
    /// The ages of the configuration: what each hit is compared with.
    age_millis: u64,
    absent_millis: u64,
    memory: Memory,
    /// Whether it keeps anything: not what a queue may change at any time.
    keeps: bool,
    is_closed: AtomicBool,
}

impl<S: AsyncStore> Cached<S> {
    /// Keeps what is read from this store; nothing if that [shows what is queued](StoreInfo::shows_queued), whose place is around
    /// the cache.
    pub fn new(store: S, config: &Config) -> Self {
        let keeps = !store.info().shows_queued;
        let mut info = store.info().clone();
        if keeps {
            info = info.reads_behind(config.oldest().max(store.info().reads_behind.unwrap_or_default()));
        }
        let (age_millis, absent_millis) = (millis(config.age), millis(config.absent_age.min(config.age)));
        let (config, memory) = (config.clone(), Memory::new(config));
        let is_closed = AtomicBool::new(false);
        Self(Arc::new(Inner { store, info, config, age_millis, absent_millis, memory, keeps, is_closed }))
    }

    /// The store.
    pub fn get_ref(&self) -> &S {
        &self.0.store
    }

    /// What is held of this user: what a read at this time would answer without asking the store. None if it would have to.
    ///
    /// It never waits, so that it can be called where nothing may.
    pub fn held(&self, now: UnixMillis, subject: &Subject) -> Option<Profile> {
        self.0.hit(now, subject)
    }

    /// Forgets this user, so that the next read asks the store.
    pub fn forget(&self, subject: &Subject) {
        self.0.memory.forget(subject);
    }

    /// How many users are held.
    pub fn users_held(&self) -> usize {
        self.0.memory.len()
    }
}

/// What a read gives.
type Reading<'f> = Pin<Box<dyn Future<Output = Vec<Result<Profile>>> + Send + 'f>>;

/// A read: what is held answers at once, or else the store is asked.
struct Reads<'f, S> {
    inner: &'f Arc<Inner<S>>,
    call: Call,
    reads: &'f [Read],
    asked: Option<Reading<'f>>,
}

impl<S: AsyncStore> Future for Reads<'_, S> {
    type Output = Vec<Result<Profile>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { inner, call, reads, .. } = *self;
        if let Some(asked) = &mut self.asked {
            return asked.as_mut().poll(context);
        }
        let is_refused = inner.is_refused(call);
        if !is_refused
            && let [read] = reads
            && let Some(profile) = inner.answer(call, read)
        {
            return Poll::Ready(vec![Ok(profile)]);
        }
        let asked = if is_refused { inner.store.read(call, reads) } else { inner.ask(call, reads) };
        self.asked.insert(asked).as_mut().poll(context)
    }
}

impl<S: AsyncStore> Inner<S> {
    /// What is held of these, and of the others what the store answers.
    fn ask<'f>(self: &'f Arc<Self>, call: Call, reads: &'f [Read]) -> Reading<'f> {
        let answers = reads.iter().map(|read| self.answer(call, read).map(Ok)).collect();
        Box::pin(read::Pending::new(self, call, reads, answers).answers())
    }

    fn hit(&self, now: UnixMillis, subject: &Subject) -> Option<Profile> {
        let held = self.memory.get(subject).filter(|_| self.keeps)?;
        if !self.is_fresh(&held, now) || self.is_closed.load(Ordering::Acquire) {
            return None;
        }
        numbers::hit(self.info.scheme);
        Some(held.profile(now))
    }

    fn answer(&self, call: Call, read: &Read) -> Option<Profile> {
        let profile = self.hit(call.now, &read.subject)?;
        Some(keyed(profile, &read.keys, call.now))
    }

    fn is_fresh(&self, held: &Held, now: UnixMillis) -> bool {
        is_within(held.at, now, self.age_of(held, now, self.age_millis))
    }

    /// How old this may be, if what is held of a user who has something may be so old.
    fn age_of(&self, held: &Held, now: UnixMillis, age: u64) -> u64 {
        if held.has_nothing(now) { age.min(self.absent_millis) } else { age }
    }

    /// Whether the store has to answer, as nothing is kept, or a call is closed or too late.
    fn is_refused(&self, call: Call) -> bool {
        !self.keeps || self.is_closed.load(Ordering::Acquire) || Instant::now() >= call.deadline
    }

    /// This answer, or an older one where it says that the store failed and the configuration allows it. That a user has nothing
    /// gets no older by it: who is told so decides anew, and what there may be by now is not kept.
    fn or_stale(&self, call: Call, read: &Read, answer: Result<Profile>) -> Result<Profile> {
        let (Err(error), Some(stale)) = (&answer, self.config.stale) else {
            return answer;
        };
        if !matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout) {
            return answer;
        }
        let is_usable =
            |held: &Held| is_within(held.at, call.now, self.age_of(held, call.now, millis(stale)));
        let held = self.memory.get(&read.subject).filter(is_usable);
        held.map_or(answer, |held| {
            numbers::stale(self.info.scheme);
            Ok(keyed(held.profile(call.now), &read.keys, call.now))
        })
    }
}

/// Whether what was read at that time is of this one or at most so much older. What was read at a later time lacks what has
/// expired since.
fn is_within(at: UnixMillis, now: UnixMillis, age: u64) -> bool {
    now.get().checked_sub(at.get()).is_some_and(|passed| passed < age)
}

/// Rounded up: less than that many whole milliseconds is less than the time.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

fn keyed(profile: Profile, keys: &Keys, now: UnixMillis) -> Profile {
    match keys {
        Keys::All => profile,
        keys => read::narrowed(profile, keys, now),
    }
}

#[async_trait]
impl<S: AsyncStore> AsyncStore for Cached<S> {
    fn info(&self) -> &StoreInfo {
        &self.0.info
    }

    // Written out, since nearly all calls are hits: what they do not need is not made, and the future is small.
    fn read<'s: 'f, 'r: 'f, 'f>(&'s self, call: Call, reads: &'r [Read]) -> Reading<'f> {
        Box::pin(Reads { inner: &self.0, call, reads, asked: None })
    }

    /// What is held. What the store has at hand is read, and held from then on.
    fn at_hand(&self, call: Call, subject: &Subject, keys: &Keys) -> Option<Result<Profile>> {
        if self.0.is_refused(call) {
            return None;
        }
        Some(Ok(keyed(self.0.hit(call.now, subject)?, keys, call.now)))
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let writing = Writing::begin(&self.0, writes.iter().map(Write::subject));
        let answers = self.0.store.write(call, writes).await;
        writing.written(call.now, writes, &answers);
        answers
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        // What stands after an erase is a mark, and a user with a mark is not held.
        let _writing = Writing::begin(&self.0, erases.iter().map(|erase| &erase.subject));
        self.0.store.erase(call, erases).await
    }

    async fn ping(&self, call: Call) -> Result<()> {
        self.0.store.ping(call).await
    }

    async fn close(&self, call: Call) -> Result<()> {
        self.0.is_closed.store(true, Ordering::Release);
        self.0.memory.clear();
        self.0.store.close(call).await
    }

    async fn diagnose(&self, call: Call) -> Vec<Finding> {
        let mut findings = self.0.store.diagnose(call).await;
        if !self.0.keeps {
            let what = "the cache stands around a queue of writes, and keeps nothing";
            let mend = "put the queue around the cache";
            findings.push(Finding::new("cache-around-queue", Severity::Note, what, mend));
        }
        findings
    }

    fn scan(&self) -> Option<&dyn AsyncScan> {
        self.0.store.scan().map(|_| self as &dyn AsyncScan)
    }
}

#[async_trait]
impl<S: AsyncStore> AsyncScan for Cached<S> {
    async fn scan_page(
        &self,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        self.0.store.scan_users(call, namespace, cursor, limit).await
    }
}

impl<S: fmt::Debug> fmt::Debug for Cached<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { store, config, .. } = &*self.0;
        f.debug_struct("Cached").field("store", store).field("config", config).finish_non_exhaustive()
    }
}
