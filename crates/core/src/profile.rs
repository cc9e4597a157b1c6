//! The profile: the live entries of a user, what is damaged among them, and the epoch.

use std::fmt;

use triomphe::ThinArc;

use crate::codec::Damage;
use crate::entry::Entry;
use crate::id::Key;
use crate::revision::Epoch;
use crate::time::UnixMillis;

/// The live entries of a user, in the order of their keys.
///
/// An absent user has none. It still has an epoch while an erase mark lives. Cheap to clone: clones share the entries,
/// which never change.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Profile(
    /// One piece of memory, shared, so that a cache can hand out what it holds. Nothing where there is nothing.
    Option<ThinArc<Head, (Key, Entry)>>,
);

/// Nothing in nearly all profiles.
type Head = Option<Box<Rare>>;

/// What few profiles have.
#[derive(Debug, PartialEq, Eq)]
struct Rare {
    epoch: Option<Epoch>,
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
        if !entries.is_sorted_by(|(one, _), (next, _)| one < next) {
            entries.sort_by(|(one, _), (next, _)| one.cmp(next));
            entries.dedup_by(|(next, _), (one, _)| one == next);
        }
        let is_rare = epoch.is_some() || !damaged.is_empty();
        if entries.is_empty() && !is_rare {
            return Self::default();
        }
        let rare = is_rare.then(|| Box::new(Rare { epoch, damaged }));
        Self(Some(ThinArc::from_header_and_iter(rare, entries.into_iter())))
    }

    /// The epoch of the live erase mark, if there is one: what a write that follows from this read carries.
    pub fn epoch(&self) -> Option<Epoch> {
        self.rare()?.epoch
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
        self.all().is_empty() && self.damaged().is_empty()
    }

    /// The entries that stand there and cannot be read.
    pub fn damaged(&self) -> &[Damaged] {
        self.rare().map_or(&[], |rare| &rare.damaged)
    }

    fn all(&self) -> &[(Key, Entry)] {
        self.0.as_ref().map_or(&[], |found| &found.slice)
    }

    fn rare(&self) -> Option<&Rare> {
        self.0.as_ref()?.header.header.as_deref()
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut profile = f.debug_struct("Profile");
        profile.field("epoch", &self.epoch()).field("entries", &self.all());
        profile.field("damaged", &self.damaged()).finish()
    }
}

impl IntoIterator for Profile {
    type Item = (Key, Entry);
    type IntoIter = IntoEntries;

    fn into_iter(self) -> IntoEntries {
        IntoEntries { profile: self, next: 0 }
    }
}

/// The entries of a [`Profile`], in the order of their keys.
#[derive(Debug, Clone)]
pub struct IntoEntries {
    profile: Profile,
    next: usize,
}

impl Iterator for IntoEntries {
    type Item = (Key, Entry);

    fn next(&mut self) -> Option<(Key, Entry)> {
        let entry = self.profile.all().get(self.next)?;
        self.next += 1;
        Some(entry.clone())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.profile.len() - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for IntoEntries {}

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
