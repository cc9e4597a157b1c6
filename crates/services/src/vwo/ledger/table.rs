//! The rule of the ledger: a pure state machine with bounded memory. No I/O, no clock.
//!
//! Of each user it keeps how the lookups of the last window were answered, in a form that does not grow with their number:
//! not which they were, but for each key whether they agree.
//!
//! - A key *was seen* while a lookup within the window was answered with an entry of it.
//! - It is *split* for a window after a lookup was answered differently from the one before; absent counts as an answer.
//! - All keys of a user are split for a window after a lookup failed.
//! - A set of a key that was not seen inserts. Of one that was seen and is not split, it replaces the revision that all
//!   were handed. Of every other it does nothing: not even an insert, for what was handed out may have gone since.
//!
//! A set consumes nothing: whose it is nobody knows, so the next one is judged as if it were each of them too. What blocks
//! lasts to the very end of its window, what grants ends just before.

use std::collections::hash_map::{Entry, RandomState};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::BuildHasher as _;
use std::time::Duration;

use stickystore_core::{Epoch, Key, Revision, Subject, UnixMillis};

/// How many places there are to remember that somebody was forgotten: half a megabyte.
const PLACES: usize = 65_536;

/// How many keys of one user are kept; with more, the user is forgotten.
const MAX_KEYS: usize = 256;

/// What is known of all users.
#[derive(Clone)]
pub(super) struct Table {
    window: Duration,
    capacity: usize,
    users: HashMap<Subject, Row>,
    /// Each user once, about in the order in which they were last looked up.
    idle: VecDeque<(Subject, UnixMillis)>,
    /// Until when somebody who was forgotten may have lookups under way, by the user's hash; empty until there is somebody.
    evicted_until: Vec<UnixMillis>,
    hasher: RandomState,
    /// The latest time that was told: a clock that is set back stands still.
    latest: UnixMillis,
}

/// How the lookups of a user were answered.
#[derive(Clone)]
struct Row {
    all: Split,
    epoch: Option<Epoch>,
    /// When a lookup was last answered, if one was.
    epoch_at: Option<UnixMillis>,
    /// Lookups before and after an erasure are under way.
    epochs: Split,
    keys: BTreeMap<Key, Seen>,
    touched: UnixMillis,
}

/// How the lookups of a key were answered.
#[derive(Clone)]
struct Seen {
    /// With this; nothing was absent.
    view: Option<Revision>,
    at: UnixMillis,
    split: Split,
    /// Until when a set may carry on what it was handed.
    seen_until: Option<UnixMillis>,
}

/// A time in which lookups that disagree may be under way.
#[derive(Clone, Copy, Default)]
struct Split(Option<(UnixMillis, UnixMillis)>);

/// What a lookup was answered.
#[derive(Clone, Copy)]
pub(super) enum Answer<'a> {
    /// This key, with this entry or none.
    One(&'a Key, Option<Revision>),
    /// All keys; with none but these.
    All(&'a [(Key, Revision)]),
}

/// What a set that proves nothing may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Insert, if the user was not erased since this epoch; none that is known counts as none.
    Insert(Option<Epoch>),
    /// Replace this revision.
    Replace(Revision, Option<Epoch>),
    /// Nothing but add goals to what stands: for so long lookups have failed or differed.
    Ambiguous(Duration),
}

impl Table {
    pub(super) fn new(window: Duration, capacity: usize) -> Self {
        Self {
            window,
            capacity,
            users: HashMap::new(),
            idle: VecDeque::new(),
            evicted_until: Vec::new(),
            hasher: RandomState::new(),
            latest: UnixMillis::EPOCH,
        }
    }

    pub(super) fn window(&self) -> Duration {
        self.window
    }

    pub(super) fn len(&self) -> usize {
        self.users.len()
    }

    /// A lookup was answered; before the answer leaves us.
    pub(super) fn answered(
        &mut self,
        now: UnixMillis,
        subject: &Subject,
        answer: Answer<'_>,
        epoch: Option<Epoch>,
    ) {
        let (now, window) = (self.time(now), self.window);
        let row = self.row(now, subject);
        row.forget(now, window);
        if row.epoch_at.is_some() && row.epoch != epoch {
            row.epochs.split(now, window);
        }
        (row.epoch, row.epoch_at) = (epoch, Some(now));
        match answer {
            Answer::One(key, revision) => row.answered(now, window, key, revision),
            Answer::All(entries) => {
                let absent = |key: &&Key| !entries.iter().any(|(handed_out, _)| handed_out == *key);
                let gone: Vec<_> = row.keys.keys().filter(absent).cloned().collect();
                gone.iter().for_each(|key| row.answered(now, window, key, None));
                entries.iter().for_each(|(key, revision)| row.answered(now, window, key, Some(*revision)));
            }
        }
        if row.keys.len() > MAX_KEYS {
            self.evict(now, subject);
        }
    }

    /// A lookup failed, timed out or was dropped: nobody knows what its caller holds.
    pub(super) fn failed(&mut self, now: UnixMillis, subject: &Subject) {
        let (now, window) = (self.time(now), self.window);
        self.row(now, subject).all.split(now, window);
    }

