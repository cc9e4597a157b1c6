//! The profile: the live entries of a user, what is damaged among them, and the epoch.

use std::sync::Arc;

use crate::codec::Damage;
use crate::entry::Entry;
use crate::id::Key;
use crate::revision::Epoch;
use crate::time::UnixMillis;

/// The live entries of a user, in the order of their keys.
///
/// An absent user has none. It still has an epoch while an erase mark lives. Cheap to clone: clones share the entries,
/// which never change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profile {
    epoch: Option<Epoch>,
    /// Shared, so that a cache can hand out what it holds. Nothing where there is nothing.
    found: Option<Arc<Found>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Found {
    entries: Vec<(Key, Entry)>,
    damaged: Vec<Damaged>,
}

impl Profile {
    /// A profile from what a store found. Entries that have expired `now` are left out.
    pub fn new(
        epoch: Option<Epoch>,
        entries: impl IntoIterator<Item = (Key, Entry)>,
        damaged: Vec<Damaged>,
        now: UnixMillis,
    ) -> Self {
        let mut entries: Vec<_> = entries.into_iter().filter(|(_, entry)| entry.is_live(now)).collect();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        entries.dedup_by(|(a, _), (b, _)| a == b);
        let is_empty = entries.is_empty() && damaged.is_empty();
        Self { epoch, found: (!is_empty).then(|| Arc::new(Found { entries, damaged })) }
    }

    /// The epoch of the live erase mark, if there is one: what a write that follows from this read carries.
    pub fn epoch(&self) -> Option<Epoch> {
        self.epoch
    }

    /// The entry under this key.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        let entries = self.all();
        let place = entries.binary_search_by(|(at, _)| at.as_str().cmp(key)).ok()?;
        entries.get(place).map(|(_, entry)| entry)
    }

    /// All entries, in the order of their keys.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&Key, &Entry)> {
        self.all().iter().map(|(key, entry)| (key, entry))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.all().len()
    }

    /// Whether there are none, and none that are damaged.
    pub fn is_empty(&self) -> bool {
        self.found.is_none()
    }

    /// The entries that stand there and cannot be read.
    pub fn damaged(&self) -> &[Damaged] {
        self.found.as_ref().map_or(&[], |found| &found.damaged)
    }

    fn all(&self) -> &[(Key, Entry)] {
        self.found.as_ref().map_or(&[], |found| &found.entries)
    }
}

impl IntoIterator for Profile {
    type Item = (Key, Entry);
    type IntoIter = std::vec::IntoIter<(Key, Entry)>;

    fn into_iter(self) -> Self::IntoIter {
        self.found.map(|found| Arc::unwrap_or_clone(found).entries).unwrap_or_default().into_iter()
    }
}

/// A stored entry that cannot be read. It stays until somebody puts over it or removes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damaged {
    /// Where it stands.
    pub key: Key,
    /// What is wrong with it.
    pub damage: Damage,
}

impl Damaged {
    /// What stands under this key is damaged in this way.
    pub fn new(key: Key, damage: Damage) -> Self {
        Self { key, damage }
    }
}
