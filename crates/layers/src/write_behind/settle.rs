//! What becomes of what is queued: judged by the store, tried again, given up, erased, left behind.

use std::time::{Duration, Instant};

use stickystore_core::{Effect, Error, ErrorKind, Operation, Outcome, Result, Subject, UnixMillis};

use super::lane::{Item, Slot, Stage};
use super::numbers;
use super::queue::{Batch, Forget, Part, Queue};
use super::report::{Report, Unwritten, Why};
use super::tasks::Left;

/// Says how long to wait after so many failures in a row.
pub(super) trait Pauses {
    fn after(&self, failures: u32) -> Duration;
}

impl Queue {
    /// Takes in what the store answered to a batch.
    pub(super) fn settle(
        &mut self,
        batch: Batch,
        answers: Vec<Vec<Result<Outcome>>>,
        now: Instant,
        pauses: &impl Pauses,
    ) {
        let mut answers = answers.into_iter();
        let mut is_refused_whole = true;
        for part in batch.parts {
            let answers = answers.next().filter(|answers| answers.len() == part.slots.len());
            let answers = answers.unwrap_or_else(|| vec![Err(wrong_count()); part.slots.len()]);
            is_refused_whole &=
                answers.iter().all(|answer| answer.as_ref().is_err_and(|error| !is_final(error)));
            self.settle_part(part, answers, now, pauses);
        }
        if is_refused_whole {
            self.failures = self.failures.saturating_add(1);
            self.pause = Some(now + pauses.after(self.failures));
        } else {
            (self.failures, self.pause) = (0, None);
        }
    }

    fn settle_part(&mut self, part: Part, answers: Vec<Result<Outcome>>, now: Instant, pauses: &impl Pauses) {
        let Part { subject, slots } = part;
        let mut items: Vec<u64> = slots.iter().map(|(id, _)| *id).collect();
        items.dedup();
        for ((id, place), answer) in slots.into_iter().zip(answers) {
            self.answered(&subject, id, place, answer);
        }
        let Some(lane) = self.lanes.get_mut(&subject) else { return };
        let mut finished = Vec::new();
        for item in lane.items.iter_mut().filter(|item| items.contains(&item.id)) {
            if item.is_decided() {
                finished.push(item.id);
            } else {
                item.stage = Stage::Ready;
            }
        }
        let is_whole = finished.len() == items.len();
        lane.failures = if is_whole { 0 } else { lane.failures.saturating_add(1) };
        lane.rests = (!is_whole).then(|| now + pauses.after(lane.failures));
        for id in finished {
            self.finish(&subject, id, now);
        }
        self.schedule(&subject, now);
    }

    fn answered(&mut self, subject: &Subject, id: u64, place: usize, answer: Result<Outcome>) {
        let Some(item) = self.lanes.get_mut(subject).and_then(|lane| lane.get_mut(id)) else { return };
        let is_erased = item.is_erased;
        let Some(slot) = item.slots.get_mut(place) else { return };
        match answer {
            Ok(outcome) => self.decide(subject, id, place, Ok(outcome)),
            // Whether it was applied or not, the erasure took it.
            Err(_) if is_erased => self.decide(subject, id, place, Ok(Outcome::Erased)),
            Err(error) => {
                slot.is_unknown |= error.effect() == Effect::Unknown;
                if is_final(&error) {
                    let effect = slot.effect(Stage::Ready);
                    self.decide(subject, id, place, Err(error.with_effect(effect)));
                } else {
                    slot.last = Some(error);
                    numbers::tried_again(self.store);
                }
            }
        }
    }

    /// Notes what a change came to.
    fn decide(&mut self, subject: &Subject, id: u64, place: usize, answer: Result<Outcome>) {
        let Some(item) = self.lanes.get_mut(subject).and_then(|lane| lane.get_mut(id)) else { return };
        let Some(slot) = item.slots.get_mut(place) else { return };
        let why = match &answer {
            Ok(outcome) => {
                numbers::judged(self.store, outcome);
                self.ledger.judged(outcome)
            }
            Err(error) => {
                numbers::failed(self.store, error);
                Some(Why::Failed(error.clone()))
            }
        };
        if let Some(why) = why {
            self.ledger.unwritten(unwritten(subject, slot, why, false));
        }
        slot.decided = Some(answer);
    }

    /// Lets an item go of which everything is decided: at once, or when its record is out of the journal.
    pub(super) fn finish(&mut self, subject: &Subject, id: u64, next: Instant) {
        let Some(item) = self.lanes.get_mut(subject).and_then(|lane| lane.get_mut(id)) else { return };
        if let Some(tells) = item.tells.take() {
            let outcomes = item.slots.iter().filter_map(|slot| slot.decided.clone()).collect();
            // Nobody may wait any more.
            drop(tells.send(outcomes));
        }
        match item.record.clone() {
            Some(record) => {
                item.stage = Stage::Done;
                self.forget.push(Forget { record, item: Some((id, subject.clone())) });
            }
            None => drop(self.remove(subject, id, next)),
        }
    }

