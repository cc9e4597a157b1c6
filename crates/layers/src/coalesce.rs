//! Sends together what many callers ask at the same time: reads with reads, writes with writes.
//!
//! A call that comes while few are in flight goes at once, in its caller's own future, and waits for nobody. One that comes
//! while [as many as may be](Bounds::in_flight) are in flight waits until one of them ends, or for 5 ms; then all that
//! waits leaves as one call of the store, in a task of its own. When many reads have just got their answers together, the next
//! to leave lets the others come along first: it goes after those who are ready to run, for which no time is waited.
//!
//! | what | how |
//! |---|---|
//! | answers, errors | each caller gets those of its own items; an error that is of the whole batch reaches that batch only |
//! | deadlines | a batch has the latest of its callers' deadlines; a caller whose own passes leaves: what had not left yet is not applied, and of what had nobody knows |
//! | dropped calls | what had not left yet does not leave; a batch that has goes on for the others |
//! | order | a user's writes and erases leave in the order in which they were asked, one after the answer to the other; those of other users do not wait for them |
//! | reads | see every write that was answered before they were asked; several of one user in one batch are read once |
//! | `now` | calls whose `now` is within 50 ms of each other share a batch |
//! | size | a batch ends at [`Bounds::users`] and [`Bounds::bytes`]; a call that is larger goes at once, by itself |
//!
//! # What sharing does to time
//! Reads of a batch are made under its earliest `now`, and each answer then loses what had ended by its caller's own: to the
//! millisecond what the caller would have read alone. Only the epoch of an erase mark may show for up to 50 ms after it ended.
//!
//! Writes of a batch are made under its latest `now`, so what stood there may count as ended up to 50 ms early, by the clock
//! of another caller of this process. Nothing is written under a time that had not come. A write whose own entry would end
//! in those 50 ms, and an erase whose mark would, goes alone, under its own `now`.
#![deny(clippy::missing_trait_methods)]

use std::sync::Arc;

use stickystore_core::{
    AsyncScan, AsyncStore, AsyncStoreExt as _, Call, Cursor, Erase, Error, Finding, Keys, Namespace, Outcome,
    Page, Profile, Read, Result, StoreInfo, Subject, Write, async_trait,
};

mod group;
mod kind;
mod line;
mod waiting;

use kind::{Changed, Changing, Reading};
use line::{Line, Turn};

/// An async store whose concurrent calls go together. Clones share their batches.
///
/// It waits and sends only inside a tokio runtime with time; outside of one, every call goes by itself. A runtime on which
/// callers wait must be kept running, as the store's own connections need it too.
///
/// ```
/// use stickystore_core::{AsyncStore, Immediate, memory::MemoryStore};
/// use stickystore_layers::coalesce::Coalesced;
///
/// let store = Coalesced::new(Immediate::new(MemoryStore::new()));
/// assert_eq!(store.info().scheme, "memory");
/// ```
#[derive(Debug)]
pub struct Coalesced<S> {
    store: Arc<S>,
    reads: Arc<Line<Reading, S>>,
    changes: Arc<Line<Changing, S>>,
}

/// How much goes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bounds {
    /// So many calls or batches of reads may be in flight before others wait for them; at least 1.
    pub in_flight: usize,
    /// So many of writes and erases; at least 1. [`Bounds::UNLIMITED`] where a batch of several users' writes gains nothing: then
    /// none waits but for its own user's, which keeps their order.
    pub writes_in_flight: usize,
    /// The most users in a batch of several callers; a call with more goes by itself. At least 1.
    pub users: usize,
    /// The most bytes of entries in a batch of writes of several callers; a call with more goes by itself.
    pub bytes: usize,
}

impl Bounds {
    /// As many as there are.
    pub const UNLIMITED: usize = usize::MAX;

