//! The memory store's data and what calls do to it; no locks, no clock.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use crate::call::{Change, EpochCheck, Erase, Keys, Mark, Read};
use crate::codec::Damage;
use crate::decide::{self, Act, Stored, decide, decide_erase};
use crate::entry::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Key, Namespace, Subject, UserId};
use crate::outcome::Outcome;
use crate::profile::{Damaged, Profile};
use crate::scan::{Cursor, Page};
use crate::time::{Expiry, UnixMillis};

/// How many steps a write's sweep makes, each to a slot or to the next user: enough to overtake what writes leave
/// behind, which is a slot of a user at most.
const STEPS_PER_WRITE: usize = 4;

/// When the store is full, everything is swept, but not more often than this.
const FULL_SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Users in the order of their namespaces and ids, so that a scan can go on after any of them.
#[derive(Debug)]
pub(super) struct State {
    users: BTreeMap<Subject, User>,
    slots: usize,
    max_slots: usize,
    grace: Duration,
    /// Where the sweep is: in this user, after this slot.
    hand: Option<(Subject, Option<Key>)>,
    next_full_sweep: UnixMillis,
}

#[derive(Debug)]
enum User {
    Ours { mark: Option<Mark>, slots: BTreeMap<Key, Slot> },
    Foreign,
}

#[derive(Debug)]
pub(super) enum Slot {
    Entry(Entry),
    Damaged(Damage),
}

impl State {
    pub(super) fn new(max_slots: usize, grace: Duration) -> Self {
        let users = BTreeMap::new();
        Self { users, slots: 0, max_slots, grace, hand: None, next_full_sweep: UnixMillis::EPOCH }
    }

    pub(super) fn read(&self, read: &Read, now: UnixMillis) -> Result<Profile> {
        match self.users.get(&read.subject) {
            None => Ok(Profile::default()),
            Some(User::Foreign) => Err(decide::not_ours()),
            Some(User::Ours { mark, slots }) => Ok(profile(*mark, slots, &read.keys, now)),
        }
    }

    pub(super) fn change(
        &mut self,
        subject: &Subject,
        check: EpochCheck,
        change: &Change,
        now: UnixMillis,
    ) -> Result<Outcome> {
        let (mark, slot) = match self.users.get(subject) {
            None => (None, None),
            Some(User::Foreign) => return decide::foreign(change, now),
            Some(User::Ours { mark, slots }) => (*mark, slots.get(change.key())),
        };
        let is_new = slot.is_none();
        let decision = decide(change, slot.map_or(Stored::Absent, Slot::stored), check, mark, now);
        match (decision.act, change.entry()) {
            (Act::Write, Some(entry)) => {
                if is_new {
                    self.make_room(now)?;
                }
                self.set(subject, change.key().clone(), Slot::Entry(entry.clone()));
            }
            (Act::Delete, _) => self.delete(subject, change.key()),
            (Act::Nothing | Act::Write, _) => {}
        }
        decision.outcome
    }

    pub(super) fn erase(&mut self, erase: &Erase, now: UnixMillis) -> Result<bool> {
        let (mark, stood) = match self.users.get(&erase.subject) {
            None => (None, false),
            Some(User::Foreign) => (None, true),
            Some(User::Ours { mark, slots }) => (*mark, slots.values().any(|slot| slot.stands(now))),
        };
        let decision = decide_erase(erase, mark, stood, now)?;
        if decision.leave.is_some() {
            let marked = User::Ours { mark: decision.leave, slots: BTreeMap::new() };
            if let Some(User::Ours { slots, .. }) = self.users.insert(erase.subject.clone(), marked) {
                self.slots -= slots.len();
            }
        }
        Ok(decision.stood)
    }

    pub(super) fn page(
        &self,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
        now: UnixMillis,
    ) -> Result<Page> {
        let users = match cursor {
            // The lowest user id there can be: ids are never empty, and a zero byte comes first.
            None => {
                let first = Subject::new(namespace.clone(), UserId::new("\0")?);
                self.users.range((Bound::Included(first), Bound::Unbounded))
            }
            Some(cursor) => {
                let last = Subject::new(namespace.clone(), UserId::new(cursor.as_str())?);
                self.users.range((Bound::Excluded(last), Bound::Unbounded))
            }
        };
        let mut users = users.take_while(|(subject, _)| subject.namespace == *namespace).peekable();
        let mut page = Page::default();
        for (subject, user) in users.by_ref().take(limit.max(1)) {
            match user {
                User::Foreign => page.foreign += 1,
                User::Ours { mark, slots } => {
                    let profile = profile(*mark, slots, &Keys::All, now);
                    if !profile.is_empty() {
                        page.users.push((subject.user.clone(), profile));
                    }
                }
            }
            page.next = Some(Cursor::new(subject.user.as_str()));
        }
        if users.peek().is_none() {
            page.next = None;
        }
        Ok(page)
    }

    pub(super) fn plant(&mut self, subject: &Subject, key: Key, slot: Slot) {
        self.set(subject, key, slot);
    }

    pub(super) fn plant_foreign(&mut self, subject: &Subject) {
        if let Some(User::Ours { slots, .. }) = self.users.insert(subject.clone(), User::Foreign) {
            self.slots -= slots.len();
        }
    }

    /// Looks at the next few slots after the hand, so that a store that is written to never fills with what ended, and
    /// no write waits for all that others have.
    pub(super) fn sweep_some(&mut self, now: UnixMillis) {
        for _ in 0..STEPS_PER_WRITE {
            self.hand = match self.hand.take() {
                None => self.users.keys().next().map(|first| (first.clone(), None)),
                Some((subject, last)) => self.sweep_after(subject, last, now),
            };
        }
    }