    /// Gives up what waited too long.
    pub(super) fn give_up_old(&mut self, now: Instant, clock: UnixMillis) {
        let by_clock = self.ages.iter().take_while(|((until, _), _)| *until <= clock);
        let mut old: Vec<_> = by_clock.map(|((_, id), (subject, _))| (*id, subject.clone())).collect();
        // What the machine's time says counts before something is sent, where the clock was set back.
        for (_, subject) in self.due.iter().take_while(|((at, _), _)| *at <= now) {
            let items = self.lanes.get(subject).into_iter().flat_map(|lane| &lane.items);
            old.extend(
                items.filter(|item| item.is_too_old(now, clock)).map(|item| (item.id, subject.clone())),
            );
        }
        for (id, subject) in old {
            let Some(item) = self.lanes.get_mut(&subject).and_then(|lane| lane.get_mut(id)) else { continue };
            if item.stage != Stage::Ready {
                continue;
            }
            let undecided: Vec<_> = item.undecided().map(|(place, slot)| (place, outlived(slot))).collect();
            for (place, error) in undecided {
                self.decide(&subject, id, place, Err(error));
            }
            self.unschedule(&subject);
            self.finish(&subject, id, now);
            self.schedule(&subject, now);
        }
    }

    /// Drops what was queued for a user who was erased since, and lets nothing of it be sent again.
    pub(super) fn erased(&mut self, subject: &Subject, before: u64, now: Instant) {
        let Some(lane) = self.lanes.get_mut(subject) else { return };
        let mut dropped = Vec::new();
        for item in lane.items.iter_mut().filter(|item| item.id < before) {
            item.is_erased = true;
            if item.stage == Stage::Ready {
                dropped.push((item.id, item.undecided().map(|(place, _)| place).collect::<Vec<_>>()));
            }
        }
        self.unschedule(subject);
        for (id, places) in dropped {
            for place in places {
                self.decide(subject, id, place, Ok(Outcome::Erased));
            }
            self.finish(subject, id, now);
        }
        self.schedule(subject, now);
    }

    /// Takes a lane's place among those to be sent away, so that it can get another.
    fn unschedule(&mut self, subject: &Subject) {
        if let Some(due) = self.lanes.get_mut(subject).and_then(|lane| lane.due.take()) {
            self.due.remove(&due);
        }
    }

    /// Leaves everything behind that is still queued: nobody sends it any more.
    pub(super) fn leave_all(&mut self) -> Left {
        let mut left = Left::default();
        let lanes = std::mem::take(&mut self.lanes);
        let mut items: Vec<(Subject, Item)> = Vec::new();
        for (subject, lane) in lanes {
            items.extend(lane.items.into_iter().map(|item| (subject.clone(), item)));
        }
        items.sort_by_key(|(_, item)| item.id);
        for (subject, item) in items {
            let is_journaled = item.record.is_some();
            let mut outcomes = Vec::with_capacity(item.slots.len());
            for slot in item.slots {
                outcomes.push(slot.decided.clone().unwrap_or_else(|| {
                    let effect = slot.effect(item.stage);
                    numbers::dropped(self.store, "left", 1);
                    left.changes += 1;
                    left.unknown += usize::from(effect == Effect::Unknown);
                    left.journaled += usize::from(is_journaled);
                    self.ledger.unwritten(unwritten(&subject, &slot, Why::Left(effect), is_journaled));
                    Err(closed_over(effect))
                }));
            }
            if let Some(accepts) = item.accepts {
                let effect = if item.stage == Stage::Fresh { Effect::NotApplied } else { Effect::Unknown };
                drop(accepts.send(Err(closed_over(effect))));
            }
            if let Some(tells) = item.tells {
                drop(tells.send(outcomes));
            }
        }
        self.due.clear();
        self.ages.clear();
        self.alive.clear();
        self.fresh.clear();
        self.forget.clear();
        (self.changes, self.bytes, self.orphans) = (0, 0, 0);
        left
    }

    pub(super) fn report(&mut self) -> Report {
        self.ledger.take(self.changes)
    }
}

pub(super) fn unwritten(subject: &Subject, slot: &Slot, why: Why, journaled: bool) -> Unwritten {
    let change = &slot.change;
    let revision = change.entry().map(|entry| entry.revision);
    Unwritten { subject: subject.clone(), key: change.key().clone(), revision, why, journaled }
}

/// Whether trying again is of no use: the store refuses this very change, or everything from now on.
fn is_final(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Invalid
            | ErrorKind::TooLarge
            | ErrorKind::Unsupported
            | ErrorKind::Corrupt
            | ErrorKind::Closed
            | ErrorKind::Forked
            | ErrorKind::Config
    )
}

/// The error of a change that waited as long as it may: the last attempt's, or that there was none.
fn outlived(slot: &Slot) -> Error {
    let none = || {
        let context = "it was queued for as long as it may be, and the store took nothing in all that time";
        Error::new(ErrorKind::Timeout, context).with_origin("write-behind", Operation::Write)
    };
    slot.last.clone().unwrap_or_else(none).with_effect(slot.effect(Stage::Ready))
}

fn closed_over(effect: Effect) -> Error {
    let context =
        "the layer was closed while this was queued; a report of its changes says what was not written";
    Error::new(ErrorKind::Closed, context).with_origin("write-behind", Operation::Write).with_effect(effect)
}

fn wrong_count() -> Error {
    let context = "the store gave another number of answers than was asked for";
    Error::new(ErrorKind::Unexpected, context).with_origin("write-behind", Operation::Write)
}
