//! What is asked of a store: the call with its time and deadline, reads, writes with their changes, erases.
//!
//! What comes back is in `profile` and `outcome`; what a change does is in `decide`.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::entry::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Key, Subject};
use crate::revision::{Epoch, Revision};
use crate::time::{Clock, UnixMillis};

/// The most changes in one [`Write`], and the most keys in one [`Keys::only`].
pub const MAX_CHANGES: usize = 1024;

/// When a call happens and until when it may take. Stores own no clock and no default.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Call {
    /// The time by which expiry and erase marks are judged.
    pub now: UnixMillis,
    /// When the caller stops waiting: a store answers by then, within 100 ms.
    pub deadline: Instant,
}

impl Call {
    /// A call at this time, with this deadline.
    pub fn new(now: UnixMillis, deadline: Instant) -> Self {
        Self { now, deadline }
    }

    /// A call that happens now and may take this long.
    pub fn within(clock: &impl Clock, time: Duration) -> Self {
        let start = Instant::now();
        // A time so long that the clock cannot hold it means "as long as it takes"; a year is.
        let deadline = start.checked_add(time).unwrap_or(start + Duration::from_secs(365 * 86_400));
        Self { now: clock.now(), deadline }
    }

    /// The same call with another deadline, for layers that keep some of the time for themselves.
    #[must_use]
    pub fn with_deadline(self, deadline: Instant) -> Self {
        Self { deadline, ..self }
    }

    /// The same call at another time.
    #[must_use]
    pub fn at(self, now: UnixMillis) -> Self {
        Self { now, ..self }
    }

    /// How long there is until the deadline; zero when it has passed.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// Which entries of a user are read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Keys {
    /// All of them.
    All,
    /// These.
    Only(KeySet),
}

impl Keys {
    /// These keys; one that is named twice is read once.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for more than [`MAX_CHANGES`].
    pub fn only(keys: impl IntoIterator<Item = Key>) -> Result<Self> {
        let mut keys: Vec<_> = keys.into_iter().collect();
        keys.sort_unstable();
        keys.dedup();
        check_count(keys.len(), "a read names", "keys")?;
        Ok(Self::Only(KeySet(keys)))
    }
}

/// Some keys, in their order, each once and at most [`MAX_CHANGES`]; made by [`Keys::only`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySet(Vec<Key>);

impl KeySet {
    /// Whether this key is among them.
    pub fn contains(&self, key: &Key) -> bool {
        self.0.binary_search(key).is_ok()
    }
}

impl std::ops::Deref for KeySet {
    type Target = [Key];

    fn deref(&self) -> &[Key] {
        &self.0
    }
}

impl<'a> IntoIterator for &'a KeySet {
    type Item = &'a Key;
    type IntoIter = std::slice::Iter<'a, Key>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// One user's entries, all or some.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Read {
    /// Whose.
    pub subject: Subject,
    /// Which.
    pub keys: Keys,
}

impl Read {
    /// All entries of this user.
    pub fn all(subject: Subject) -> Self {
        Self { subject, keys: Keys::All }
    }

    /// These entries of this user.
    pub fn some(subject: Subject, keys: Keys) -> Self {
        Self { subject, keys }
    }
}

/// Changes of one user's entries: each is atomic and has its own outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    subject: Subject,
    epoch: EpochCheck,
    changes: Vec<Change>,
}

impl Write {
    /// These changes of this user.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if a key is named twice, if a replacement has the very revision that it replaces, or for
    /// more than [`MAX_CHANGES`].
    pub fn new(subject: Subject, epoch: EpochCheck, changes: Vec<Change>) -> Result<Self> {
        check_count(changes.len(), "a write has", "changes")?;
        if changes
            .iter()
            .any(|change| matches!(change, Change::Replace(_, read, new) if *read == new.revision))
        {
            let context =
                "a replacement needs a revision of its own, or it would pass for a retry and write nothing";
            return Err(Error::new(ErrorKind::Invalid, context));
        }
        let mut seen = HashSet::with_capacity(changes.len());
        if !changes.iter().all(|change| seen.insert(change.key())) {
            return Err(Error::new(ErrorKind::Invalid, "a write names the same key twice"));
        }
        drop(seen);
        Ok(Self { subject, epoch, changes })
    }

    /// Whose entries.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Which erasures the writer knows of.
    pub fn epoch(&self) -> EpochCheck {
        self.epoch
    }

    /// What is to change.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The same changes for another subject, for layers that rename users.
    #[must_use]
    pub fn with_subject(&self, subject: Subject) -> Self {
        Self { subject, epoch: self.epoch, changes: self.changes.clone() }
    }

    /// Only those changes that pass, in their order, for layers that answer or repeat some of them.
    #[must_use]
    pub fn filtered(&self, mut pass: impl FnMut(usize, &Change) -> bool) -> Self {
        let changes = self.changes.iter().enumerate();
        let changes =
            changes.filter(|(i, change)| pass(*i, change)).map(|(_, change)| change.clone()).collect();
        Self { subject: self.subject.clone(), epoch: self.epoch, changes }
    }
}

/// Which erasures of the user the writer knows of: what it read as [`Profile::epoch`](crate::Profile::epoch).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EpochCheck {
    /// Whatever was erased: for an operator's explicit put.
    Ignore,
    /// Only if this stands: no live erase mark, or the one with this epoch. A blind save uses `Is(None)`.
    Is(Option<Epoch>),
}

