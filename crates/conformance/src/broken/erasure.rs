//! Stores whose erasures do not hold: what comes back, what goes that should not, and marks gone wrong.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use stickystore_core::decide::{Act, Decision, EraseDecision, decide_erase, passes};
use stickystore_core::{
    Call, Change, Epoch, EpochCheck, Erase, Expiry, Keys, Mark, Outcome, Profile, Result, Subject,
    UnixMillis, Write,
};

use super::BrokenStore;
use super::bench::{Bench, opened};
use super::fault::{After, Answers, Fault, Judges, JudgesErase, Question};
use super::state::{Ours, State, User};

pub(super) const STORES: &[BrokenStore] = &[
    BrokenStore {
        name: "erases without a mark",
        breaks: "an erase leaves a mark with its epoch",
        open: || opened(MarksNothing { only_absent: false }),
    },
    BrokenStore {
        name: "leaves no mark for an absent user",
        breaks: "an erase leaves a mark also for an absent user",
        open: || opened(MarksNothing { only_absent: true }),
    },
    BrokenStore {
        name: "a put removes the mark",
        breaks: "no write removes a live mark",
        open: || {
            opened(After(|state, subject, change, outcome, _| {
                if let (Change::Put(..), Ok(Outcome::Written)) = (change, outcome)
                    && let Some(ours) = state.ours_mut(subject)
                {
                    ours.mark = None;
                }
            }))
        },
    },
    BrokenStore {
        name: "removing the last entry removes the mark",
        breaks: "no write removes a live mark",
        open: || {
            opened(After(|state, subject, change, outcome, _| {
                let removes = matches!(change, Change::Remove(_) | Change::RemoveIf(..));
                let is_empty = state.ours(subject).is_some_and(|ours| ours.slots.is_empty());
                if removes && matches!(outcome, Ok(Outcome::Removed)) && is_empty {
                    state.users.remove(subject);
                }
            }))
        },
    },
    BrokenStore {
        name: "a write with an expiry sets the mark's end",
        breaks: "no write changes a live mark",
        open: || {
            opened(After(|state, subject, change, outcome, _| {
                let is_written = matches!(outcome, Ok(outcome) if outcome.is_applied());
                if let Some(Expiry::At(at)) = change.entry().map(|entry| entry.expiry)
                    && let Some(mark) = state.ours_mut(subject).and_then(|ours| ours.mark.as_mut())
                    && is_written
                {
                    mark.until = at;
                }
            }))
        },
    },
    BrokenStore {
        name: "the mark never ends",
        breaks: "the mark goes by itself",
        open: || opened(EndlessMark),
    },
    BrokenStore {
        name: "the mark counts at its end",
        breaks: "a mark lives while `now < until`",
        open: || {
            opened(JudgesErase(|erase, mark, stood, now| {
                let mut decision = decide_erase(erase, mark, stood, now)?;
                if let Some(mark) = &mut decision.leave {
                    mark.until = mark.until.saturating_add(Duration::from_millis(1));
                }
                Ok(decision)
            }))
        },
    },
    BrokenStore {
        name: "a later erase shortens the mark",
        breaks: "a later erase never shortens the mark",
        open: || {
            opened(JudgesErase(|erase, mark, stood, now| {
                let mut decision = decide_erase(erase, mark, stood, now)?;
                if let Some(mark) = &mut decision.leave {
                    mark.until = erase.mark_until;
                }
                Ok(decision)
            }))
        },
    },
    BrokenStore {
        name: "a later erase leaves the first epoch",
        breaks: "a later erase takes the mark over",
        open: || {
            opened(JudgesErase(|erase, mark, stood, now| {
                let mut decision = decide_erase(erase, mark, stood, now)?;
                let live = mark.filter(|mark| mark.is_live(now));
                if let (Some(leave), Some(live)) = (&mut decision.leave, live) {
                    leave.epoch = live.epoch;
                }
                Ok(decision)
            }))
        },
    },
    BrokenStore {
        name: "a retried erase removes newer data",
        breaks: "an erase that is sent again finds its own epoch and removes nothing newer",
        open: || {
            opened(JudgesErase(|erase, mark, stood, now| {
                let decision = decide_erase(erase, mark, stood, now)?;
                Ok(EraseDecision { leave: decision.leave.or(mark), ..decision })
            }))
        },
    },
    BrokenStore {
        name: "a further attempt of an erase is another erase",
        breaks: "an erase that is sent again finds its own epoch and removes nothing newer",
        open: || {
            opened(JudgesErase(|erase, mark, stood, now| {
                let other = |mark: Mark| Epoch::from_bytes(mark.epoch.to_bytes().map(|byte| !byte));
                let is_exact = |mark: &Mark| mark.epoch == erase.epoch;
                let mark =
                    mark.map(|mark| if is_exact(&mark) { mark } else { Mark::new(other(mark), mark.until) });
                decide_erase(erase, mark, stood, now)
            }))
        },
    },
    BrokenStore {
        name: "a retried erase answers false",
        breaks: "an erase that is sent again answers true",
        open: || {
            opened(JudgesErase(|erase, mark, stood, now| {
                let decision = decide_erase(erase, mark, stood, now)?;
                Ok(EraseDecision { stood, ..decision })
            }))
        },
    },
    BrokenStore {
        name: "an erase answers true for an absent user",
        breaks: "an erase answers whether a live or damaged entry stood",
        open: || opened(JudgesErase(|erase, mark, _, now| decide_erase(erase, mark, true, now))),
    },
    BrokenStore {
        name: "an erase counts expired entries",
        breaks: "an erase answers whether a live or damaged entry stood",
        open: || opened(CountsExpired),
    },
    BrokenStore {
        name: "accepts an erase whose mark has ended",
        breaks: "an erase whose mark would have ended is refused",
        open: || {
            opened(JudgesErase(|erase, mark, stood, now| {
                if erase.mark_until <= now {
                    let leave = Some(Mark::new(erase.epoch, erase.mark_until));
                    return Ok(EraseDecision { stood, leave });
                }
                decide_erase(erase, mark, stood, now)
            }))
        },
    },
    BrokenStore {
        name: "does not check the epoch of a put",
        breaks: "while the mark lives, a put of another epoch creates nothing",
        open: || {
            opened(Judges(|question| match question.change {
                Change::Put(..) => question.answer_under(EpochCheck::Ignore),
                _ => question.answer(),
            }))
        },
    },
    BrokenStore {
        name: "does not check the epoch of an insert",
        breaks: "while the mark lives, an insert of another epoch creates nothing",
        open: || {
            opened(Judges(|question| match question.change {
                Change::Insert(..) => question.answer_under(EpochCheck::Ignore),
                _ => question.answer(),
            }))
        },
    },
    BrokenStore {
        name: "checks the epoch of a replace",
        breaks: "replaces create nothing and ignore the epoch",
        open: || {
            opened(Judges(|question| check_too(question, |change| matches!(change, Change::Replace(..)))))
        },
    },
    BrokenStore {
        name: "checks the epoch of a remove",
        breaks: "removes create nothing and ignore the epoch",
        open: || {
            opened(Judges(|question| {
                check_too(question, |change| matches!(change, Change::Remove(_) | Change::RemoveIf(..)))
            }))
        },
    },
    BrokenStore {
        name: "an epoch that was read passes after the mark ended",
        breaks: "the mark that ended refuses once whoever had read it",
        open: || {
            opened(Judges(|question| match (question.check, question.mark) {
                (EpochCheck::Is(Some(_)), mark) if mark.is_none_or(|mark| !mark.is_live(question.now)) => {
                    question.answer_under(EpochCheck::Ignore)
                }
                _ => question.answer(),
            }))
        },
    },
    BrokenStore {
        name: "any epoch passes while a mark lives",
        breaks: "a write carries the epoch of the live mark, not of an earlier one",
        open: || {
            opened(Judges(|question| match question.check {
                EpochCheck::Is(Some(_)) if question.mark.is_some_and(|mark| mark.is_live(question.now)) => {
                    question.answer_under(EpochCheck::Ignore)
                }
                _ => question.answer(),
            }))
        },
    },
    BrokenStore {
        name: "blind writes pass the mark",
        breaks: "while the mark lives, a write that carries no epoch creates nothing",
        open: || {
            opened(Judges(|question| match question.check {
                EpochCheck::Is(None) => question.answer_under(EpochCheck::Ignore),
                _ => question.answer(),
            }))
        },
    },
    BrokenStore {
        name: "an operator's put waits for the mark",
        breaks: "`Ignore` passes, whatever was erased",
        open: || {
            opened(Judges(|question| match question.check {
                EpochCheck::Ignore => question.answer_under(EpochCheck::Is(None)),
                _ => question.answer(),
            }))
        },
    },
    BrokenStore {
        name: "reads of some keys give no epoch",
        breaks: "while the mark lives, reads give its epoch",
        open: || {
            opened(Answers(|_, read, answer, call| {
                let profile = answer?;
                let epoch = profile.epoch().filter(|_| read.keys == Keys::All);
                let damaged = profile.damaged().to_vec();
                Ok(Profile::new(epoch, profile, damaged, call.now))
            }))
        },
    },
    BrokenStore {
        name: "reads give the epoch of a mark that ended",
        breaks: "the mark goes by itself, from reads too",
        open: || opened(ShowsOldEpoch),
    },
    BrokenStore {
        name: "an erase hides, and the next write shows again",
        breaks: "an erase removes all that stood",
        open: || opened(Hides::default()),
    },
];

