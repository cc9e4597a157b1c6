//! The store that faults are built into. Without one it keeps the whole contract: `matrix` makes sure of that.
//!
//! Each step of a call goes through the fault's method for it; what that does by default stands here.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use stickystore_core::decide::{self, Act, Decision, Stored};
use stickystore_core::{
    Call, Change, Cursor, Damage, Damaged, Effect, Entry, Erase, Error, ErrorKind, Expiry, Immediate, Key,
    Keys, Mark, Namespace, Operation, Outcome, Page, Profile, Read, Result, Scan, Store, StoreInfo, Subject,
    UnixMillis, Write,
};

use super::fault::{Fault, Question};
use super::state::{Ours, Slot, State, User};
use crate::harness::{Opened, Plant};

/// How long the bench lets expired entries stand: short, because the cases about sweeping wait for it.
pub(super) const GRACE: Duration = Duration::from_millis(100);

/// A handle to a store with a fault.
pub(super) struct Bench {
    shared: Arc<Shared>,
    /// Tells this handle from its clones.
    pub(super) handle: usize,
}

struct Shared {
    info: StoreInfo,
    fault: Box<dyn Fault>,
    closed: AtomicBool,
    handles: AtomicUsize,
    state: Mutex<State>,
}

/// A store with this fault, as the suite wants it. It never waits, so it is used through its async face, which costs
/// no thread for each call.
pub(super) fn opened(fault: impl Fault) -> Opened {
    let bench = Bench::new(fault);
    let plant = BenchPlant(bench.alias());
    Opened::asynchronous(Immediate::new(bench)).with_plant(plant)
}

/// The same for a fault that waits.
pub(super) fn opened_on_threads(fault: impl Fault) -> Opened {
    let bench = Bench::new(fault);
    let plant = BenchPlant(bench.alias());
    Opened::blocking(bench).with_plant(plant)
}

impl Bench {
    pub(super) fn new(fault: impl Fault) -> Self {
        Self::with_state(fault, State::default())
    }

    pub(super) fn with_state(fault: impl Fault, state: State) -> Self {
        let shared = Shared {
            info: StoreInfo::new("bench"),
            fault: Box::new(fault),
            closed: AtomicBool::new(false),
            handles: AtomicUsize::new(1),
            state: Mutex::new(state),
        };
        Self { shared: Arc::new(shared), handle: 0 }
    }

    /// A clone, whatever the fault makes of clones.
    pub(super) fn alias(&self) -> Self {
        let handle = self.shared.handles.fetch_add(1, Ordering::SeqCst);
        Self { shared: Arc::clone(&self.shared), handle }
    }

