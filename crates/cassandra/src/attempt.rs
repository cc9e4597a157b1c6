//! How a write becomes statements: what is tried, and what its answer means. No I/O.
//!
//! The first attempt guesses what stands there, as its change names it. Where it is refused, the user is read and judged by
//! the same tables as everywhere, and what then has to be written is tried under the condition that exactly this still
//! stands. One attempt is one conditional batch: it is applied whole or not at all.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use scylla::response::query_result::QueryRowsResult;
use stickystore_core::decide::{Act, Stored, decide, foreign};
use stickystore_core::{
    Call, Change, Effect, Entry, EpochCheck, Error, ErrorKind, Expiry, Limits, Outcome, Result, Revision,
    Subject, UnixMillis, Write,
};

use crate::error;
use crate::layout::{self, Slot, Stance};
use crate::read::Found;
use crate::shown;
use crate::statement::{Bound, Ready, Statement};

/// The most bytes that go in one batch, beyond its first statement: a node takes mutations up to half a segment of its
/// commit log, 16 MiB unless it is set otherwise, and keeps a decided one twice.
const BATCH_BYTES: usize = 4 << 20;

/// A write on its way.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    subject: &'a Subject,
    check: EpochCheck,
    items: Vec<Item<'a>>,
    now: UnixMillis,
    grace: Duration,
    /// What stands in the mark's place where an attempt is under way, and where the last one was applied.
    tried_under: Option<String>,
    written_under: Option<Option<String>>,
}

#[derive(Debug)]
struct Item<'a> {
    change: &'a Change,
    settled: Option<Result<Outcome>>,
    /// What it comes to if the attempt that is under way is applied, and what that attempt takes for granted.
    tried: Option<(Outcome, Before)>,
    /// An attempt whose outcome no node knew: what it took for granted.
    doubt: Option<Before>,
}

/// What stood there if an attempt was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Before {
    Nothing,
    Row(Option<String>, Option<i64>),
    Revision(Revision),
    Anything,
}

impl<'a> Plan<'a> {
    /// Settles what has expired or is too large; the rest has to be tried.
    pub(crate) fn new(write: &'a Write, call: Call, grace: Duration, limits: Limits) -> Self {
        let item =
            |change| Item { change, settled: settle(change, call.now, limits), tried: None, doubt: None };
        Self {
            subject: write.subject(),
            check: write.epoch(),
            items: write.changes().iter().map(item).collect(),
            now: call.now,
            grace,
            tried_under: None,
            written_under: None,
        }
    }

    /// Which changes go together: all of them, unless they are too large for one mutation.
    pub(crate) fn parts(&self) -> Vec<Range<usize>> {
        let (mut parts, mut start, mut bytes) = (Vec::new(), 0, 0);
        for (i, item) in self.items.iter().enumerate() {
            let own = item.change.key().as_str().len() + item.change.entry().map_or(0, Entry::size_bytes);
            if i > start && bytes + own > BATCH_BYTES {
                parts.push(start..i);
                (start, bytes) = (i, 0);
            }
            bytes += own;
        }
        if start < self.items.len() {
            parts.push(start..self.items.len());
        }
        parts
    }

    /// Whether the user has to be read before anything can be tried: a known mark has to live, which only its end says.
    pub(crate) fn reads_first(&self) -> bool {
        matches!(self.check, EpochCheck::Is(Some(_)))
    }

