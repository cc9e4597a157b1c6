//! What is queued: its bounds, its order, which of it leaves next. No I/O, no clock, no lock.
//!
//! What the store answered, and what else becomes of a change, is in `settle`; what waits of one user in `lane`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use stickystore_core::{Change, EpochCheck, Keys, MAX_CHANGES, Subject, UnixMillis, Write};

use super::lane::{ITEM_BYTES, Item, Lane, Record, Stage};
use super::report::Ledger;
use super::settings::Bounds;

/// The most users in one call: enough to share a round trip, few enough for one attempt's time.
const BATCH_USERS: usize = 128;
/// The most changes in one call; one write may have as many.
const BATCH_CHANGES: usize = MAX_CHANGES;
/// When so many bytes are in a call, no further user is taken along.
const BATCH_BYTES: usize = 1 << 20;

/// What a record takes that is to be taken out of the journal and is of nothing that is queued: no more than what was queued
/// took, so that becoming one fills nothing.
const ORPHAN_BYTES: usize = ITEM_BYTES;

/// Everything that is queued.
pub(super) struct Queue {
    /// The store's scheme, for numbers.
    pub(super) store: &'static str,
    pub(super) bounds: Bounds,
    pub(super) phase: Phase,
    /// Whether what is queued goes into a journal first.
    pub(super) is_journaled: bool,
    pub(super) linger: Duration,
    pub(super) lanes: HashMap<Subject, Lane>,
    /// Lanes that may be sent, by when.
    pub(super) due: BTreeMap<(Instant, u64), Subject>,
    /// By when items are given up.
    pub(super) ages: BTreeMap<(UnixMillis, u64), (Subject, UnixMillis)>,
    /// All items.
    pub(super) alive: BTreeSet<u64>,
    /// Items that are to be written to the journal, in order.
    pub(super) fresh: BTreeMap<u64, Subject>,
    /// Records that are to be taken out of the journal, and the items that wait for it.
    pub(super) forget: Vec<Forget>,
    /// How many of them, also on their way, are of nothing that is queued. They take room as if they were: a journal that never
    /// answers would be asked to forget ever more.
    pub(super) orphans: usize,
    /// Until when they are left alone after the journal did not take them out, and how often in a row it did not.
    pub(super) forget_rests: Option<Instant>,
    pub(super) forget_failures: u32,
    pub(super) changes: usize,
    pub(super) bytes: usize,
    pub(super) next_id: u64,
    next_turn: u64,
    /// After a call of which nothing was taken, all wait.
    pub(super) pause: Option<Instant>,
    pub(super) failures: u32,
    pub(super) ledger: Ledger,
}

/// How far the layer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// Nothing more is taken, what is there is written.
    Closing,
    Closed,
}

/// A record to take out of the journal.
#[derive(Clone)]
pub(super) struct Forget {
    pub(super) record: Record,
    /// Which item is settled then; none where the record stands for nothing that is queued.
    pub(super) item: Option<(u64, Subject)>,
}

/// What leaves in one call.
pub(super) struct Batch {
    pub(super) writes: Vec<Write>,
    pub(super) parts: Vec<Part>,
}

/// Of which items the changes of one write are: the item and the place in it, in the order of the changes.
pub(super) struct Part {
    pub(super) subject: Subject,
    pub(super) slots: Vec<(u64, usize)>,
}

/// What the sender does next.
pub(super) enum Next {
    Send(Batch),
    /// Nothing before this.
    Wait(Instant),
    /// Nothing until something happens.
    Idle,
}

/// Whether there is room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Free,
    /// Not now.
    Full,
    /// Not even in an empty queue.
    Never,
}

impl Queue {
    pub(super) fn new(store: &'static str, bounds: Bounds, linger: Duration, is_journaled: bool) -> Self {
        Self {
            store,
            bounds,
            phase: Phase::Open,
            is_journaled,
            linger,
            lanes: HashMap::new(),
            due: BTreeMap::new(),
            ages: BTreeMap::new(),
            alive: BTreeSet::new(),
            fresh: BTreeMap::new(),
            forget: Vec::new(),
            orphans: 0,
            forget_rests: None,
            forget_failures: 0,
            changes: 0,
            bytes: 0,
            next_id: 0,
            next_turn: 0,
            pause: None,
            failures: 0,
            ledger: Ledger::default(),
        }
    }

