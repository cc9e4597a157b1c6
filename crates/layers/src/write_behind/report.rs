//! What became of what was queued: the report, entry by entry, and the ledger that it is taken from.

use std::collections::VecDeque;
use std::fmt;

use stickystore_core::{Damage, Effect, Error, Key, Outcome, Revision, Subject};

/// How many unwritten changes are kept until a report takes them. Older ones go first and are counted as omitted, so that
/// a program that never asks does not grow; about a megabyte.
const KEPT: usize = 10_000;

/// What became of the changes that were queued, since the last report was taken.
///
/// `Display` is one line of numbers. Neither it nor `Debug` shows an identifier.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Report {
    /// Changes that the store applied.
    pub applied: usize,
    /// Changes that had nothing to do: an equal value stood there, or nothing to remove.
    pub unchanged: usize,
    /// Changes that were not written, one by one, in the order in which that was known.
    pub unwritten: Vec<Unwritten>,
    /// How many more there were that are not in [`unwritten`](Self::unwritten): nobody took a report for too long.
    pub omitted: usize,
    /// Records of the journal that cannot be read. They stay in it.
    pub damaged: Vec<DamagedRecord>,
    /// Changes that are still queued.
    pub pending: usize,
    /// Why the store or the journal could not be closed, if one could not.
    pub not_closed: Option<Error>,
}

/// A change that was not written, and why.
#[derive(Clone)]
#[non_exhaustive]
pub struct Unwritten {
    /// Whose.
    pub subject: Subject,
    /// Which entry.
    pub key: Key,
    /// The revision that it would have written; none of a removal.
    pub revision: Option<Revision>,
    /// Why not.
    pub why: Why,
    /// Whether it is in the journal, so that the next start tries it again.
    pub journaled: bool,
}

/// Why a queued change was not written.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Why {
    /// The store judged it: `Kept`, `Gone`, `Erased` or `Expired`.
    Judged(Outcome),
    /// The store refused it for good, or for as long as it may wait. The error's effect says whether one of the attempts
    /// may have been applied.
    Failed(Error),
    /// It was found in the journal, older than an erase mark may be trusted to keep erased data out.
    TooOld,
    /// It was still queued when the layer was closed or its last handle dropped. `Unknown` if it was on its way, or an
    /// attempt may have been applied.
    Left(Effect),
}

/// A record of the journal that cannot be read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DamagedRecord {
    /// Its key in the journal.
    pub record: Key,
    /// What is wrong with it, in words that follow "the record".
    pub damage: Damage,
}

impl Report {
    /// Whether everything was written that was to be written.
    pub fn is_clean(&self) -> bool {
        let nothing_unwritten = self.unwritten.is_empty() && self.omitted == 0 && self.damaged.is_empty();
        nothing_unwritten && self.pending == 0 && self.not_closed.is_none()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { applied, unchanged, omitted, pending, .. } = self;
        let (unwritten, damaged) = (self.unwritten.len() + omitted, self.damaged.len());
        write!(
            f,
            "{applied} applied, {unchanged} unchanged, {unwritten} not written, {pending} still queued"
        )?;
        if damaged > 0 {
            write!(f, ", {damaged} damaged in the journal")?;
        }
        Ok(())
    }
}

impl Why {
    /// Its name for programs, as in metrics: an outcome's (`kept`), an error's kind (`timeout`), `too-old` or `left`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Judged(outcome) => outcome.as_str(),
            Self::Failed(error) => error.kind().as_str(),
            Self::TooOld => "too-old",
            Self::Left(_) => "left",
        }
    }
}

impl fmt::Debug for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unwritten")
            .field("why", &self.why.as_str())
            .field("journaled", &self.journaled)
            .finish_non_exhaustive()
    }
}

/// What the next report will say.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    applied: usize,
    unchanged: usize,
    unwritten: VecDeque<Unwritten>,
    omitted: usize,
    damaged: Vec<DamagedRecord>,
}

impl Ledger {
    /// Notes what the store said; nothing to tell one by one if the change is done.
    pub(super) fn judged(&mut self, outcome: &Outcome) -> Option<Why> {
        match outcome {
            applied if applied.is_applied() => self.applied += 1,
            Outcome::Unchanged | Outcome::WasAbsent => self.unchanged += 1,
            other => return Some(Why::Judged(other.clone())),
        }
        None
    }

    pub(super) fn unwritten(&mut self, unwritten: Unwritten) {
        if self.unwritten.len() >= KEPT {
            self.unwritten.pop_front();
            self.omitted += 1;
        }
        self.unwritten.push_back(unwritten);
    }

    pub(super) fn damaged(&mut self, record: Key, damage: Damage) {
        self.damaged.push(DamagedRecord { record, damage });
    }

    pub(super) fn take(&mut self, pending: usize) -> Report {
        let Self { applied, unchanged, unwritten, omitted, damaged } = std::mem::take(self);
        let unwritten = unwritten.into();
        Report { applied, unchanged, unwritten, omitted, damaged, pending, not_closed: None }
    }
}