    /// Looks at the slot after this one, or leaves the user if there is none; where the hand stands then.
    fn sweep_after(
        &mut self,
        subject: Subject,
        last: Option<Key>,
        now: UnixMillis,
    ) -> Option<(Subject, Option<Key>)> {
        if let Some(User::Ours { mark, slots }) = self.users.get_mut(&subject) {
            let start = last.map_or(Bound::Unbounded, Bound::Excluded);
            if let Some((key, slot)) = slots.range((start, Bound::Unbounded)).next() {
                let (key, ended) = (key.clone(), slot.is_swept(now, self.grace));
                if ended && slots.remove(&key).is_some() {
                    self.slots -= 1;
                }
                return Some((subject, Some(key)));
            }
            *mark = mark.filter(|mark| !Expiry::At(mark.until).is_swept(now, self.grace));
            if slots.is_empty() && mark.is_none() {
                self.users.remove(&subject);
            }
        }
        let mut after = self.users.range((Bound::Excluded(subject), Bound::Unbounded));
        after.next().map(|(next, _)| (next.clone(), None))
    }

    pub(super) fn sweep_all(&mut self, now: UnixMillis) {
        let subjects: Vec<_> = self.users.keys().cloned().collect();
        for subject in &subjects {
            self.sweep_user(subject, now);
        }
    }

    fn sweep_user(&mut self, subject: &Subject, now: UnixMillis) {
        let Some(User::Ours { mark, slots }) = self.users.get_mut(subject) else { return };
        let before = slots.len();
        slots.retain(|_, slot| !slot.is_swept(now, self.grace));
        self.slots -= before - slots.len();
        *mark = mark.filter(|mark| !Expiry::At(mark.until).is_swept(now, self.grace));
        if slots.is_empty() && mark.is_none() {
            self.users.remove(subject);
        }
    }

    fn make_room(&mut self, now: UnixMillis) -> Result<()> {
        // Further ahead than it is ever set means that a caller with a fast clock has set it.
        let is_due = now >= self.next_full_sweep || self.next_full_sweep.since(now) > FULL_SWEEP_EVERY;
        if self.slots >= self.max_slots && is_due {
            self.next_full_sweep = now.saturating_add(FULL_SWEEP_EVERY);
            self.sweep_all(now);
        }
        if self.slots >= self.max_slots {
            let context = format!("it holds {} entries, the most it was built for", self.max_slots);
            return Err(Error::new(ErrorKind::Full, context));
        }
        Ok(())
    }

    fn set(&mut self, subject: &Subject, key: Key, slot: Slot) {
        let fresh = || User::Ours { mark: None, slots: BTreeMap::new() };
        let user = self.users.entry(subject.clone()).or_insert_with(fresh);
        if let User::Ours { slots, .. } = user
            && slots.insert(key, slot).is_none()
        {
            self.slots += 1;
        }
    }

    fn delete(&mut self, subject: &Subject, key: &Key) {
        let Some(User::Ours { mark, slots }) = self.users.get_mut(subject) else { return };
        if slots.remove(key).is_some() {
            self.slots -= 1;
        }
        if slots.is_empty() && mark.is_none() {
            self.users.remove(subject);
        }
    }
}

impl Slot {
    fn stored(&self) -> Stored<'_> {
        match self {
            Self::Entry(entry) => Stored::Entry(entry),
            Self::Damaged(_) => Stored::Damaged,
        }
    }

    /// Whether it ended longer than the grace ago.
    fn is_swept(&self, now: UnixMillis, grace: Duration) -> bool {
        match self {
            Self::Entry(entry) => entry.expiry.is_swept(now, grace),
            Self::Damaged(_) => false,
        }
    }

    /// Whether an erase counts it as having been there.
    fn stands(&self, now: UnixMillis) -> bool {
        match self {
            Self::Entry(entry) => entry.is_live(now),
            Self::Damaged(_) => true,
        }
    }
}

fn profile(mark: Option<Mark>, slots: &BTreeMap<Key, Slot>, keys: &Keys, now: UnixMillis) -> Profile {
    let mut entries = Vec::new();
    let mut damaged = Vec::new();
    let mut take = |key: &Key, slot: &Slot| match slot {
        Slot::Entry(entry) => entries.push((key.clone(), entry.clone())),
        Slot::Damaged(damage) => damaged.push(Damaged { key: key.clone(), damage: *damage }),
    };
    match keys {
        Keys::All => slots.iter().for_each(|(key, slot)| take(key, slot)),
        Keys::Only(keys) => {
            keys.iter().filter_map(|key| slots.get_key_value(key)).for_each(|(key, slot)| take(key, slot));
        }
    }
    let epoch = mark.filter(|mark| mark.is_live(now)).map(|mark| mark.epoch);
    Profile::new(epoch, entries, damaged, now)
}

#[cfg(test)]
impl State {
    /// How many slots there are, counted.
    pub(super) fn counted_slots(&self) -> usize {
        let count = |user: &User| if let User::Ours { slots, .. } = user { slots.len() } else { 0 };
        self.users.values().map(count).sum()
    }

    /// How many slots there should be, as kept.
    pub(super) fn kept_slots(&self) -> usize {
        self.slots
    }

    pub(super) fn has_no_user(&self) -> bool {
        self.users.is_empty()
    }
}