    /// The keys of what is not settled.
    pub(crate) fn open_keys(&self, part: &Range<usize>) -> Vec<&'a str> {
        self.open(part).map(|item| item.change.key().as_str()).collect()
    }

    /// What to try first.
    pub(crate) fn guess(&mut self, part: &Range<usize>) -> Vec<Ready<'a>> {
        let (subject, now, grace) = (self.subject, self.now, self.grace);
        self.tried_under = None;
        self.open_mut(part).map(|item| item.guess(subject, now, grace)).collect()
    }

    /// What a refusal shows, if that is enough to judge by: whole rows of all that is not settled. Where an insert's row is not
    /// shown, there is none.
    pub(crate) fn shown(&self, part: &Range<usize>, answer: &QueryRowsResult) -> Option<Found> {
        let mut open = self.open(part).map(|item| item.change);
        let alone = match (open.next(), open.next()) {
            (Some(change), None) => Some(change.key()),
            _ => None,
        };
        let found = shown::shown(answer, alone, self.now)?;
        let is_told = |change: &Change| {
            matches!(change, Change::Insert(..)) || found.rows.iter().any(|row| row.key == *change.key())
        };
        self.open(part).all(|item| is_told(item.change)).then_some(found)
    }

    /// What to try where this was found; what needs no write is settled.
    pub(crate) fn judge(&mut self, part: &Range<usize>, found: &Found) -> Vec<Ready<'a>> {
        let Found { stance, rows } = found;
        let rows: HashMap<_, _> = rows.iter().map(|row| (row.key.as_str(), row)).collect();
        let (subject, check, now, grace) = (self.subject, self.check, self.now, self.grace);
        let tried_under = std::mem::replace(&mut self.tried_under, stance.epoch());
        let erased_since = is_erased_since(&tried_under, stance);
        // Whether the user was erased after an earlier part was written: the rest would outlive what it belongs to. A writer
        // that checks its epoch is refused anyway.
        let is_parted = self.written_under.as_ref().is_some_and(|under| is_erased_since(under, stance));
        let mut is_shown = false;
        let mut ready = Vec::new();
        for item in self.open_mut(part) {
            let row = rows.get(item.change.key().as_str());
            let standing = match row {
                Some(row) if row.slot != Slot::Absent => Standing {
                    before: Before::Row(row.revision.clone(), row.expiry),
                    revision: row.revision.as_deref(),
                    slot: &row.slot,
                },
                _ => Standing { before: Before::Nothing, revision: None, slot: &Slot::Absent },
            };
            if let Some(answer) = item.resolve(&standing, erased_since) {
                item.settled = Some(answer);
                is_shown = true;
                continue;
            }
            if matches!(stance, Stance::Foreign(_)) {
                item.settled = Some(foreign(item.change, now));
                continue;
            }
            let stored = match standing.slot {
                Slot::Live(entry) => Stored::Entry(entry),
                Slot::Damaged(_) => Stored::Damaged,
                Slot::Absent | Slot::Ended => Stored::Absent,
            };
            let decision = decide(item.change, stored, check, stance.mark(), now);
            match (decision.act, decision.outcome) {
                (Act::Nothing, outcome) => item.settled = Some(outcome),
                (_, Err(error)) => item.settled = Some(Err(error)),
                (Act::Write, _) if is_parted => item.settled = Some(Ok(Outcome::Erased)),
                (act, Ok(outcome)) => {
                    ready.push(item.exactly(act, &standing, stance, subject, now, grace));
                    item.tried = Some((outcome, standing.before));
                }
            }
        }
        if is_shown {
            self.written_under = Some(tried_under);
        }
        ready
    }

    /// The attempt was applied.
    pub(crate) fn applied(&mut self, part: &Range<usize>) {
        self.written_under = Some(self.tried_under.take());
        for item in self.open_mut(part) {
            if let Some((outcome, _)) = item.tried.take() {
                item.settled = Some(Ok(outcome));
            }
        }
    }

    /// The attempt was refused: nothing of it was written.
    pub(crate) fn refused(&mut self, part: &Range<usize>) {
        for item in self.open_mut(part) {
            item.tried = None;
        }
    }

    /// Whether the attempt was applied is not known to any node.
    pub(crate) fn undecided(&mut self, part: &Range<usize>) {
        for item in self.open_mut(part) {
            item.doubt = item.tried.take().map(|(_, before)| before);
        }
    }

    /// Nothing more will be tried.
    pub(crate) fn failed(&mut self, part: &Range<usize>, error: &Error) {
        for item in self.open_mut(part) {
            let error = match item.doubt {
                Some(_) => error.clone().with_effect(Effect::Unknown),
                None => error.clone(),
            };
            item.settled = Some(Err(error));
        }
    }

    /// Whether everything is settled.
    pub(crate) fn is_done(&self, part: &Range<usize>) -> bool {
        self.open(part).next().is_none()
    }

    /// All answers.
    pub(crate) fn finish(self) -> Vec<Result<Outcome>> {
        self.items.into_iter().map(|item| item.settled.unwrap_or_else(|| Err(error::odd_answer()))).collect()
    }

    fn open(&self, part: &Range<usize>) -> impl Iterator<Item = &Item<'a>> {
        let items = self.items.get(part.clone()).unwrap_or_default();
        items.iter().filter(|item| item.settled.is_none())
    }

    fn open_mut(&mut self, part: &Range<usize>) -> impl Iterator<Item = &mut Item<'a>> {
        let items = self.items.get_mut(part.clone()).unwrap_or_default();
        items.iter_mut().filter(|item| item.settled.is_none())
    }
}