    pub(super) fn room(&self, write: &Write) -> Room {
        let (changes, bytes) = (write.changes().len(), Item::size(write.changes()));
        let Bounds { users: most_users, changes: most_changes, bytes: most_bytes } = self.bounds;
        if changes > most_changes || bytes > most_bytes {
            return Room::Never;
        }
        let is_new = !self.lanes.contains_key(write.subject());
        let fits = self.lanes.len() + usize::from(is_new) <= most_users
            && self.changes + self.orphans + changes <= most_changes
            && self.bytes + self.orphans * ORPHAN_BYTES + bytes <= most_bytes;
        if fits { Room::Free } else { Room::Full }
    }

    /// What fills it.
    pub(super) fn filling(&self) -> String {
        let journal = match self.orphans {
            0 => String::new(),
            orphans => format!("; records to be taken out of the journal: {orphans}"),
        };
        format!("changes that wait for the store: {}{journal}", self.changes)
    }

    /// Takes an item in, without asking for room.
    pub(super) fn accept(&mut self, subject: &Subject, item: Item, now: Instant) {
        let id = item.id;
        self.next_id = self.next_id.max(id.saturating_add(1));
        self.changes += item.slots.len();
        self.bytes += item.bytes;
        self.alive.insert(id);
        self.ages.insert((item.until, id), (subject.clone(), item.accepted));
        if item.stage == Stage::Fresh {
            self.fresh.insert(id, subject.clone());
        }
        self.lanes.entry(subject.clone()).or_default().items.push_back(item);
        self.schedule(subject, now + self.linger);
    }

    /// Takes an item out: it is settled, or was never acknowledged.
    pub(super) fn remove(&mut self, subject: &Subject, id: u64, now: Instant) -> Option<Item> {
        let lane = self.lanes.get_mut(subject)?;
        let place = lane.items.iter().position(|item| item.id == id)?;
        let item = lane.items.remove(place)?;
        let (is_empty, due) = (lane.items.is_empty(), lane.due);
        self.changes -= item.slots.len();
        self.bytes -= item.bytes;
        self.alive.remove(&id);
        self.fresh.remove(&id);
        self.ages.remove(&(item.until, id));
        if is_empty {
            self.lanes.remove(subject);
            if let Some(due) = due {
                self.due.remove(&due);
            }
        } else {
            self.schedule(subject, now);
        }
        Some(item)
    }

    /// Lets a user's lane be sent at this time, unless it may not be sent or has its time already.
    pub(super) fn schedule(&mut self, subject: &Subject, at: Instant) {
        let Some(lane) = self.lanes.get_mut(subject) else { return };
        if lane.due.is_none() && lane.is_ready() {
            let due = (lane.rests.map_or(at, |rests| rests.max(at)), self.next_turn);
            self.next_turn += 1;
            lane.due = Some(due);
            self.due.insert(due, subject.clone());
        }
    }

    /// Lets everything be sent now, whatever it was to wait for.
    pub(super) fn hurry(&mut self, now: Instant) {
        (self.failures, self.pause) = (0, None);
        (self.forget_failures, self.forget_rests) = (0, None);
        for lane in self.lanes.values_mut() {
            (lane.failures, lane.rests) = (0, None);
        }
        for (due, subject) in std::mem::take(&mut self.due) {
            let hurried = (due.0.min(now), due.1);
            if let Some(lane) = self.lanes.get_mut(&subject) {
                lane.due = Some(hurried);
            }
            self.due.insert(hurried, subject);
        }
    }

    /// Lets a user's lane be sent without waiting for company; what waits after a failure goes on waiting.
    pub(super) fn skip_linger(&mut self, subject: &Subject, now: Instant) {
        let Some(lane) = self.lanes.get_mut(subject) else { return };
        let rests = lane.rests.is_some_and(|rests| rests > now);
        if let Some(due) = lane.due.filter(|due| !rests && due.0 > now) {
            let hurried = (now, due.1);
            lane.due = Some(hurried);
            self.due.remove(&due);
            self.due.insert(hurried, subject.clone());
        }
    }

