//! What the bench keeps: users with their marks and slots, open to every fault.

use std::collections::BTreeMap;

use stickystore_core::{Entry, Key, Mark, Subject};

/// Users in the order of their namespaces and ids.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) users: BTreeMap<Subject, User>,
}

/// What stands under a user's storage key.
#[derive(Debug, Clone)]
pub(super) enum User {
    Ours(Ours),
    Foreign,
}

/// A user's mark and entries.
#[derive(Debug, Clone, Default)]
pub(super) struct Ours {
    pub(super) mark: Option<Mark>,
    pub(super) slots: BTreeMap<Key, Slot>,
}

/// What stands under a key.
#[derive(Debug, Clone)]
pub(super) enum Slot {
    Entry(Entry),
    Damaged,
}

impl State {
    pub(super) fn ours(&self, subject: &Subject) -> Option<&Ours> {
        match self.users.get(subject) {
            Some(User::Ours(ours)) => Some(ours),
            Some(User::Foreign) | None => None,
        }
    }

    pub(super) fn ours_mut(&mut self, subject: &Subject) -> Option<&mut Ours> {
        match self.users.get_mut(subject) {
            Some(User::Ours(ours)) => Some(ours),
            Some(User::Foreign) | None => None,
        }
    }

    pub(super) fn is_foreign(&self, subject: &Subject) -> bool {
        matches!(self.users.get(subject), Some(User::Foreign))
    }

    pub(super) fn mark(&self, subject: &Subject) -> Option<Mark> {
        self.ours(subject).and_then(|ours| ours.mark)
    }

    pub(super) fn entry_mut(&mut self, subject: &Subject, key: &Key) -> Option<&mut Entry> {
        match self.ours_mut(subject)?.slots.get_mut(key) {
            Some(Slot::Entry(entry)) => Some(entry),
            Some(Slot::Damaged) | None => None,
        }
    }

    pub(super) fn set(&mut self, subject: &Subject, key: Key, slot: Slot) {
        let user = self.users.entry(subject.clone()).or_insert_with(|| User::Ours(Ours::default()));
        if let User::Ours(ours) = user {
            ours.slots.insert(key, slot);
        }
    }

    pub(super) fn remove(&mut self, subject: &Subject, key: &Key) {
        if let Some(ours) = self.ours_mut(subject) {
            ours.slots.remove(key);
        }
        self.forget_empty(subject);
    }

    /// A user without entries and mark is nothing.
    pub(super) fn forget_empty(&mut self, subject: &Subject) {
        if self.ours(subject).is_some_and(|ours| ours.slots.is_empty() && ours.mark.is_none()) {
            self.users.remove(subject);
        }
    }
}
