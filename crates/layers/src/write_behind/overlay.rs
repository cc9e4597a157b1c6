//! A read laid under what is queued: what it will be, should the store take all of it. No I/O.

use std::collections::BTreeMap;

use stickystore_core::decide::{Act, Stored, decide};
use stickystore_core::{Change, EpochCheck, Mark, Profile, UnixMillis};

/// The profile as these changes, in order, would make it, judged by the same table as the store does.
///
/// What the store will refuse is not shown, as far as this read can tell: an insert where something stands, a replacement of
/// what was replaced since, everything from before an erasure. Damaged entries stay.
pub(super) fn lay(profile: Profile, changes: &[(EpochCheck, Change)], now: UnixMillis) -> Profile {
    if changes.is_empty() {
        return profile;
    }
    let epoch = profile.epoch();
    // A read gives the epoch of a live mark only.
    let mark = epoch.map(|epoch| Mark::new(epoch, UnixMillis::MAX));
    let damaged = profile.damaged().to_vec();
    let mut entries: BTreeMap<_, _> = profile.into_iter().collect();
    for (check, change) in changes {
        let key = change.key();
        let stored = match entries.get(key) {
            Some(entry) => Stored::Entry(entry),
            None if damaged.iter().any(|damaged| damaged.key == *key) => Stored::Damaged,
            None => Stored::Absent,
        };
        match (decide(change, stored, *check, mark, now).act, change.entry()) {
            (Act::Write, Some(entry)) => drop(entries.insert(key.clone(), entry.clone())),
            (Act::Delete, _) => drop(entries.remove(key)),
            (Act::Write | Act::Nothing, _) => {}
        }
    }
    Profile::new(epoch, entries, damaged, now)
}
