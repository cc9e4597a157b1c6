//! The entry: the value that the SDK wants kept, its expiry, its revision, and what it replaced.

use std::fmt;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use triomphe::ThinArc;

use crate::codec;
use crate::error::{Error, ErrorKind, Result};
use crate::revision::{Revision, decode64, encode64};
use crate::time::{Expiry, UnixMillis};
use crate::value::Value;

/// What is kept for a user and a key; the same as written and as stored.
///
/// ```
/// use stickystore_core::{Entry, Expiry, Value};
///
/// let entry = Entry::new(Value::string("blue"), Expiry::Never);
/// assert_ne!(entry.revision, Entry::new(Value::string("blue"), Expiry::Never).revision);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// What the SDK wants kept.
    pub value: Value,
    /// When it ends.
    pub expiry: Expiry,
    /// Names the write that made it.
    pub revision: Revision,
    /// The values that it and its predecessors replaced a short while ago. Stores keep it verbatim.
    pub was: Was,
    /// Members that a newer version wrote and this one does not know. Stores keep them verbatim.
    pub unknown: Unknown,
}

impl Entry {
    /// A new entry under a new revision, which replaced nothing.
    pub fn new(value: Value, expiry: Expiry) -> Self {
        Self { value, expiry, revision: Revision::random(), was: Was::default(), unknown: Unknown::default() }
    }

    /// An entry as a store found it, under the revision that it has.
    pub fn stored(value: Value, expiry: Expiry, revision: Revision) -> Self {
        Self { value, expiry, revision, was: Was::default(), unknown: Unknown::default() }
    }

    /// The same under this revision.
    #[must_use]
    pub fn with_revision(mut self, revision: Revision) -> Self {
        self.revision = revision;
        self
    }

    /// The same with this history.
    #[must_use]
    pub fn with_was(mut self, was: Was) -> Self {
        self.was = was;
        self
    }

    /// The same with these members of a newer version.
    #[must_use]
    pub fn with_unknown(mut self, unknown: Unknown) -> Self {
        self.unknown = unknown;
        self
    }

    /// How many bytes its value and its unknown members have: what a store's limit is compared with.
    pub fn size_bytes(&self) -> usize {
        let unknown = self.unknown.iter().map(|(name, value)| name.len() + value.len_bytes());
        self.value.len_bytes() + unknown.sum::<usize>()
    }

    /// Whether it is live: `now < expiry`.
    pub fn is_live(&self, now: UnixMillis) -> bool {
        self.expiry.is_live(now)
    }
}

/// 8 bytes that stand for a value in [`Was`]: the first of SHA-256 over its text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ValueHash([u8; 8]);

impl ValueHash {
    /// The hash of this text.
    pub fn of(text: &str) -> Self {
        let mut bytes = [0; 8];
        for (byte, hashed) in bytes.iter_mut().zip(Sha256::digest(text)) {
            *byte = hashed;
        }
        Self(bytes)
    }

    /// From its text: 11 characters of base64url, as `Display` writes it.
    pub fn parse(text: &str) -> Option<Self> {
        decode64(text).map(Self)
    }
}

impl fmt::Display for ValueHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode64(self.0))
    }
}

impl fmt::Debug for ValueHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ValueHash({self})")
    }
}

/// Which values an entry and its predecessors replaced, and when: newest first, at most [`Was::MAX`].
///
/// Services use it to end a war: two datafiles that do not know each other's variation replace it in turn,
/// for ever, while a rollout lasts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Was(Option<ThinArc<(), (ValueHash, UnixMillis)>>);

impl Was {
    /// The most that is remembered.
    pub const MAX: usize = 8;

    /// A history from its parts, newest first; more than [`Was::MAX`] are cut off at the old end.
    pub fn new(mut replaced: Vec<(ValueHash, UnixMillis)>) -> Self {
        replaced.truncate(Self::MAX);
        Self(list(replaced))
    }

    /// What was replaced and when, newest first.
    pub fn iter(&self) -> impl Iterator<Item = (ValueHash, UnixMillis)> {
        listed(&self.0).iter().copied()
    }