    pub(super) fn fault(&self) -> &dyn Fault {
        &*self.shared.fault
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::SeqCst)
    }

    pub(super) fn close_all(&self) {
        self.shared.closed.store(true, Ordering::SeqCst);
    }

    /// The checks that come before every item of every call.
    pub(super) fn admit(&self, call: Call, operation: Operation) -> Result<()> {
        if self.is_closed() {
            return Err(fail(operation, ErrorKind::Closed, "this store was closed"));
        }
        if call.remaining().is_zero() {
            let error = fail(operation, ErrorKind::Timeout, "the deadline had passed before the call");
            return Err(error.with_effect(Effect::NotApplied));
        }
        Ok(())
    }

    pub(super) fn read_all(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        let answer = |read| {
            self.fault().admit(self, call, Operation::Read)?;
            let mut state = self.state();
            self.fault().settle(&mut state, call);
            self.fault().profile(self, &mut state, read, call)
        };
        reads.iter().map(answer).collect()
    }

    pub(super) fn profile(&self, state: &State, read: &Read, now: UnixMillis) -> Result<Profile> {
        let fault = self.fault();
        match state.users.get(&fault.subject(&read.subject)) {
            None => Ok(Profile::default()),
            Some(User::Foreign) => Err(decide::not_ours()),
            Some(User::Ours(ours)) => {
                let found: Vec<_> = match &read.keys {
                    Keys::All => {
                        let shown = |(key, slot)| Some((fault.shown(&read.subject, key)?, slot));
                        ours.slots.iter().filter_map(shown).collect()
                    }
                    Keys::Only(keys) => {
                        let at = |key: &Key| fault.at(&read.subject, key).1;
                        let find = |key: &Key| Some((key.clone(), ours.slots.get(&at(key))?));
                        keys.iter().filter_map(find).collect()
                    }
                    _ => panic!("the bench does not know these keys"),
                };
                Ok(self.assemble(ours.mark, found, now))
            }
        }
    }

    fn assemble(&self, mark: Option<Mark>, found: Vec<(Key, &Slot)>, now: UnixMillis) -> Profile {
        let (mut entries, mut damaged) = (Vec::new(), Vec::new());
        for (key, slot) in found {
            match slot {
                Slot::Entry(entry) if self.fault().is_shown(entry, now) => entries.push((key, entry.clone())),
                Slot::Entry(_) => {}
                Slot::Damaged => damaged.push(Damaged::new(key, Damage::new("was planted"))),
            }
        }
        // The fault has decided what is live: the profile must not decide again.
        Profile::new(self.fault().epoch(mark, now), entries, damaged, UnixMillis::EPOCH)
    }

    pub(super) fn write_all(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        writes.iter().map(|write| self.write_one(call, write)).collect()
    }

    pub(super) fn write_one(&self, call: Call, write: &Write) -> Vec<Result<Outcome>> {
        if let Err(error) = self.fault().admit(self, call, Operation::Write) {
            return vec![Err(error); write.changes().len()];
        }
        let mut state = self.state();
        self.fault().settle(&mut state, call);
        let answers = self.fault().write_user(self, &mut state, write, call);
        self.fault().sweep(&mut state, &self.fault().subject(write.subject()), call);
        answers
    }

    pub(super) fn write_user(&self, state: &mut State, write: &Write, call: Call) -> Vec<Result<Outcome>> {
        let change = |change| self.fault().change(self, state, write, change, call);
        write.changes().iter().map(change).collect()
    }

    pub(super) fn change(
        &self,
        state: &mut State,
        write: &Write,
        change: &Change,
        call: Call,
    ) -> Result<Outcome> {
        let decision = self.judge(state, write, change, call)?;
        self.act(state, write, change, decision, call)
    }

    /// The first half of a change: what is to be done.
    pub(super) fn judge(
        &self,
        state: &State,
        write: &Write,
        change: &Change,
        call: Call,
    ) -> Result<Decision> {
        let limit = self.shared.info.limits.entry_bytes;
        if change.entry().is_some_and(|entry| entry.size_bytes() > limit) {
            return Err(fail(Operation::Write, ErrorKind::TooLarge, "the value is over the limit"));
        }
        let (subject, key) = self.fault().at(write.subject(), change.key());
        if state.is_foreign(&subject) {
            return decide::foreign(change, call.now)
                .map(|outcome| Decision { outcome: Ok(outcome), act: Act::Nothing });
        }
        let stored = match state.ours(&subject).and_then(|ours| ours.slots.get(&key)) {
            None => Stored::Absent,
            Some(Slot::Entry(entry)) => Stored::Entry(entry),
            Some(Slot::Damaged) => Stored::Damaged,
        };
        let mark = state.mark(&subject);
        let question = Question { change, stored, check: write.epoch(), mark, now: call.now };
        Ok(self.fault().judge(&question))
    }

    /// The second half: doing it.
    pub(super) fn act(
        &self,
        state: &mut State,
        write: &Write,
        change: &Change,
        decision: Decision,
        call: Call,
    ) -> Result<Outcome> {
        let (subject, key) = self.fault().at(write.subject(), change.key());
        match (decision.act, change.entry()) {
            (Act::Write, Some(entry)) => {
                let before = state.entry_mut(&subject, &key).map(|entry| &*entry);
                let entry = self.fault().stored(entry, before, call.now);
                state.set(&subject, key, Slot::Entry(entry));
            }
            (Act::Delete, _) => state.remove(&subject, &key),
            (Act::Nothing | Act::Write, _) => {}
        }
        decision.outcome
    }

    pub(super) fn erase_all(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        let answer = |erase| {
            self.fault().admit(self, call, Operation::Erase)?;
            let mut state = self.state();
            self.fault().settle(&mut state, call);
            self.fault().erase_user(self, &mut state, erase, call)
        };
        erases.iter().map(answer).collect()
    }

    pub(super) fn erase_user(&self, state: &mut State, erase: &Erase, now: UnixMillis) -> Result<bool> {
        let subject = self.fault().subject(&erase.subject);
        let stood = match state.users.get(&subject) {
            None => false,
            Some(User::Foreign) => true,
            Some(User::Ours(ours)) => ours.slots.values().any(|slot| match slot {
                Slot::Entry(entry) => entry.is_live(now),
                Slot::Damaged => true,
            }),
        };
        let decision = self.fault().judge_erase(erase, state.mark(&subject), stood, now)?;
        if decision.leave.is_some() {
            let marked = Ours { mark: decision.leave, ..Ours::default() };
            state.users.insert(subject, User::Ours(marked));
        }
        Ok(decision.stood)
    }

    pub(super) fn page(
        &self,
        state: &State,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
        now: UnixMillis,
    ) -> Page {
        let limit = limit.max(1);
        let after = |user: &str| cursor.is_none_or(|cursor| user > cursor.as_str());
        let mut found = state.users.iter().filter(|(subject, _)| {
            self.fault().is_scanned(namespace, &subject.namespace) && after(subject.user.as_str())
        });
        let mut page = Page::default();
        for (subject, user) in found.by_ref().take(limit) {
            match user {
                User::Foreign => page.foreign += 1,
                User::Ours(ours) => {
                    let slots = ours.slots.iter().map(|(key, slot)| (key.clone(), slot)).collect();
                    let profile = self.assemble(ours.mark, slots, now);
                    if !profile.is_empty() {
                        page.users.push((subject.user.clone(), profile));
                    }
                }
            }
            page.next = Some(Cursor::new(subject.user.as_str()));
        }
        if found.next().is_none() {
            page.next = None;
        }
        page
    }
}