    /// What leaves now. What is too old is given up first.
    pub(super) fn next(&mut self, now: Instant, clock: UnixMillis) -> Next {
        self.give_up_old(now, clock);
        if let Some(pause) = self.pause.filter(|pause| *pause > now) {
            return Next::Wait(pause);
        }
        let mut batch = Batch { writes: Vec::new(), parts: Vec::new() };
        let (mut changes, mut bytes) = (0, 0);
        while batch.parts.len() < BATCH_USERS && bytes < BATCH_BYTES && changes < BATCH_CHANGES {
            let Some((&due, subject)) = self.due.first_key_value().filter(|((at, _), _)| *at <= now) else {
                break;
            };
            let subject = subject.clone();
            let Some(lane) = self.lanes.get_mut(&subject) else {
                self.due.remove(&due);
                continue;
            };
            let Some((write, part, size)) = leave(&subject, lane, BATCH_CHANGES - changes) else {
                // The rest of this call is too small for its first write; an empty call is not.
                if changes > 0 {
                    break;
                }
                lane.due = None;
                self.due.remove(&due);
                continue;
            };
            lane.due = None;
            self.due.remove(&due);
            changes += part.slots.len();
            bytes += size;
            batch.writes.push(write);
            batch.parts.push(part);
        }
        if !batch.parts.is_empty() {
            return Next::Send(batch);
        }
        self.due.first_key_value().map_or(Next::Idle, |((at, _), _)| Next::Wait(*at))
    }

    /// What of a user a read is laid under, in order.
    pub(super) fn shown(&self, subject: &Subject, keys: &Keys) -> Vec<(EpochCheck, Change)> {
        let Some(lane) = self.lanes.get(subject) else { return Vec::new() };
        let shown = lane.items.iter().filter(|item| item.is_shown());
        let changes = shown.flat_map(|item| item.undecided().map(|(_, slot)| (item.epoch, &slot.change)));
        let wanted = changes.filter(|(_, change)| match keys {
            Keys::Only(keys) => keys.contains(change.key()),
            _ => true,
        });
        wanted.map(|(epoch, change)| (epoch, change.clone())).collect()
    }

    /// Whether something of this user that was queued before `id` is not settled.
    pub(super) fn has_before(&self, subject: &Subject, id: u64) -> bool {
        self.lanes.get(subject).is_some_and(|lane| lane.items.iter().any(|item| item.id < id))
    }

    /// Whether everything that was queued before `id` is settled, and nothing stands in the journal that is of no use.
    pub(super) fn is_settled(&self, id: u64) -> bool {
        self.orphans == 0 && self.alive.first().is_none_or(|first| *first >= id)
    }

    /// When the oldest was accepted.
    pub(super) fn oldest(&self) -> Option<UnixMillis> {
        self.ages.first_key_value().map(|(_, (_, accepted))| *accepted)
    }
}

/// Takes what of a lane can leave together: the write, whose changes they are, and their bytes.
fn leave(subject: &Subject, lane: &mut Lane, most: usize) -> Option<(Write, Part, usize)> {
    let count = lane.leaving(most);
    let mut part = Part { subject: subject.clone(), slots: Vec::new() };
    let (mut changes, mut bytes, mut epoch) = (Vec::new(), 0, EpochCheck::Ignore);
    for item in lane.items.iter().take(count) {
        epoch = item.epoch;
        bytes += item.bytes;
        for (place, slot) in item.undecided() {
            part.slots.push((item.id, place));
            changes.push(slot.change.clone());
        }
    }
    // Every change was in a write before; none that is refused here could have been queued.
    let write =
        Write::new(subject.clone(), epoch, changes).ok().filter(|write| !write.changes().is_empty())?;
    lane.items.iter_mut().take(count).for_each(|item| item.stage = Stage::Sent);
    Some((write, part, bytes))
}
