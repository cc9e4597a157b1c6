//! What writes and erases make of a user's item, and how long the server has to keep it. No I/O.
//!
//! All of it happens between a read and a compare-and-swap, so it is one atomic step if the swap succeeds.

use std::collections::BTreeMap;
use std::time::Duration;

use stickystore_core::codec::headed::{self, Headed};
use stickystore_core::decide::{Act, Stored, decide, decide_erase, foreign, not_ours};
use stickystore_core::{
    Change, Damage, Damaged, Epoch, EpochCheck, Erase, Error, ErrorKind, Expiry, Key, Keys, Mark, Outcome,
    Profile, Result, UnixMillis, Write,
};

use crate::layout::{self, Found, Item, Slot};

mod read;
pub(crate) use read::read;

/// The longest time that the server reads as one; what is longer it takes for a date.
const LONGEST_SECONDS: u64 = 30 * 86_400;

/// The server counts in seconds and may be almost one behind when it is told how many.
const TICK_SECONDS: u64 = 1;

/// What the server is told to keep an item for as long as it can.
const FOR_EVER: u32 = 0;

/// The last date that the server takes: it reads a signed number of 32 bits.
const LAST_DATE: u32 = i32::MAX.unsigned_abs();

/// The times by which a call is judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// The caller's.
    pub(crate) now: UnixMillis,
    /// The server's, if it said so.
    pub(crate) server: Option<UnixMillis>,
    /// How long what expired stays.
    pub(crate) grace: Duration,
}

/// The most that an item may become.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) entry_bytes: usize,
    pub(crate) item_bytes: usize,
}

/// What becomes of an item, and what is answered.
#[derive(Debug)]
pub(crate) struct Edit<'a, T> {
    pub(crate) answers: Vec<Answer<T>>,
    /// The item to write; nothing if all stays as it is.
    pub(crate) item: Option<Item<'a>>,
}

/// One answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer<T> {
    pub(crate) result: Result<T>,
    /// Whether it is true only once the item has been written.
    pub(crate) needs_write: bool,
}

/// The entries that are asked for.
///
/// # Errors
/// `Corrupt` if the item is not this user's.
pub(crate) fn profile(found: &Found<'_>, keys: &Keys, now: UnixMillis) -> Result<Profile> {
    let Found::Item(item) = found else { return Err(not_ours()) };
    let (mut entries, mut damaged) = (Vec::new(), Vec::new());
    let mut take = |key: &Key| match item.entry(key, now) {
        Some(Headed::Live(entry)) => entries.push((key.clone(), entry)),
        Some(Headed::Damaged(damage)) => damaged.push(Damaged::new(key.clone(), damage)),
        Some(Headed::Ended) | None => {}
    };
    match keys {
        Keys::Only(keys) => keys.iter().for_each(take),
        _ => item.keys().iter().for_each(&mut take),
    }
    Ok(Profile::new(live(item.mark, now), entries, damaged, now))
}

fn live(mark: Option<Mark>, now: UnixMillis) -> Option<Epoch> {
    mark.filter(|mark| mark.is_live(now)).map(|mark| mark.epoch)
}

/// Applies writes of one user, one after the other: an answer for each of their changes.
pub(crate) fn write<'a>(found: Found<'a>, writes: &[&Write], times: Times, room: Room) -> Edit<'a, Outcome> {
    let changes = writes.iter().flat_map(|write| write.changes());
    let Found::Item(mut item) = found else {
        let refuse = |change| settle(change, times.now, room).unwrap_or_else(|| foreign(change, times.now));
        let answers = changes.map(|change| Answer { result: refuse(change), needs_write: false });
        return Edit { answers: answers.collect(), item: None };
    };
    item.sweep(times);
    let bytes = writes.first().map_or(0, |write| layout::encoded_len(&item, write.subject()));
    let mut changed = Changed { bytes, item, changes: BTreeMap::new(), room };
    let mut answers = Vec::new();
    for write in writes {
        for change in write.changes() {
            let settled = settle(change, times.now, room);
            answers.push(match settled {
                Some(result) => Answer { result, needs_write: false },
                None => changed.apply(change, write.epoch(), times.now),
            });
        }
    }
    changed.finish(answers)
}