/// `DEL`, and no more.
struct MarksNothing {
    only_absent: bool,
}

impl Fault for MarksNothing {
    fn erase_user(&self, bench: &Bench, state: &mut State, erase: &Erase, call: Call) -> Result<bool> {
        let was_absent = !state.users.contains_key(&erase.subject);
        let answer = bench.erase_user(state, erase, call.now);
        if was_absent || !self.only_absent {
            state.users.remove(&erase.subject);
        }
        answer
    }
}

/// Keeps the mark as if it had no end.
struct EndlessMark;

impl Fault for EndlessMark {
    fn judge_erase(
        &self,
        erase: &Erase,
        mark: Option<Mark>,
        stood: bool,
        now: UnixMillis,
    ) -> Result<EraseDecision> {
        let mut decision = decide_erase(erase, mark, stood, now)?;
        if let Some(mark) = &mut decision.leave {
            mark.until = UnixMillis::MAX;
        }
        Ok(decision)
    }
}

/// Looks for anything, not for anything live.
struct CountsExpired;

impl Fault for CountsExpired {
    fn erase_user(&self, bench: &Bench, state: &mut State, erase: &Erase, call: Call) -> Result<bool> {
        let stood = state.ours(&erase.subject).is_some_and(|ours| !ours.slots.is_empty());
        bench.erase_user(state, erase, call.now).map(|answer| answer || stood)
    }
}

