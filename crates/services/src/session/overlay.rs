//! What a session has read, with what it is about to write laid over it: a store without I/O, on which the services run
//! as they do on any other.
//!
//! A change here is judged by [`decide`] against what was read, so that what a service may replace here it may replace in
//! the store: [`commit`](super::commit) sends it under the revision that was read, and the store compares that.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stickystore_core::decide::{Act, Stored};
use stickystore_core::{
    Call, Change, Damaged, Entry, EpochCheck, Erase, Error, ErrorKind, Key, Keys, Mark, Outcome, Profile,
    Read, Result, Store, StoreInfo, Subject, UnixMillis, UserId, Value, Write, decide,
};

use super::handed::Handed;
use super::said::Said;
use crate::optimizely;
use crate::vwo::Record;

/// A handle on what a session has, for one of the services. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Overlay {
    shared: Arc<Shared>,
    shape: Shape,
}

#[derive(Debug)]
struct Shared {
    info: StoreInfo,
    state: Mutex<State>,
}

/// Whose entry it is, and so how two are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Optimizely,
    Vwo,
    GrowthBook,
    Assigned,
}

impl Shape {
    /// The service, as its counters name it.
    pub(super) fn service(self) -> &'static str {
        match self {
            Self::Optimizely => "optimizely",
            Self::Vwo => "vwo",
            Self::GrowthBook => "growthbook",
            Self::Assigned => "assign",
        }
    }

    /// What the service calls the value, if it is of its shape.
    pub(super) fn name(self, value: &Value) -> Option<String> {
        match self {
            Self::Optimizely => optimizely::variation(value),
            Self::GrowthBook => value.as_string().map(Cow::into_owned),
            Self::Assigned => Some(value.as_string().unwrap_or(value.as_str().into()).into_owned()),
            // Its records are set again.
            Self::Vwo => None,
        }
    }
}

/// What a session has of all its users.
#[derive(Debug)]
pub(super) struct State {
    pub(super) users: BTreeMap<UserId, User>,
    /// Nobody can commit any more.
    pub(super) ended: bool,
}

/// What a session has of a user.
#[derive(Debug)]
pub(super) struct User {
    pub(super) subject: Subject,
    /// What stands in the store, as far as the session knows; or why it knows nothing.
    pub(super) base: Result<Base>,
    /// What is to be written.
    pub(super) pending: BTreeMap<Key, Pending>,
    /// The VWO records of which that comes: where another was faster they are set again, on what stands there then.
    pub(super) records: BTreeMap<Key, Vec<Record>>,
    /// What the services said of it.
    pub(super) said: BTreeMap<String, Said>,
    /// What was handed out as JSON that carries no proof.
    pub(super) handed: Handed,
}

/// What stands in the store.
#[derive(Debug, Default)]
pub(super) struct Base {
    pub(super) epoch: Option<stickystore_core::Epoch>,
    pub(super) entries: BTreeMap<Key, Entry>,
    pub(super) damaged: Vec<Damaged>,
}

/// A change that is to be written.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) change: Change,
    pub(super) shape: Shape,
    /// Which erasures were known of when it was decided. What the session reads later may know of more, and they are about
    /// this: so it is sent under these, however often.
    pub(super) epoch: EpochCheck,
    /// What it replaces.
    pub(super) old: Option<Value>,
    /// It was sent, and its caller told what became of it.
    pub(super) told: bool,
    /// It was sent, and nobody knows whether it was applied: what is said of it later must not say that it was not.
    pub(super) in_doubt: bool,
}

impl Overlay {
    pub(super) fn new(info: StoreInfo, users: BTreeMap<UserId, User>) -> Self {
        let state = Mutex::new(State { users, ended: false });
        Self { shared: Arc::new(Shared { info, state }), shape: Shape::Assigned }
    }

    /// The same, as entries of this shape are written.
    pub(super) fn of(&self, shape: Shape) -> Self {
        Self { shared: Arc::clone(&self.shared), shape }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // What a panic left behind was put there whole.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// This user, if the session has begun it.
    pub(super) fn user(&mut self, user_id: &str) -> Result<&mut User> {
        let context = "the session was not begun for this user: name all its users when it begins";
        self.users.get_mut(user_id).ok_or_else(|| Error::new(ErrorKind::Invalid, context))
    }

    /// This user, to be changed.
    pub(super) fn user_to_change(&mut self, user_id: &str) -> Result<&mut User> {
        if self.ended {
            let context = "the session has ended: nothing that is saved through its view would be committed";
            return Err(Error::new(ErrorKind::Closed, context));
        }
        self.user(user_id)
    }
}

impl User {
    pub(super) fn new(subject: Subject, read: Result<Profile>) -> Self {
        Self {
            subject,
            base: read.map(Base::of),
            pending: BTreeMap::new(),
            records: BTreeMap::new(),
            said: BTreeMap::new(),
            handed: Handed::default(),
        }
    }