/// What stands under a key.
struct Standing<'a> {
    before: Before,
    revision: Option<&'a str>,
    slot: &'a Slot,
}

impl<'a> Item<'a> {
    fn guess(&mut self, subject: &'a Subject, now: UnixMillis, grace: Duration) -> Ready<'a> {
        let now_millis = Bound::Number(layout::millis(now));
        let revision = |revision: &Revision| Bound::Own(revision.to_string());
        let (statement, outcome, before, mut condition) = match self.change {
            Change::Insert(..) => (Statement::PutFirst, Outcome::Inserted, Before::Nothing, vec![]),
            Change::Put(_, entry) => {
                (Statement::PutAny, Outcome::Written, Before::Anything, vec![revision(&entry.revision)])
            }
            Change::Replace(_, read, entry) => {
                let value = Bound::Text(entry.value.as_str());
                let condition = vec![revision(read), value, now_millis];
                (Statement::Replace, Outcome::Replaced, Before::Revision(*read), condition)
            }
            Change::RemoveIf(_, read) => {
                let condition = vec![revision(read), now_millis];
                (Statement::DeleteIf, Outcome::Removed, Before::Revision(*read), condition)
            }
            // What this store does not know is settled already.
            _ => (Statement::Delete, Outcome::Removed, Before::Anything, vec![now_millis]),
        };
        // No mark: where one stands, the user is read.
        condition.push(Bound::Null);
        self.tried = Some((outcome, before));
        self.ready(statement, subject, now, grace, condition)
    }

    /// The statement that acts if exactly this stands.
    fn exactly(
        &self,
        act: Act,
        standing: &Standing<'_>,
        stance: &Stance,
        subject: &'a Subject,
        now: UnixMillis,
        grace: Duration,
    ) -> Ready<'a> {
        let mut condition = match &standing.before {
            Before::Row(revision, expiry) => vec![
                revision.clone().map_or(Bound::Null, Bound::Own),
                expiry.map_or(Bound::Null, Bound::Number),
            ],
            _ => Vec::new(),
        };
        let statement = match (act, condition.is_empty()) {
            (Act::Delete, _) => Statement::DeleteOver,
            (_, true) => Statement::PutAbsent,
            (_, false) => Statement::PutOver,
        };
        condition.push(stance.epoch().map_or(Bound::Null, Bound::Own));
        self.ready(statement, subject, now, grace, condition)
    }