/// Gives the epoch as long as the mark is stored.
struct ShowsOldEpoch;

impl Fault for ShowsOldEpoch {
    fn epoch(&self, mark: Option<Mark>, _now: UnixMillis) -> Option<Epoch> {
        mark.map(|mark| mark.epoch)
    }
}

/// A flag for the user, which any write clears.
#[derive(Default)]
struct Hides(Mutex<HashMap<Subject, Ours>>);

impl Fault for Hides {
    fn erase_user(&self, bench: &Bench, state: &mut State, erase: &Erase, call: Call) -> Result<bool> {
        let before = state.ours(&erase.subject).cloned();
        let answer = bench.erase_user(state, erase, call.now)?;
        if let Some(before) = before.filter(|ours| !ours.slots.is_empty()) {
            self.0.lock().unwrap().insert(erase.subject.clone(), before);
        }
        Ok(answer)
    }

    fn change(
        &self,
        bench: &Bench,
        state: &mut State,
        write: &Write,
        change: &Change,
        call: Call,
    ) -> Result<Outcome> {
        let outcome = bench.change(state, write, change, call)?;
        if outcome.is_applied()
            && let Some(hidden) = self.0.lock().unwrap().remove(write.subject())
            && let Some(User::Ours(ours)) = state.users.get_mut(write.subject())
        {
            for (key, slot) in hidden.slots {
                ours.slots.entry(key).or_insert(slot);
            }
        }
        Ok(outcome)
    }
}

/// Refuses these changes, too, where the check fails.
fn check_too(question: &Question<'_>, too: fn(&Change) -> bool) -> Decision {
    let mut decision = question.answer();
    let is_expired = matches!(decision.outcome, Ok(Outcome::Expired));
    if too(question.change) && !is_expired && !passes(question.check, question.mark, question.now) {
        decision.outcome = Ok(Outcome::Erased);
        decision.act = Act::Nothing;
    }
    decision
}