    /// Which erasures of the user what is written knows of.
    pub(super) fn epoch(&self) -> Option<stickystore_core::Epoch> {
        self.base.as_ref().ok().and_then(|base| base.epoch)
    }

    /// How many of its changes nobody was told of.
    pub(super) fn uncommitted(&self) -> usize {
        let unread = self.records.keys().filter(|key| !self.pending.contains_key(*key));
        self.pending.values().filter(|pending| !pending.told).count() + unread.count()
    }

    fn profile(&self, keys: &Keys, now: UnixMillis) -> Result<Profile> {
        let base = self.base.as_ref().map_err(Clone::clone)?;
        let is_asked = |key: &Key| match keys {
            Keys::Only(only) => only.contains(key),
            _ => true,
        };
        let stands = base.entries.iter().filter(|(key, _)| !self.pending.contains_key(*key));
        let written = self.pending.iter().filter_map(|(key, pending)| Some((key, pending.change.entry()?)));
        let entries = stands.chain(written).filter(|(key, _)| is_asked(key));
        let entries = entries.map(|(key, entry)| (key.clone(), entry.clone()));
        let damaged = base.damaged.iter().filter(|damaged| is_asked(&damaged.key)).cloned();
        Ok(Profile::new(base.epoch, entries, damaged.collect(), now))
    }

    fn change(
        &mut self,
        change: &Change,
        check: EpochCheck,
        shape: Shape,
        now: UnixMillis,
    ) -> Result<Outcome> {
        let nothing = Base::default();
        let base = self.base.as_ref().unwrap_or(&nothing);
        let key = change.key();
        let written = self.pending.get(key).and_then(|pending| pending.change.entry());
        let stored = match written.or_else(|| base.entries.get(key)) {
            Some(entry) => Stored::Entry(entry),
            None if base.damaged.iter().any(|damaged| damaged.key == *key) => Stored::Damaged,
            None => Stored::Absent,
        };
        // When it ends only the store knows, and it judges again.
        let mark = base.epoch.map(|epoch| Mark::new(epoch, UnixMillis::MAX));
        let decision = decide(change, stored, check, mark, now);
        let (Act::Write, Some(new)) = (decision.act, change.entry()) else { return decision.outcome };
        let old = base.entries.get(key).map(|entry| entry.value.clone());
        let change = match self.pending.get(key).map(|pending| &pending.change) {
            // What the store has to compare is what was read there.
            Some(Change::Insert(..)) => Change::Insert(key.clone(), new.clone()),
            Some(Change::Replace(_, read, _)) => Change::Replace(key.clone(), *read, new.clone()),
            _ => change.clone(),
        };
        let old = old.filter(|_| matches!(change, Change::Replace(..)));
        let epoch = self.pending.get(key).map_or(check, |pending| pending.epoch);
        self.pending.insert(key.clone(), Pending { change, shape, epoch, old, told: false, in_doubt: false });
        decision.outcome
    }
}

impl Base {
    pub(super) fn of(profile: Profile) -> Self {
        let (epoch, damaged) = (profile.epoch(), profile.damaged().to_vec());
        Self { epoch, damaged, entries: profile.into_iter().collect() }
    }
}

impl Store for Overlay {
    fn info(&self) -> &StoreInfo {
        &self.shared.info
    }

    fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        let mut state = self.state();
        let one = |read: &Read| state.user(read.subject.user.as_str())?.profile(&read.keys, call.now);
        reads.iter().map(one).collect()
    }

    fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let mut state = self.state();
        let mut one = |write: &Write| match state.user_to_change(write.subject().user.as_str()) {
            Ok(user) => {
                let changes = write.changes().iter();
                changes.map(|change| user.change(change, write.epoch(), self.shape, call.now)).collect()
            }
            Err(error) => vec![Err(error); write.changes().len()],
        };
        writes.iter().map(&mut one).collect()
    }

    fn erase(&self, _: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        let context = "a session erases nobody: erase through the store";
        vec![Err(Error::new(ErrorKind::Unsupported, context)); erases.len()]
    }

    fn ping(&self, _: Call) -> Result<()> {
        Ok(())
    }

    fn close(&self, _: Call) -> Result<()> {
        Ok(())
    }
}
