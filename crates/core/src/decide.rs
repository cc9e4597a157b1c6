//! What a change does to what is stored: the outcome tables, as one pure function.
//!
//! Stores that can run code next to their data call it; the others are held to it by property tests. Whoever
//! calls it does so in the same atomic step in which it acts on the answer.

use crate::call::{Change, EpochCheck, Erase, Mark};
use crate::entry::Entry;
use crate::error::{Effect, Error, ErrorKind, Result};
use crate::outcome::Outcome;
use crate::revision::Revision;
use crate::time::UnixMillis;

/// What stands under a key of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored<'a> {
    /// Nothing.
    Absent,
    /// An entry, live or expired and not yet swept.
    Entry(&'a Entry),
    /// Something that cannot be read as an entry.
    Damaged,
}

/// What the store has to do for an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Leave everything as it is.
    Nothing,
    /// Write the change's entry.
    Write,
    /// Take away what stands there.
    Delete,
}

/// The answer to a change and what it takes.
#[derive(Debug, Clone)]
pub struct Decision {
    /// What the caller is told. The only error is [`ErrorKind::Corrupt`].
    pub outcome: Result<Outcome>,
    /// What the store does.
    pub act: Act,
}

/// Judges one change against what stands under its key, in this order:
///
/// 1. The change's own expiry has passed: `Expired`, and nothing else is looked at.
/// 2. The [epoch check](passes) fails: `Put`, and `Insert` where nothing live stands, answer `Erased`; the others
///    create nothing and ignore it.
/// 3. The table. *Live* means `now < expiry`; *equal* means the same JSON text.
///
/// | change | absent, or expired | live | damaged |
/// |---|---|---|---|
/// | `Insert` | `Inserted` | own revision (a retry): `Inserted`; else `Kept`, also when equal | `Corrupt` |
/// | `Put` | `Written` | `Written`, also when equal | `Written` |
/// | `Replace(r)` | `Gone`, also when the expired entry is r | own new revision (a retry): `Replaced`; r and equal: `Unchanged`; r: `Replaced`; else `Kept` | `Corrupt` |
/// | `Remove` | `WasAbsent` | `Removed` | `Removed` |
/// | `RemoveIf(r)` | `WasAbsent` | r: `Removed`; else `Kept` | `Corrupt` |
///
/// When what stands under the user's whole storage key is not ours, the store answers `Corrupt` for every change
/// whose expiry has not passed, without asking here: see [`foreign`].
pub fn decide(
    change: &Change,
    stored: Stored<'_>,
    check: EpochCheck,
    mark: Option<Mark>,
    now: UnixMillis,
) -> Decision {
    if is_expired(change, now) {
        return Decision::leave(Outcome::Expired);
    }
    let live = match stored {
        Stored::Entry(entry) if entry.is_live(now) => Some(entry),
        _ => None,
    };
    let creates = match change {
        Change::Put(..) => true,
        Change::Insert(..) => live.is_none(),
        Change::Replace(..) | Change::Remove(_) | Change::RemoveIf(..) => false,
    };
    if creates && !passes(check, mark, now) {
        return Decision::leave(Outcome::Erased);
    }
    match (change, live) {
        (Change::Put(..), _) => Decision::write(Outcome::Written),
        (Change::Remove(_), Some(_)) => Decision::delete(),
        (Change::Remove(_), None) if stored == Stored::Damaged => Decision::delete(),
        (Change::Insert(..) | Change::Replace(..) | Change::RemoveIf(..), None)
            if stored == Stored::Damaged =>
        {
            Decision { outcome: Err(damaged()), act: Act::Nothing }
        }
        (Change::Insert(..), None) => Decision::write(Outcome::Inserted),
        (Change::Replace(..), None) => Decision::leave(Outcome::Gone),
        (Change::Remove(_) | Change::RemoveIf(..), None) => Decision::leave(Outcome::WasAbsent),
        (Change::Insert(_, new), Some(live)) if live.revision == new.revision => {
            Decision::leave(Outcome::Inserted)
        }
        (Change::Replace(_, read, new), Some(live)) => replace(*read, new, live),
        (Change::RemoveIf(_, read), Some(live)) if live.revision == *read => Decision::delete(),
        (Change::Insert(..) | Change::RemoveIf(..), Some(live)) => {
            Decision::leave(Outcome::Kept(live.clone()))
        }
    }
}

