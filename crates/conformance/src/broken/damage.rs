//! Stores that mistake damage for absence, or for a licence to write.

use std::collections::BTreeMap;

use stickystore_core::decide::{Act, Decision, Stored, damaged, not_ours};
use stickystore_core::{Call, Change, Erase, Key, Profile, Result, Subject};

use super::BrokenStore;
use super::bench::{Bench, opened};
use super::fault::{Answers, Before, Fault, Judges};
use super::state::{Slot, State};

pub(super) const STORES: &[BrokenStore] = &[
    BrokenStore {
        name: "answers damaged as absent",
        breaks: "a damaged entry is reported beside the live ones",
        open: || {
            opened(Answers(|_, _, answer, call| {
                let profile = answer?;
                Ok(Profile::new(profile.epoch(), profile, Vec::new(), call.now))
            }))
        },
    },
    BrokenStore {
        name: "fails the user for one damaged entry",
        breaks: "a damaged entry does not keep the others from loading",
        open: || {
            opened(Answers(|_, _, answer, _| match answer {
                Ok(profile) if !profile.damaged().is_empty() => Err(damaged()),
                answer => answer,
            }))
        },
    },
    BrokenStore {
        name: "heals by deleting",
        breaks: "a damaged entry stays until it is put over, removed or erased",
        open: || {
            opened(Answers(|state, read, answer, _| {
                if let Some(ours) = state.ours_mut(&read.subject) {
                    ours.slots.retain(|_, slot| matches!(slot, Slot::Entry(_)));
                }
                answer
            }))
        },
    },
    BrokenStore {
        name: "an insert overwrites damage",
        breaks: "an insert over a damaged entry is Corrupt and writes nothing",
        open: || {
            opened(Judges(|question| match (question.change, question.stored) {
                (Change::Insert(..), Stored::Damaged) => question.answer_over(Stored::Absent),
                _ => question.answer(),
            }))
        },
    },
    BrokenStore {
        name: "a replace takes damage for absent",
        breaks: "a replace of a damaged entry is Corrupt",
        open: || {
            opened(Judges(|question| match (question.change, question.stored) {
                (Change::Replace(..) | Change::RemoveIf(..), Stored::Damaged) => {
                    question.answer_over(Stored::Absent)
                }
                _ => question.answer(),
            }))
        },
    },
    BrokenStore {
        name: "a put refuses damage",
        breaks: "a put over a damaged entry mends it",
        open: || {
            opened(Judges(|question| match (question.change, question.stored) {
                (Change::Put(..), Stored::Damaged) => {
                    let outcome = Err(damaged());
                    Decision { outcome, act: Act::Nothing }
                }
                _ => question.answer(),
            }))
        },
    },
    BrokenStore {
        name: "a remove does not see damage",
        breaks: "a remove of a damaged entry removes it and says so",
        open: || {
            opened(Judges(|question| match (question.change, question.stored) {
                (Change::Remove(_), Stored::Damaged) => question.answer_over(Stored::Absent),
                _ => question.answer(),
            }))
        },
    },
    BrokenStore {
        name: "answers foreign data as absent",
        breaks: "foreign data under a user's storage key is Corrupt, never absent",
        open: || {
            opened(Answers(
                |state, read, answer, _| {
                    if state.is_foreign(&read.subject) { Ok(Profile::default()) } else { answer }
                },
            ))
        },
    },
    BrokenStore {
        name: "a put over foreign data succeeds",
        breaks: "every change of a user whose place is foreign is Corrupt",
        open: || {
            opened(Before(|state, subject, change, call| {
                let applies = change.entry().is_some_and(|entry| entry.is_live(call.now));
                if matches!(change, Change::Put(..)) && applies && state.is_foreign(subject) {
                    state.users.remove(subject);
                }
            }))
        },
    },
    BrokenStore {
        name: "an erase leaves foreign data",
        breaks: "erasing the user removes foreign data",
        open: || opened(LeavesForeign),
    },
    BrokenStore {
        name: "an erase leaves damaged entries",
        breaks: "an erase removes all that stood, damaged entries too",
        open: || opened(LeavesDamaged),
    },
    BrokenStore {
        name: "an erase of damaged entries answers false",
        breaks: "an erase answers whether a live or damaged entry stood",
        open: || opened(DoesNotCountDamage),
    },
];

struct LeavesForeign;

impl Fault for LeavesForeign {
    fn erase_user(&self, bench: &Bench, state: &mut State, erase: &Erase, call: Call) -> Result<bool> {
        if state.is_foreign(&erase.subject) {
            return Err(not_ours());
        }
        bench.erase_user(state, erase, call.now)
    }
}

fn damaged_slots(state: &State, subject: &Subject) -> BTreeMap<Key, Slot> {
    let slots = state.ours(subject).map(|ours| ours.slots.clone()).unwrap_or_default();
    slots.into_iter().filter(|(_, slot)| matches!(slot, Slot::Damaged)).collect()
}

struct LeavesDamaged;

impl Fault for LeavesDamaged {
    fn erase_user(&self, bench: &Bench, state: &mut State, erase: &Erase, call: Call) -> Result<bool> {
        let damaged = damaged_slots(state, &erase.subject);
        let answer = bench.erase_user(state, erase, call.now)?;
        for (key, slot) in damaged {
            state.set(&erase.subject, key, slot);
        }
        Ok(answer)
    }
}

struct DoesNotCountDamage;

impl Fault for DoesNotCountDamage {
    fn erase_user(&self, bench: &Bench, state: &mut State, erase: &Erase, call: Call) -> Result<bool> {
        for key in damaged_slots(state, &erase.subject).into_keys() {
            if let Some(ours) = state.ours_mut(&erase.subject) {
                ours.slots.remove(&key);
            }
        }
        bench.erase_user(state, erase, call.now)
    }
}