/// Applies erases of one user, one after the other: for each, whether a live or damaged entry stood.
pub(crate) fn erase<'a>(found: &Found<'a>, erases: &[&Erase], now: UnixMillis) -> Edit<'a, bool> {
    let (mut mark, mut stood) = match found {
        Found::Item(item) => (item.mark, item.stands(now)),
        Found::Foreign | Found::Others => (None, true),
    };
    let mut left = None;
    let mut decide = |erase: &&Erase| {
        if *found == Found::Others {
            return Answer { result: Err(not_ours()), needs_write: false };
        }
        let decision = match decide_erase(erase, mark, stood, now) {
            Ok(decision) => decision,
            Err(error) => return Answer { result: Err(error), needs_write: false },
        };
        if decision.leave.is_some() {
            (mark, stood, left) = (decision.leave, false, decision.leave);
        }
        Answer { result: Ok(decision.stood), needs_write: left.is_some() }
    };
    let answers = erases.iter().map(&mut decide).collect();
    Edit { answers, item: left.map(|mark| Item { mark: Some(mark), ..Item::default() }) }
}

/// How long the server shall keep an item, as it is told: seconds from now, a date, or 0 for as long as it can.
///
/// It only sweeps: the latest of what the item holds, by whichever clock is behind, and the grace.
pub(crate) fn lasts(item: &Item<'_>, times: Times) -> u32 {
    // What cannot be read may be endless.
    if !item.strays.is_empty() {
        return FOR_EVER;
    }
    let mut latest = item.mark.map_or(UnixMillis::EPOCH, |mark| mark.until);
    for (_, slot) in item.slots.iter() {
        match slot {
            Slot::Line { expiry: Expiry::At(at), .. } => latest = latest.max(*at),
            Slot::Line { expiry: Expiry::Never, .. } | Slot::Damaged { .. } => return FOR_EVER,
        }
    }
    let behind = times.server.map_or(times.now, |server| server.min(times.now));
    let millis = latest.since(behind).saturating_add(times.grace).as_millis();
    let seconds = u64::try_from(millis.div_ceil(1_000)).unwrap_or(u64::MAX).saturating_add(TICK_SECONDS);
    let told = match times.server {
        _ if seconds <= LONGEST_SECONDS => seconds,
        // What we take for its time may be a second behind it.
        Some(server) => (server.get() / 1_000).saturating_add(seconds).saturating_add(TICK_SECONDS),
        // A date by another clock than the server's could be in its past.
        None => return FOR_EVER,
    };
    u32::try_from(told).ok().filter(|told| *told <= LAST_DATE).unwrap_or(FOR_EVER)
}

/// An item while changes are applied to it.
struct Changed<'a> {
    /// As it was found; a stray goes with its first change.
    item: Item<'a>,
    /// How many bytes it has with the changes.
    bytes: usize,
    /// What stands under the keys that have been changed.
    changes: BTreeMap<Key, Option<Slot<'a>>>,
    room: Room,
}

impl<'a> Changed<'a> {
    fn apply(&mut self, change: &Change, check: EpochCheck, now: UnixMillis) -> Answer<Outcome> {
        let key = change.key();
        let stands = match self.changes.get(key) {
            Some(changed) => changed.as_ref().map(|slot| slot.entry(now)),
            None => self.item.entry(key, now),
        };
        let stored = match &stands {
            None | Some(Headed::Ended) => Stored::Absent,
            Some(Headed::Live(entry)) => Stored::Entry(entry),
            Some(Headed::Damaged(_)) => Stored::Damaged,
        };
        let decision = decide(change, stored, check, self.item.mark, now);
        let new = match (decision.act, change.entry()) {
            (Act::Nothing, _) | (Act::Write, None) => {
                return Answer { result: decision.outcome, needs_write: self.changes.contains_key(key) };
            }
            (Act::Write, Some(entry)) => Some(layout::encode_entry(entry)),
            (Act::Delete, _) => None,
        };
        let after = self.bytes - self.key_bytes(key) + slot_bytes(key, new.as_ref());
        if new.is_some() && after > self.room.item_bytes {
            let result = Err(self.room.too_large(after));
            return Answer { result, needs_write: self.changes.contains_key(key) };
        }
        self.bytes = after;
        self.item.strays.remove(key);
        self.changes.insert(key.clone(), new);
        Answer { result: decision.outcome, needs_write: true }
    }