    /// Whether nothing was.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The history of an entry with the value `next`, written `now` in the place of one with this history and
    /// the value `replaced`; or nothing if that would be a war.
    ///
    /// It is one if `next` was itself replaced within `memory`, or if more than [`Was::MAX`] values were.
    pub fn after_replacing(
        &self,
        replaced: ValueHash,
        next: ValueHash,
        now: UnixMillis,
        memory: Duration,
    ) -> Option<Self> {
        let since = now.saturating_sub(memory);
        let recent = || self.iter().filter(|&(_, at)| at > since);
        if recent().any(|(hash, _)| hash == next) || recent().count() >= Self::MAX {
            return None;
        }
        // What this process need not remember, another may: only the number of places limits what is carried on.
        Some(Self::new(std::iter::once((replaced, now)).chain(self.iter()).collect()))
    }
}

/// Members of a stored entry that this version does not know, each with its JSON text.
///
/// They are written back as they were by whoever carries an entry on, so that an older version among newer
/// ones loses nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unknown(Option<ThinArc<(), (Box<str>, Value)>>);

impl Unknown {
    /// From the members, in their order.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if a name is there twice, or is one that this version knows ([`codec::MEMBERS`]): written
    /// down, it would stand in the place of what the entry itself says.
    pub fn new(members: Vec<(Box<str>, Value)>) -> Result<Self> {
        let mut names: Vec<_> = members.iter().map(|(name, _)| name.as_ref()).collect();
        names.sort_unstable();
        let twice = names.windows(2).any(|pair| pair.first() == pair.last());
        if twice || names.iter().any(|name| codec::MEMBERS.contains(name)) {
            return Err(Error::new(
                ErrorKind::Invalid,
                "an unknown member has a name that is known or is there twice",
            ));
        }
        Ok(Self(list(members)))
    }

    /// The members, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        listed(&self.0).iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

/// A list in the room of one pointer: nearly all entries have nothing there.
fn list<T>(items: Vec<T>) -> Option<ThinArc<(), T>> {
    (!items.is_empty()).then(|| ThinArc::from_header_and_iter((), items.into_iter()))
}

fn listed<T>(list: &Option<ThinArc<(), T>>) -> &[T] {
    list.as_ref().map_or(&[], |list| &list.slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: Duration = Duration::from_secs(600);

    fn at(second: u64) -> UnixMillis {
        UnixMillis::new(1_000_000_000 + second * 1_000).unwrap()
    }

    #[test]
    fn an_entry_takes_five_words() {
        assert_eq!(size_of::<Entry>(), 5 * size_of::<u64>());
    }

    fn hash(text: &str) -> ValueHash {
        ValueHash::of(text)
    }

    #[test]
    fn an_unknown_member_can_not_pose_as_a_known_one() {
        let one = |name: &str| (Box::from(name), Value::string("x"));
        for names in [vec!["value"], vec!["a", "revision"], vec!["a", "b", "a"]] {
            let error = Unknown::new(names.iter().map(|name| one(name)).collect()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{names:?}");
        }
        assert!(Unknown::new(vec![one("b"), one("a")]).is_ok());
    }

    #[test]
    fn no_value_returns_within_the_memory_also_not_by_a_detour() {
        let first = Was::default().after_replacing(hash("A"), hash("B"), at(0), MEMORY).unwrap();
        let second = first.after_replacing(hash("B"), hash("C"), at(1), MEMORY).unwrap();
        assert!(second.after_replacing(hash("C"), hash("A"), at(2), MEMORY).is_none());
        assert!(second.after_replacing(hash("C"), hash("B"), at(2), MEMORY).is_none());
        assert!(second.after_replacing(hash("C"), hash("A"), at(600), MEMORY).is_some());
    }

    #[test]
    fn beyond_the_last_place_everything_is_a_war() {
        let mut was = Was::default();
        for turn in 0..Was::MAX {
            let (old, new) = (turn.to_string(), (turn + 1).to_string());
            was = was.after_replacing(hash(&old), hash(&new), at(turn as u64), MEMORY).unwrap();
        }
        assert_eq!(was.iter().count(), Was::MAX);
        assert!(was.after_replacing(hash("8"), hash("9"), at(9), MEMORY).is_none());
        let later = was.after_replacing(hash("8"), hash("9"), at(601), MEMORY).unwrap();
        assert_eq!(later.iter().count(), Was::MAX, "the oldest made room");
    }
}