fn replace(read: Revision, new: &Entry, live: &Entry) -> Decision {
    if live.revision == new.revision {
        Decision::leave(Outcome::Replaced)
    } else if live.revision != read {
        Decision::leave(Outcome::Kept(live.clone()))
    } else if live.value == new.value {
        Decision::leave(Outcome::Unchanged)
    } else {
        Decision::write(Outcome::Replaced)
    }
}

/// Whether a write that knows of these erasures may create entries.
///
/// | check | no live mark | live mark, same epoch | live mark, another epoch |
/// |---|---|---|---|
/// | `Ignore` | pass | pass | pass |
/// | `Is(None)` | pass | - | refused |
/// | `Is(Some(e))` | refused: the mark ended between read and write; the next read heals it | pass | refused |
pub fn passes(check: EpochCheck, mark: Option<Mark>, now: UnixMillis) -> bool {
    let live = mark.filter(|mark| mark.is_live(now)).map(|mark| mark.epoch);
    match check {
        EpochCheck::Ignore => true,
        EpochCheck::Is(known) => known == live,
    }
}

/// The answer to a change when what stands under the user's storage key is not ours.
pub fn foreign(change: &Change, now: UnixMillis) -> Result<Outcome> {
    if is_expired(change, now) { Ok(Outcome::Expired) } else { Err(not_ours()) }
}

/// The answer to an erase and what it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EraseDecision {
    /// What the caller is told: whether a live or damaged entry stood.
    pub stood: bool,
    /// The mark to leave while everything else is taken away; nothing to do at all if there is none.
    pub leave: Option<Mark>,
}

/// Judges an erase. `stood` says whether a live or damaged entry, or something foreign, stands there.
///
/// An erase that finds the epoch of an attempt of its own is a retry: it removes nothing newer and answers true. Otherwise
/// everything goes, and the mark it leaves lasts at least as long as the one it found, so that a later erase never opens
/// the door to what an earlier one shut out.
///
/// # Errors
/// [`ErrorKind::Invalid`] if its mark would have ended already: a late attempt would remove what is newer and
/// leave nothing that tells the next one so.
pub fn decide_erase(
    erase: &Erase,
    mark: Option<Mark>,
    stood: bool,
    now: UnixMillis,
) -> Result<EraseDecision> {
    if erase.mark_until <= now {
        let context = "the erase mark would end before it begins; erase again with a later end";
        return Err(Error::new(ErrorKind::Invalid, context));
    }
    let live = mark.filter(|mark| mark.is_live(now));
    if live.is_some_and(|mark| mark.epoch.is_of_one_erasure(erase.epoch)) {
        return Ok(EraseDecision { stood: true, leave: None });
    }
    let until = live.map_or(erase.mark_until, |mark| mark.until.max(erase.mark_until));
    Ok(EraseDecision { stood, leave: Some(Mark { epoch: erase.epoch, until }) })
}

/// The error of a change that meets a damaged entry.
pub fn damaged() -> Error {
    Error::new(ErrorKind::Corrupt, "the stored entry is damaged; it stays until it is put over or removed")
        .with_effect(Effect::NotApplied)
}

/// The error of everything that meets foreign data under a user's storage key.
pub fn not_ours() -> Error {
    Error::new(ErrorKind::Corrupt, "what is stored for this user is not ours; it stays, and erasing the user removes it unless it is another user's")
        .with_effect(Effect::NotApplied)
}

fn is_expired(change: &Change, now: UnixMillis) -> bool {
    change.entry().is_some_and(|entry| !entry.is_live(now))
}

impl Decision {
    fn leave(outcome: Outcome) -> Self {
        Self { outcome: Ok(outcome), act: Act::Nothing }
    }

    fn write(outcome: Outcome) -> Self {
        Self { outcome: Ok(outcome), act: Act::Write }
    }

    fn delete() -> Self {
        Self { outcome: Ok(Outcome::Removed), act: Act::Delete }
    }
}

#[cfg(test)]
mod tests;