    fn ready(
        &self,
        statement: Statement,
        subject: &'a Subject,
        now: UnixMillis,
        grace: Duration,
        condition: Vec<Bound<'a>>,
    ) -> Ready<'a> {
        let mut values = match self.change.entry() {
            Some(entry) => set(entry, now, grace),
            None => Vec::new(),
        };
        values.extend([
            Bound::Text(subject.namespace.as_str()),
            Bound::Text(subject.user.as_str()),
            Bound::Text(self.change.key().as_str()),
        ]);
        values.extend(condition);
        Ready { statement, values }
    }

    /// The answer after an attempt whose outcome no node knew, by what stands there since; nothing if that attempt was
    /// certainly not applied, or if it does not matter whether it was.
    fn resolve(&mut self, standing: &Standing<'_>, is_erased_since: bool) -> Option<Result<Outcome>> {
        let before = self.doubt.take()?;
        let own = self.change.entry().map(|entry| entry.revision.to_string());
        if own.is_some() && own.as_deref() == standing.revision {
            return match self.change {
                Change::Insert(..) => Some(Ok(Outcome::Inserted)),
                Change::Put(..) => Some(Ok(Outcome::Written)),
                _ => Some(Ok(Outcome::Replaced)),
            };
        }
        let is_as_before = match &before {
            // Revisions never come back: what has this one is what stood there before.
            Before::Revision(read) => standing.revision == Some(read.to_string().as_str()),
            Before::Anything => false,
            before => *before == standing.before,
        };
        // What was written may have been erased, and is not written again.
        let is_as_before = is_as_before && !is_erased_since;
        // Whoever stands there instead is the winner that an insert is told, whether it came before or after.
        let is_told =
            matches!(self.change, Change::Insert(..)) && (standing.revision.is_some() || !is_erased_since);
        (!is_as_before && !is_told).then(|| Err(error::in_doubt()))
    }
}

/// What is bound for the columns of an entry, its time to live first.
fn set(entry: &Entry, now: UnixMillis, grace: Duration) -> Vec<Bound<'_>> {
    vec![
        Bound::Count(layout::ttl(entry.expiry, now, grace)),
        Bound::Text(entry.value.as_str()),
        Bound::Own(entry.revision.to_string()),
        Bound::Number(layout::expiry(entry.expiry)),
        Bound::Own(layout::extra(entry)),
    ]
}

/// The statements of an erasure: the mark, if exactly this stands in its place, and the end of all entries.
pub(crate) fn erasing<'a>(
    subject: &'a Subject,
    leave: stickystore_core::Mark,
    stance: &Stance,
    now: UnixMillis,
    grace: Duration,
) -> [Ready<'a>; 2] {
    let user = || [Bound::Text(subject.namespace.as_str()), Bound::Text(subject.user.as_str())];
    let mut mark = vec![
        Bound::Count(layout::ttl(Expiry::At(leave.until), now, grace)),
        Bound::Own(leave.epoch.to_string()),
        Bound::Number(layout::millis(leave.until)),
    ];
    mark.extend(user());
    mark.push(stance.epoch().map_or(Bound::Null, Bound::Own));
    [
        Ready { statement: Statement::Mark, values: mark },
        Ready { statement: Statement::DeleteAll, values: user().into() },
    ]
}

/// Whether the user was erased since this stood in the mark's place.
fn is_erased_since(under: &Option<String>, stance: &Stance) -> bool {
    stance.mark().is_some() && stance.epoch() != *under
}

/// The answer to a change that needs no server.
fn settle(change: &Change, now: UnixMillis, limits: Limits) -> Option<Result<Outcome>> {
    if let Some(entry) = change.entry() {
        let (bytes, limit) = (entry.size_bytes(), limits.entry_bytes);
        if bytes > limit {
            let context = format!("an entry of {bytes} bytes; at most {limit} are kept");
            return Some(Err(Error::new(ErrorKind::TooLarge, context)));
        }
        if !entry.is_live(now) {
            return Some(Ok(Outcome::Expired));
        }
    }
    match change {
        Change::Insert(..)
        | Change::Put(..)
        | Change::Replace(..)
        | Change::Remove(_)
        | Change::RemoveIf(..) => None,
        _ => Some(Err(Error::new(ErrorKind::Unsupported, "this store does not know this change"))),
    }
}

#[cfg(test)]
mod tests;