/// One change of one entry. What each does to what stands there: the table of [`decide`](crate::decide()).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Writes the entry if nothing live stands there.
    Insert(Key, Entry),
    /// Writes the entry over whatever stands there.
    Put(Key, Entry),
    /// Writes the entry, under a new revision, in the place of the one with this revision.
    Replace(Key, Revision, Entry),
    /// Removes whatever stands there.
    Remove(Key),
    /// Removes the entry with this revision.
    RemoveIf(Key, Revision),
}

impl Change {
    /// Which entry it changes.
    pub fn key(&self) -> &Key {
        match self {
            Self::Insert(key, _)
            | Self::Put(key, _)
            | Self::Replace(key, _, _)
            | Self::Remove(key)
            | Self::RemoveIf(key, _) => key,
        }
    }

    /// The entry that it would write.
    pub fn entry(&self) -> Option<&Entry> {
        match self {
            Self::Insert(_, entry) | Self::Put(_, entry) | Self::Replace(_, _, entry) => Some(entry),
            Self::Remove(_) | Self::RemoveIf(_, _) => None,
        }
    }
}

/// Erases a user: everything that stands goes, and a mark with a new epoch stays for a while.
///
/// The mark keeps writes that were under way from bringing the data back, so it has to outlive them: their
/// deadline, queues and journals, and the difference of clocks.
///
/// An attempt that arrives while the mark of one of its own lives removes nothing newer. One that arrives after *another*
/// erasure took the mark over erases anew. So whoever sends it again numbers the attempt ([`attempt`](Self::attempt)): under
/// the same epoch, what knew of the first would be let in again, though it knows nothing of the erasure in between.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Erase {
    /// Whom.
    pub subject: Subject,
    /// The new epoch: of this attempt of the erasure.
    pub epoch: Epoch,
    /// When the mark ends.
    pub mark_until: UnixMillis,
}

impl Erase {
    /// How long a mark should live unless somebody knows better: 15 minutes.
    pub const MARK_LIFE: Duration = Duration::from_secs(15 * 60);

    /// Erases this user under a new epoch, with a mark of [`Erase::MARK_LIFE`].
    pub fn new(subject: Subject, now: UnixMillis) -> Self {
        Self { subject, epoch: Epoch::random(), mark_until: now.saturating_add(Self::MARK_LIFE) }
    }

    /// The same erasure of another subject, for layers that rename users.
    #[must_use]
    pub fn with_subject(self, subject: Subject) -> Self {
        Self { subject, ..self }
    }

    /// The attempt of the same erasure that comes so many after this one: see [`Epoch::attempt`].
    #[must_use]
    pub fn attempt(self, after: u8) -> Self {
        Self { epoch: self.epoch.attempt(after), ..self }
    }

    /// With this epoch: of an attempt that went before.
    #[must_use]
    pub fn with_epoch(self, epoch: Epoch) -> Self {
        Self { epoch, ..self }
    }

    /// With a mark that ends then.
    #[must_use]
    pub fn with_mark_until(self, mark_until: UnixMillis) -> Self {
        Self { mark_until, ..self }
    }
}

/// What an erasure leaves for a while; it holds no assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Mark {
    /// Which erasure left it.
    pub epoch: Epoch,
    /// When it ends.
    pub until: UnixMillis,
}

impl Mark {
    /// The mark of this erasure, until then.
    pub fn new(epoch: Epoch, until: UnixMillis) -> Self {
        Self { epoch, until }
    }

    /// Whether it still counts: `now < until`.
    pub fn is_live(&self, now: UnixMillis) -> bool {
        now < self.until
    }
}

fn check_count(count: usize, who: &str, what: &str) -> Result<()> {
    if count > MAX_CHANGES {
        let context = format!("{who} {count} {what}, and at most {MAX_CHANGES} are allowed; split it");
        return Err(Error::new(ErrorKind::Invalid, context));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Namespace, UserId};

    fn subject() -> Subject {
        Subject::new(Namespace::new("n").unwrap(), UserId::new("u").unwrap())
    }

    fn removes(count: usize) -> Vec<Change> {
        (0..count).map(|i| Change::Remove(Key::new(i.to_string()).unwrap())).collect()
    }

    #[test]
    fn a_key_named_twice_is_refused() {
        let key = Key::new("k").unwrap();
        let changes = vec![Change::Remove(key.clone()), Change::RemoveIf(key, Revision::random())];
        let error = Write::new(subject(), EpochCheck::Ignore, changes).unwrap_err();
        assert_eq!(error.context(), "a write names the same key twice");
    }

    #[test]
    fn a_replacement_under_the_revision_that_it_replaces_is_refused() {
        let entry = Entry::new(crate::Value::string("v"), crate::Expiry::Never);
        let replace = |read| vec![Change::Replace(Key::new("k").unwrap(), read, entry.clone())];
        let error = Write::new(subject(), EpochCheck::Ignore, replace(entry.revision)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(Write::new(subject(), EpochCheck::Ignore, replace(Revision::random())).is_ok());
    }

    #[test]
    fn the_limit_of_changes_is_inclusive() {
        assert!(Write::new(subject(), EpochCheck::Ignore, removes(MAX_CHANGES)).is_ok());
        let error = Write::new(subject(), EpochCheck::Ignore, removes(MAX_CHANGES + 1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }

    #[test]
    fn a_layer_can_rebuild_a_write() {
        let write = Write::new(subject(), EpochCheck::Is(None), removes(3)).unwrap();
        let odd = write.filtered(|i, _| i % 2 == 1);
        assert_eq!(odd.changes(), &write.changes()[1..2]);
        assert_eq!(odd.epoch(), EpochCheck::Is(None));
    }
}
