//! What waits of one user, in its order: which of it may leave together.

use std::collections::{HashSet, VecDeque};
use std::time::Instant;

use stickystore_core::{Change, Effect, EpochCheck, Error, Key, Outcome, Result, Revision, UnixMillis};
use tokio::sync::oneshot;

/// What one change costs beside its texts, about: queues are bounded by what they take.
const CHANGE_BYTES: usize = 128;
/// What one write costs beside its changes, about.
pub(super) const ITEM_BYTES: usize = 256;

/// One write as it was queued.
pub(super) struct Item {
    pub(super) id: u64,
    pub(super) epoch: EpochCheck,
    pub(super) slots: Vec<Slot>,
    pub(super) bytes: usize,
    pub(super) accepted: UnixMillis,
    /// When it is given up, by the clock; and by the machine's time, should the clock be set back.
    pub(super) until: UnixMillis,
    pub(super) expires: Instant,
    pub(super) stage: Stage,
    /// Its record in the journal.
    pub(super) record: Option<Record>,
    /// Who waits to hear that it is in the journal.
    pub(super) accepts: Option<oneshot::Sender<Result<()>>>,
    /// Who waits to hear what the store said.
    pub(super) tells: Option<oneshot::Sender<Vec<Result<Outcome>>>>,
    /// The user was erased meanwhile: what is on its way is not sent again.
    pub(super) is_erased: bool,
}

/// One change, until it is decided.
pub(super) struct Slot {
    pub(super) change: Change,
    pub(super) decided: Option<Result<Outcome>>,
    /// An attempt may have been applied.
    pub(super) is_unknown: bool,
    /// Why the last attempt failed.
    pub(super) last: Option<Error>,
}

/// Where a record stands in the journal, and which write made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) key: Key,
    pub(super) revision: Revision,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not in the journal yet, and nobody was told that it is queued.
    Fresh,
    /// On its way into the journal.
    Journaling,
    /// May be sent.
    Ready,
    /// Sent.
    Sent,
    /// Decided; its record is to be taken out of the journal.
    Done,
}

/// What waits of one user.
#[derive(Default)]
pub(super) struct Lane {
    pub(super) items: VecDeque<Item>,
    /// How often in a row it was tried in vain.
    pub(super) failures: u32,
    /// Until when it is left alone after that.
    pub(super) rests: Option<Instant>,
    /// Its place among the lanes that are to be sent.
    pub(super) due: Option<(Instant, u64)>,
}

impl Item {
    pub(super) fn size(changes: &[Change]) -> usize {
        let texts = |change: &Change| {
            change.key().as_str().len() + change.entry().map_or(0, stickystore_core::Entry::size_bytes)
        };
        ITEM_BYTES + changes.iter().map(|change| CHANGE_BYTES + texts(change)).sum::<usize>()
    }

    pub(super) fn is_too_old(&self, now: Instant, clock: UnixMillis) -> bool {
        clock >= self.until || now >= self.expires
    }

    pub(super) fn is_decided(&self) -> bool {
        self.slots.iter().all(|slot| slot.decided.is_some())
    }

    /// Its changes of which nothing is known yet, with their places.
    pub(super) fn undecided(&self) -> impl Iterator<Item = (usize, &Slot)> {
        self.slots.iter().enumerate().filter(|(_, slot)| slot.decided.is_none())
    }

    /// Whether a read on this handle shows it: it was acknowledged as queued, and the store has not judged it.
    pub(super) fn is_shown(&self) -> bool {
        matches!(self.stage, Stage::Ready | Stage::Sent)
    }
}

impl Slot {
    pub(super) fn new(change: Change) -> Self {
        Self { change, decided: None, is_unknown: false, last: None }
    }

    /// Whether an attempt of it may have been applied, or may still be.
    pub(super) fn effect(&self, stage: Stage) -> Effect {
        if self.is_unknown || stage == Stage::Sent { Effect::Unknown } else { Effect::NotApplied }
    }
}

impl Lane {
    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Item> {
        self.items.iter_mut().find(|item| item.id == id)
    }

    /// Whether something of it has left and is not settled: until then nothing else of this user leaves.
    pub(super) fn is_busy(&self) -> bool {
        self.items.iter().any(|item| matches!(item.stage, Stage::Sent | Stage::Done))
    }

    pub(super) fn is_ready(&self) -> bool {
        !self.is_busy() && self.items.front().is_some_and(|item| item.stage == Stage::Ready)
    }

    /// How many of the first items can leave in one write of at most so many changes: with one epoch check, and each key
    /// once.
    pub(super) fn leaving(&self, most: usize) -> usize {
        let Some(first) = self.items.front() else { return 0 };
        let mut keys = HashSet::new();
        let fits = |item: &&Item| {
            let is_free = item.stage == Stage::Ready && item.epoch == first.epoch;
            let mut undecided = item.undecided();
            is_free && undecided.all(|(_, slot)| keys.insert(slot.change.key().clone())) && keys.len() <= most
        };
        self.items.iter().take_while(fits).count()
    }
}
