//! The reference: what stands for one user, and what a change or an erasure does to it.

use std::collections::BTreeMap;

use stickystore_core::{Change, Entry, Epoch, EpochCheck, Key, Outcome, Revision, UnixMillis};

/// What stands for one user. Time only moves forward.
#[derive(Debug, Default)]
pub(super) struct Reference {
    entries: BTreeMap<Key, Entry>,
    mark: Option<(Epoch, UnixMillis)>,
}

/// An erasure whose mark would have ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused;

impl Reference {
    /// Forgets what has ended: nothing here asks again whether something lives.
    fn is_now(&mut self, now: UnixMillis) {
        self.entries.retain(|_, entry| match entry.expiry {
            stickystore_core::Expiry::Never => true,
            stickystore_core::Expiry::At(end) => end.get() > now.get(),
        });
        if self.mark.is_some_and(|(_, until)| until.get() <= now.get()) {
            self.mark = None;
        }
    }

    pub(super) fn epoch(&mut self, now: UnixMillis) -> Option<Epoch> {
        self.is_now(now);
        self.mark.map(|(epoch, _)| epoch)
    }

    pub(super) fn entries(&mut self, now: UnixMillis) -> &BTreeMap<Key, Entry> {
        self.is_now(now);
        &self.entries
    }

    pub(super) fn standing(&mut self, key: &Key, now: UnixMillis) -> Option<Revision> {
        self.is_now(now);
        self.entries.get(key).map(|entry| entry.revision)
    }

    pub(super) fn change(&mut self, check: EpochCheck, change: &Change, now: UnixMillis) -> Outcome {
        self.is_now(now);
        if let Some(stickystore_core::Expiry::At(end)) = change.entry().map(|entry| entry.expiry)
            && end.get() <= now.get()
        {
            return Outcome::Expired;
        }
        let knows = match check {
            EpochCheck::Ignore => true,
            EpochCheck::Is(epoch) => epoch == self.mark.map(|(epoch, _)| epoch),
        };
        let stands = self.entries.get(change.key()).cloned();
        match (change, stands) {
            (Change::Put(..), _) | (Change::Insert(..), None) if !knows => Outcome::Erased,
            (Change::Put(key, new), _) => self.set(key, new, Outcome::Written),
            (Change::Insert(key, new), None) => self.set(key, new, Outcome::Inserted),
            (Change::Insert(_, new), Some(old)) if old.revision == new.revision => Outcome::Inserted,
            (Change::Replace(..), None) => Outcome::Gone,
            (Change::Replace(_, _, new), Some(old)) if old.revision == new.revision => Outcome::Replaced,
            (Change::Replace(key, read, new), Some(old)) if old.revision == *read => {
                if old.value.as_str() == new.value.as_str() {
                    Outcome::Unchanged
                } else {
                    self.set(key, new, Outcome::Replaced)
                }
            }
            (Change::Remove(_) | Change::RemoveIf(..), None) => Outcome::WasAbsent,
            (Change::Remove(key), Some(_)) => self.take(key),
            (Change::RemoveIf(key, read), Some(old)) if old.revision == *read => self.take(key),
            (_, Some(old)) => Outcome::Kept(old),
            (unknown, None) => panic!("a change that the model does not know: {unknown:?}"),
        }
    }

    pub(super) fn erase(
        &mut self,
        epoch: Epoch,
        until: UnixMillis,
        now: UnixMillis,
    ) -> Result<bool, Refused> {
        self.is_now(now);
        if until.get() <= now.get() {
            return Err(Refused);
        }
        let end = match self.mark {
            Some((own, _)) if own.is_of_one_erasure(epoch) => return Ok(true),
            Some((_, longer)) if longer.get() > until.get() => longer,
            _ => until,
        };
        let stood = !self.entries.is_empty();
        self.entries.clear();
        self.mark = Some((epoch, end));
        Ok(stood)
    }

    fn set(&mut self, key: &Key, new: &Entry, outcome: Outcome) -> Outcome {
        self.entries.insert(key.clone(), new.clone());
        outcome
    }

    fn take(&mut self, key: &Key) -> Outcome {
        self.entries.remove(key);
        Outcome::Removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::{entry, key};

    fn at(millis: u64) -> UnixMillis {
        UnixMillis::new(millis).unwrap()
    }

    #[test]
    fn a_mark_refuses_what_does_not_know_it_until_it_ends() {
        let (mut user, epoch) = (Reference::default(), Epoch::random());
        let insert = Change::Insert(key("k"), entry("v"));
        assert_eq!(user.erase(epoch, at(10), at(0)), Ok(false));
        assert_eq!(user.change(EpochCheck::Is(None), &insert, at(9)), Outcome::Erased);
        assert_eq!(user.change(EpochCheck::Is(Some(epoch)), &insert, at(9)), Outcome::Inserted);
        assert_eq!(user.erase(epoch, at(10), at(9)), Ok(true));
        assert_eq!(user.entries(at(9)).len(), 1);
        assert_eq!(user.erase(epoch, at(10), at(10)), Err(Refused));
        assert_eq!(user.epoch(at(10)), None);
    }

    #[test]
    fn a_replace_needs_the_revision_and_another_value() {
        let (mut user, old, new) = (Reference::default(), entry("old"), entry("new"));
        let ignore = EpochCheck::Ignore;
        let replace = |read: &Entry, new: &Entry| Change::Replace(key("k"), read.revision, new.clone());
        assert_eq!(user.change(ignore, &replace(&old, &new), at(0)), Outcome::Gone);
        user.change(ignore, &Change::Put(key("k"), old.clone()), at(0));
        assert_eq!(user.change(ignore, &replace(&old, &entry("old")), at(0)), Outcome::Unchanged);
        assert_eq!(user.change(ignore, &replace(&new, &entry("x")), at(0)), Outcome::Kept(old.clone()));
        assert_eq!(user.change(ignore, &replace(&old, &new), at(0)), Outcome::Replaced);
        assert_eq!(user.change(ignore, &replace(&old, &new), at(0)), Outcome::Replaced, "again");
    }
}