/// Takes away of this user what ended longer than `grace` ago.
pub(super) fn sweep(state: &mut State, subject: &Subject, now: UnixMillis, grace: Duration) {
    let Some(ours) = state.ours_mut(subject) else { return };
    ours.slots.retain(|_, slot| match slot {
        Slot::Entry(entry) => !entry.expiry.is_swept(now, grace),
        Slot::Damaged => true,
    });
    ours.mark = ours.mark.filter(|mark| !Expiry::At(mark.until).is_swept(now, grace));
    state.forget_empty(subject);
}

/// An error as a store makes them.
pub(super) fn fail(operation: Operation, kind: ErrorKind, context: &str) -> Error {
    Error::new(kind, context).with_origin("bench", operation)
}

impl Store for Bench {
    fn info(&self) -> &StoreInfo {
        &self.shared.info
    }

    fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        self.fault().read(self, call, reads)
    }

    fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        self.fault().write(self, call, writes)
    }

    fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        self.fault().erase(self, call, erases)
    }

    fn ping(&self, call: Call) -> Result<()> {
        self.fault().ping(self, call)
    }

    fn close(&self, call: Call) -> Result<()> {
        self.fault().close(self, call)
    }

    fn scan(&self) -> Option<&dyn Scan> {
        Some(self)
    }
}

impl Scan for Bench {
    fn scan_page(
        &self,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        self.fault().page(self, call, namespace, cursor, limit)
    }
}

impl Clone for Bench {
    fn clone(&self) -> Self {
        self.fault().cloned(self)
    }
}

impl fmt::Debug for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = self.fault().debug(self).unwrap_or_default();
        f.debug_struct("Bench").field("data", &data).finish_non_exhaustive()
    }
}

/// Damages the bench's data where the fault would have put it.
pub(super) struct BenchPlant(pub(super) Bench);

#[async_trait]
impl Plant for BenchPlant {
    async fn damaged_entry(&self, subject: &Subject, key: &Key) {
        let (subject, key) = self.0.fault().at(subject, key);
        self.0.state().set(&subject, key, Slot::Damaged);
    }

    async fn foreign_user(&self, subject: &Subject) {
        let subject = self.0.fault().subject(subject);
        self.0.state().users.insert(subject, User::Foreign);
    }
}

/// An entry that replaces `entry` in answers; for faults that alter what is shown.
pub(super) fn altered(entry: &Entry, alter: impl FnOnce(&mut Entry)) -> Entry {
    let mut entry = entry.clone();
    alter(&mut entry);
    entry
}