    /// Those that suit this store: the default ones, but that no write waits for another user's at Memcached, MongoDB and Cassandra,
    /// who are sent each user's write by itself, and at Redis, whose connection puts what is asked at the same moment into one
    /// run of a script anyway; and that MongoDB, who answers several at once on threads of its own, has 4 batches of reads in flight.
    pub fn of(info: &StoreInfo) -> Self {
        let bounds = Self::default();
        match info.scheme {
            "mongodb" => bounds.with_in_flight(4).with_writes_in_flight(Self::UNLIMITED),
            "redis" | "memcache" | "cassandra" => bounds.with_writes_in_flight(Self::UNLIMITED),
            _ => bounds,
        }
    }

    /// These bounds with so many in flight, of reads and of writes.
    #[must_use]
    pub const fn with_in_flight(self, in_flight: usize) -> Self {
        let in_flight = if in_flight == 0 { 1 } else { in_flight };
        Self { in_flight, writes_in_flight: in_flight, ..self }
    }

    /// These bounds with so many writes in flight.
    #[must_use]
    pub const fn with_writes_in_flight(self, in_flight: usize) -> Self {
        Self { writes_in_flight: if in_flight == 0 { 1 } else { in_flight }, ..self }
    }

    /// These bounds with so many users in a batch.
    #[must_use]
    pub const fn with_users(self, users: usize) -> Self {
        Self { users: if users == 0 { 1 } else { users }, ..self }
    }

    /// These bounds with so many bytes in a batch.
    #[must_use]
    pub const fn with_bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }
}

impl Default for Bounds {
    /// 2 in flight, 64 users, 64 KiB.
    fn default() -> Self {
        Self { in_flight: 2, writes_in_flight: 2, users: 64, bytes: 64 << 10 }
    }
}

impl<S: AsyncStore> Coalesced<S> {
    /// Lets this store's concurrent calls go together.
    pub fn new(store: S) -> Self {
        Self::with(store, Bounds::default())
    }

    /// The same within these bounds.
    pub fn with(store: S, bounds: Bounds) -> Self {
        let store = Arc::new(store);
        let reads = Line::new(Arc::clone(&store), bounds);
        let of_writes = Bounds { in_flight: bounds.writes_in_flight, ..bounds };
        let changes = Line::new(Arc::clone(&store), of_writes);
        Self { store, reads, changes }
    }
}

#[expect(clippy::missing_trait_methods, reason = "that of Clone has nothing to save here")]
impl<S> Clone for Coalesced<S> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            reads: Arc::clone(&self.reads),
            changes: Arc::clone(&self.changes),
        }
    }
}

#[async_trait]
impl<S: AsyncStore> AsyncStore for Coalesced<S> {
    fn info(&self) -> &StoreInfo {
        self.store.info()
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        match self.reads.enter(call, reads) {
            Turn::Now(_flight) => self.store.read(call, reads).await,
            Turn::Later(waiting) => {
                waiting.answers().await.unwrap_or_else(|error| vec![Err(error); reads.len()])
            }
        }
    }

    fn at_hand(&self, call: Call, subject: &Subject, keys: &Keys) -> Option<Result<Profile>> {
        self.store.at_hand(call, subject, keys)
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        match self.changes.enter(call, writes) {
            Turn::Now(_flight) => self.store.write(call, writes).await,
            Turn::Later(waiting) => match waiting.answers().await {
                Ok(answers) => answers.into_iter().map(Changed::written).collect(),
                Err(error) => unwritten(&error, writes),
            },
        }
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        match self.changes.enter(call, erases) {
            Turn::Now(_flight) => self.store.erase(call, erases).await,
            Turn::Later(waiting) => match waiting.answers().await {
                Ok(answers) => answers.into_iter().map(Changed::erased).collect(),
                Err(error) => vec![Err(error); erases.len()],
            },
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
        self.store.scan().map(|_| self as &dyn AsyncScan)
    }
}

#[async_trait]
impl<S: AsyncStore> AsyncScan for Coalesced<S> {
    async fn scan_page(
        &self,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        self.store.scan_users(call, namespace, cursor, limit).await
    }
}

/// One error, for every change.
fn unwritten(error: &Error, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
    writes.iter().map(|write| vec![Err(error.clone()); write.changes().len()]).collect()
}