    /// How many bytes what stands under this key has.
    fn key_bytes(&self, key: &Key) -> usize {
        match self.changes.get(key) {
            Some(changed) => slot_bytes(key, changed.as_ref()),
            None => {
                let strays = self.item.strays.get(key).map_or(0, |lines| layout::lines_bytes(lines));
                slot_bytes(key, self.item.slots.get(&layout::escaped(key.as_str()))) + strays
            }
        }
    }

    fn finish(self, mut answers: Vec<Answer<Outcome>>) -> Edit<'a, Outcome> {
        if self.changes.is_empty() {
            return Edit { answers, item: None };
        }
        // It can be, after a change that makes it smaller, if it was written under another limit.
        if self.bytes > self.room.item_bytes {
            for answer in answers.iter_mut().filter(|answer| answer.needs_write) {
                *answer = Answer { result: Err(self.room.too_large(self.bytes)), needs_write: false };
            }
            return Edit { answers, item: None };
        }
        let slots = self.item.slots.with(self.changes);
        Edit { answers, item: Some(Item { slots, ..self.item }) }
    }
}

fn slot_bytes(key: &Key, slot: Option<&Slot<'_>>) -> usize {
    slot.map_or(0, |slot| layout::slot_bytes(&layout::escaped(key.as_str()), slot))
}

impl Room {
    fn too_large(self, bytes: usize) -> Error {
        let context = format!(
            "the user's entries would take {bytes} bytes together, and the server takes {}; remove some, or raise its \
             limit (-I) and the option max_item",
            self.item_bytes
        );
        Error::new(ErrorKind::TooLarge, context)
    }
}

impl Item<'_> {
    /// What stands under this key.
    fn entry(&self, key: &Key, now: UnixMillis) -> Option<Headed> {
        match self.slots.get(&layout::escaped(key.as_str())) {
            Some(slot) => Some(slot.entry(now)),
            None if self.strays.contains_key(key) => {
                Some(Headed::Damaged(Damage::new("has a name that is no key")))
            }
            None => None,
        }
    }

    /// All keys under which something stands.
    fn keys(&self) -> Vec<Key> {
        self.slots.keys().chain(self.strays.keys().cloned()).collect()
    }

    /// Whether an erase counts something as having been there.
    fn stands(&self, now: UnixMillis) -> bool {
        let stands = |slot: &Slot<'_>| match slot {
            Slot::Line { expiry, .. } => expiry.is_live(now),
            Slot::Damaged { .. } => true,
        };
        !self.strays.is_empty() || self.slots.iter().any(|(_, slot)| stands(slot))
    }

    /// Takes away what ended longer than the grace ago, by both clocks; without the server's, nothing.
    fn sweep(&mut self, times: Times) {
        let Some(server) = times.server else { return };
        let behind = server.min(times.now);
        let is_swept = |end: Expiry| end.is_swept(behind, times.grace);
        self.mark = self.mark.filter(|mark| !is_swept(Expiry::At(mark.until)));
        self.slots.retain(|slot| !matches!(slot, Slot::Line { expiry, .. } if is_swept(*expiry)));
    }
}

impl Slot<'_> {
    /// What stands there.
    fn entry(&self, now: UnixMillis) -> Headed {
        match self {
            Self::Line { text, .. } => headed::decode(&layout::entry_text(text), now),
            Self::Damaged { damage, .. } => Headed::Damaged(*damage),
        }
    }
}

/// The answer to a change that is the same whatever stands; nothing if that counts.
fn settle(change: &Change, now: UnixMillis, room: Room) -> Option<Result<Outcome>> {
    let entry = match change {
        Change::Insert(_, entry) | Change::Put(_, entry) | Change::Replace(_, _, entry) => entry,
        Change::Remove(_) | Change::RemoveIf(..) => return None,
        _ => return Some(Err(Error::new(ErrorKind::Unsupported, "this store does not know this change"))),
    };
    let (bytes, limit) = (entry.size_bytes(), room.entry_bytes);
    if bytes > limit {
        let context = format!("an entry of {bytes} bytes; at most {limit} are kept");
        return Some(Err(Error::new(ErrorKind::TooLarge, context)));
    }
    (!entry.is_live(now)).then_some(Ok(Outcome::Expired))
}

#[cfg(test)]
mod tests;
