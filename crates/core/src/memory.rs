//! The memory store: the reference for every guarantee, with nothing between the call and the tables.
//!
//! What happens to the data is in `state`; here are the handle, its options and the contract's common checks.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use crate::call::{Call, Erase, Read, Write};
use crate::codec;
use crate::error::{Effect, Error, ErrorKind, Operation, Result};
use crate::id::{Key, Namespace, Subject};
use crate::info::{Limits, StoreInfo};
use crate::outcome::Outcome;
use crate::profile::Profile;
use crate::scan::{Cursor, Page};
use crate::store::{Scan, Store};

mod state;

use state::{Slot, State};

/// Keeps everything in this process, for tests, for demos and for programs that live as long as their users.
///
/// Clones share the data. It survives nothing, never evicts, and answers without waiting:
/// [`Immediate`](crate::Immediate) gives it its async face. What expired is swept a little with each write.
///
/// ```
/// use std::time::Duration;
/// use stickystore_core::memory::MemoryStore;
/// use stickystore_core::{Call, Entry, EpochCheck, Expiry, Key, Namespace, Outcome, StoreExt, Subject};
/// use stickystore_core::{SystemClock, UserId, Value};
///
/// let store = MemoryStore::new();
/// let call = Call::within(&SystemClock, Duration::from_secs(1));
/// let user = Subject::new(Namespace::new("shop")?, UserId::new("ann")?);
/// let red = Entry::new(Value::string("red"), Expiry::Never);
/// let blue = Entry::new(Value::string("blue"), Expiry::Never);
///
/// let first = store.insert(call, &user, EpochCheck::Is(None), Key::new("button")?, red.clone())?;
/// let second = store.insert(call, &user, EpochCheck::Is(None), Key::new("button")?, blue)?;
/// assert_eq!(first, Outcome::Inserted);
/// assert_eq!(second, Outcome::Kept(red));
/// # Ok::<(), stickystore_core::Error>(())
/// ```
#[derive(Clone)]
pub struct MemoryStore(Arc<Shared>);

struct Shared {
    info: StoreInfo,
    closed: AtomicBool,
    state: RwLock<State>,
}

/// How a [`MemoryStore`] is made.
///
/// ```
/// let store = stickystore_core::memory::MemoryStore::builder().max_entries(100_000).build();
/// ```
#[derive(Debug, Clone)]
pub struct Builder {
    max_entries: usize,
    grace: Duration,
    limits: Limits,
}

/// How long an expired entry stays before a sweep may take it, unless the builder says otherwise: the time by
/// which writers' clocks may differ.
pub const GRACE: Duration = Duration::from_secs(60);

impl Builder {
    /// The most entries that it holds; endless by default. An insert or put beyond it answers
    /// [`ErrorKind::Full`]: it never makes room by forgetting.
    #[must_use]
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.max_entries = entries;
        self
    }

    /// How long an expired entry stays before a sweep may take it; [`GRACE`] by default.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// The largest value, in bytes of JSON text; [`Limits::ENTRY_BYTES`] by default.
    #[must_use]
    pub fn max_entry_bytes(mut self, bytes: usize) -> Self {
        self.limits = self.limits.with_entry_bytes(bytes);
        self
    }

    /// The store.
    pub fn build(self) -> MemoryStore {
        MemoryStore(Arc::new(Shared {
            info: StoreInfo::new("memory").limits(self.limits),
            closed: AtomicBool::new(false),
            state: RwLock::new(State::new(self.max_entries, self.grace)),
        }))
    }
}

impl MemoryStore {
    /// An empty store without a bound.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A store with options.
    pub fn builder() -> Builder {
        Builder { max_entries: usize::MAX, grace: GRACE, limits: Limits::default() }
    }

    /// Takes away every entry that expired, and every mark that ended, longer ago than the grace.
    ///
    /// Nobody has to call this: each write sweeps a little.
    pub fn sweep(&self, call: Call) {
        self.state_mut().sweep_all(call.now);
    }

    /// Puts text under a key as if another program had written it: an entry in the [`codec`]'s layout, or
    /// whatever else, which then is damaged. For tests of what reads it.
    pub fn plant(&self, subject: &Subject, key: Key, text: &str) {
        let slot = match codec::decode(text) {
            Ok(entry) => Slot::Entry(entry),
            Err(damage) => Slot::Damaged(damage),
        };
        self.state_mut().plant(subject, key, slot);
    }

    /// Puts something that is not ours in the place of a whole user. For tests of what reads it.
    pub fn plant_foreign(&self, subject: &Subject) {
        self.state_mut().plant_foreign(subject);
    }

    /// The checks that come before every item of every call.
    fn admit(&self, call: Call, operation: Operation) -> Result<()> {
        if self.0.closed.load(Ordering::Acquire) {
            return Err(fail(operation, ErrorKind::Closed, "this store was closed"));
        }
        if call.remaining().is_zero() {
            let error = fail(operation, ErrorKind::Timeout, "the deadline had passed before the call");
            return Err(error.with_effect(Effect::NotApplied));
        }
        Ok(())
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        // A panic while the lock is held can only come from out of memory; the state is whole between changes.
        self.0.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.0.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_user(&self, call: Call, write: &Write) -> Vec<Result<Outcome>> {
        if let Err(error) = self.admit(call, Operation::Write) {
            return vec![Err(error); write.changes().len()];
        }
        let limit = self.0.info.limits.entry_bytes;
        let mut state = self.state_mut();
        let answers = write.changes().iter().map(|change| {
            if let Some(entry) = change.entry().filter(|entry| entry.size_bytes() > limit) {
                let context = format!("an entry of {} bytes; at most {limit} are kept", entry.size_bytes());
                return Err(fail(Operation::Write, ErrorKind::TooLarge, context));
            }
            let answer = state.change(write.subject(), write.epoch(), change, call.now);
            answer.map_err(|error| error.with_origin("memory", Operation::Write))
        });
        let answers = answers.collect();
        state.sweep_some(call.now);
        answers
    }
}

impl Store for MemoryStore {
    fn info(&self) -> &StoreInfo {
        &self.0.info
    }

    fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        let answer = |read| {
            self.admit(call, Operation::Read)?;
            let answer = self.state().read(read, call.now);
            answer.map_err(|error| error.with_origin("memory", Operation::Read))
        };
        reads.iter().map(answer).collect()
    }

    fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        writes.iter().map(|write| self.write_user(call, write)).collect()
    }

    fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        let answer = |erase| {
            self.admit(call, Operation::Erase)?;
            let answer = self.state_mut().erase(erase, call.now);
            answer.map_err(|error| error.with_origin("memory", Operation::Erase))
        };
        erases.iter().map(answer).collect()
    }

    fn ping(&self, call: Call) -> Result<()> {
        self.admit(call, Operation::Ping)
    }

    fn close(&self, _call: Call) -> Result<()> {
        self.0.closed.store(true, Ordering::Release);
        Ok(())
    }

    fn scan(&self) -> Option<&dyn Scan> {
        Some(self)
    }
}

impl Scan for MemoryStore {
    fn scan_page(
        &self,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        self.admit(call, Operation::Scan)?;
        let page = self.state().page(namespace, cursor, limit, call.now);
        page.map_err(|error| error.with_origin("memory", Operation::Scan))
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

fn fail(operation: Operation, kind: ErrorKind, context: impl Into<String>) -> Error {
    Error::new(kind, context).with_origin("memory", operation)
}

#[cfg(test)]
mod tests;