    /// What a set of this key may do.
    pub(super) fn verdict(&mut self, now: UnixMillis, subject: &Subject, key: &Key) -> Verdict {
        let (now, window) = (self.time(now), self.window);
        let Some(row) = self.users.get(subject) else { return Verdict::Insert(None) };
        let epoch = row.known_epoch(now, window);
        let seen = row.keys.get(key).filter(|seen| seen.seen_until.is_some_and(|until| now <= until));
        let Some(seen) = seen else { return Verdict::Insert(epoch) };
        let splits = [row.all, seen.split].into_iter().filter_map(|split| split.since(now)).min();
        let is_fresh = now < seen.at.saturating_add(window);
        match (seen.view, splits) {
            (Some(revision), None) if is_fresh => Verdict::Replace(revision, epoch),
            (_, since) => Verdict::Ambiguous(now.since(since.unwrap_or(now))),
        }
    }

    fn time(&mut self, now: UnixMillis) -> UnixMillis {
        self.latest = self.latest.max(now);
        self.latest
    }

    /// What is known of this user from now on.
    fn row(&mut self, now: UnixMillis, subject: &Subject) -> &mut Row {
        if !self.users.contains_key(subject) {
            self.make_room(now);
            self.idle.push_back((subject.clone(), now));
        }
        let (place, window) = (self.place(subject), self.window);
        let evicted_until = self.evicted_until.get(place).copied();
        let row = match self.users.entry(subject.clone()) {
            Entry::Occupied(row) => row.into_mut(),
            Entry::Vacant(vacant) => {
                vacant.insert(Row::new(evicted_until.map(|until| Split::until(until, window)), now))
            }
        };
        row.touched = now;
        row
    }

    /// Forgets those of whom nothing is under way any more, and one more if that is not enough.
    fn make_room(&mut self, now: UnixMillis) {
        while let Some((subject, since)) = self.idle.pop_front() {
            let Some(row) = self.users.get(&subject) else { continue };
            let is_over = now > row.touched.saturating_add(self.window);
            if is_over {
                self.users.remove(&subject);
            } else if row.touched > since {
                // Looked up meanwhile: not the one that is idle longest.
                let touched = row.touched;
                self.idle.push_back((subject, touched));
            } else if self.users.len() >= self.capacity {
                self.users.remove(&subject);
                self.mark_evicted(now, &subject);
            } else {
                self.idle.push_front((subject, since));
                return;
            }
        }
    }

    /// Forgets this user towards "no".
    fn evict(&mut self, now: UnixMillis, subject: &Subject) {
        self.mark_evicted(now, subject);
        if let Some(row) = self.users.get_mut(subject) {
            row.keys.clear();
            row.all.split(now, self.window);
        }
    }

    fn mark_evicted(&mut self, now: UnixMillis, subject: &Subject) {
        let (place, until) = (self.place(subject), now.saturating_add(self.window));
        self.evicted_until.resize(PLACES, UnixMillis::EPOCH);
        if let Some(evicted_until) = self.evicted_until.get_mut(place) {
            *evicted_until = until;
        }
    }

    fn place(&self, subject: &Subject) -> usize {
        let hash = self.hasher.hash_one(subject);
        usize::try_from(hash % PLACES as u64).unwrap_or_default()
    }
}

impl Row {
    fn new(all: Option<Split>, now: UnixMillis) -> Self {
        Self {
            all: all.unwrap_or_default(),
            epoch: None,
            epoch_at: None,
            epochs: Split::default(),
            keys: BTreeMap::new(),
            touched: now,
        }
    }

    fn answered(&mut self, now: UnixMillis, window: Duration, key: &Key, revision: Option<Revision>) {
        let first = || Seen { view: revision, at: now, split: Split::default(), seen_until: None };
        let seen = self.keys.entry(key.clone()).or_insert_with(first);
        if seen.view != revision {
            seen.split.split(now, window);
        }
        (seen.view, seen.at) = (revision, now);
        if revision.is_some() {
            seen.seen_until = Some(now.saturating_add(window));
        }
    }

    /// Forgets answers of which nothing is under way any more.
    fn forget(&mut self, now: UnixMillis, window: Duration) {
        self.epoch_at = self.epoch_at.filter(|at| now <= at.saturating_add(window));
        self.keys.retain(|_, seen| now <= seen.at.saturating_add(window) || seen.split.since(now).is_some());
    }

    /// The epoch, if all lookups that may be under way know it; else none, with which nothing passes an erase mark.
    fn known_epoch(&self, now: UnixMillis, window: Duration) -> Option<Epoch> {
        let is_fresh = self.epoch_at.is_some_and(|at| now < at.saturating_add(window));
        let is_split = self.all.since(now).or(self.epochs.since(now)).is_some();
        self.epoch.filter(|_| is_fresh && !is_split)
    }
}

impl Split {
    fn until(until: UnixMillis, window: Duration) -> Self {
        Self(Some((until.saturating_sub(window), until)))
    }

    /// From now on, or for longer if it is going on.
    fn split(&mut self, now: UnixMillis, window: Duration) {
        let since = self.since(now).unwrap_or(now);
        self.0 = Some((since, now.saturating_add(window)));
    }

    /// Since when it goes on, if it does.
    fn since(self, now: UnixMillis) -> Option<UnixMillis> {
        self.0.filter(|(_, until)| now <= *until).map(|(since, _)| since)
    }
}

#[cfg(test)]
mod tests;
