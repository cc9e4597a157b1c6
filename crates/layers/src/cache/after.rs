//! What stands after a write, where its answers say so.

use stickystore_core::decide::{Act, Stored, decide};
use stickystore_core::{Change, Damaged, Entry, EpochCheck, Key, Outcome, Profile, Result, UnixMillis};

/// A user as it was held, while a write's answers are gone through.
pub(super) struct After {
    entries: Vec<(Key, Entry)>,
    damaged: Vec<Damaged>,
}

impl After {
    /// A user without erase mark who was held like this.
    pub(super) fn new(held: &Profile) -> Self {
        Self { entries: held.clone().into_iter().collect(), damaged: held.damaged().to_vec() }
    }

    /// Makes a change here that was answered so. False if the answer does not say what stands, or is not what it would be
    /// over what was held: then somebody else wrote, and nothing of it can be relied on any more.
    pub(super) fn change(
        &mut self,
        change: &Change,
        check: EpochCheck,
        now: UnixMillis,
        answer: &Result<Outcome>,
    ) -> bool {
        let key = change.key();
        let stored = match self.entries.iter().find(|(at, _)| at == key) {
            Some((_, entry)) => Stored::Entry(entry),
            None if self.damaged.iter().any(|damaged| damaged.key == *key) => Stored::Damaged,
            None => Stored::Absent,
        };
        let ours = decide(change, stored, check, None, now);
        let (Ok(wanted), Ok(given)) = (&ours.outcome, answer) else {
            return false;
        };
        if wanted != given {
            return false;
        }
        match (ours.act, change.entry()) {
            (Act::Nothing, _) => {}
            (Act::Delete, _) | (Act::Write, None) => self.take(key),
            (Act::Write, Some(entry)) => {
                self.take(key);
                self.entries.push((key.clone(), entry.clone()));
            }
        }
        true
    }

    /// The user as it now stands.
    pub(super) fn profile(self, now: UnixMillis) -> Profile {
        Profile::new(None, self.entries, self.damaged, now)
    }

    fn take(&mut self, key: &Key) {
        self.entries.retain(|(at, _)| at != key);
        self.damaged.retain(|damaged| damaged.key != *key);
    }
}
