//! Stores that break the basic contract: entries that move when another does, revisions that are not unique,
//! handles that do not share.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use stickystore_core::decide::{Act, Decision, decide};
use stickystore_core::{
    Call, Change, Entry, Erase, ErrorKind, Key, Keys, Operation, Outcome, Profile, Read, Result, Revision,
    Subject, Value, Write,
};

use super::BrokenStore;
use super::bench::{Bench, fail, opened};
use super::fault::{After, Answers, Fault, Judges, Question};
use super::state::{Slot, State};

pub(super) const STORES: &[BrokenStore] = &[
    BrokenStore {
        name: "overwrites the whole user on save",
        breaks: "writing an entry changes no other",
        open: || opened(After(keep_only_this)),
    },
    BrokenStore {
        name: "compares values instead of revisions",
        breaks: "a replace names the revision that was read, also when equal bytes came back",
        open: || opened(ComparesValues::default()),
    },
    BrokenStore {
        name: "counts revisions and starts again after a delete",
        breaks: "a revision is unique for ever",
        open: || opened(CountsRevisions::default()),
    },
    BrokenStore {
        name: "replaces whatever stands there",
        breaks: "a replace of an entry that was written since is refused",
        open: || opened(Judges(replace_anything)),
    },
    BrokenStore {
        name: "says removed without looking",
        breaks: "remove says whether it was there",
        open: || {
            opened(Judges(|question| {
                let mut decision = question.answer();
                if matches!(question.change, Change::Remove(_)) {
                    decision.outcome = Ok(Outcome::Removed);
                }
                decision
            }))
        },
    },
    BrokenStore {
        name: "removes the user with the entry",
        breaks: "removing an entry changes no other",
        open: || {
            opened(After(|state, subject, change, outcome, _| {
                if matches!((change, outcome), (Change::Remove(_), Ok(Outcome::Removed)))
                    && let Some(ours) = state.ours_mut(subject)
                {
                    ours.slots.clear();
                }
            }))
        },
    },
    BrokenStore {
        name: "answers an error for an absent user",
        breaks: "an absent user is a profile without entries, never an error",
        open: || {
            opened(Answers(|state, read, answer, _| {
                if state.users.contains_key(&read.subject) {
                    return answer;
                }
                Err(fail(Operation::Read, ErrorKind::Unexpected, "the server answered nil"))
            }))
        },
    },
    BrokenStore {
        name: "answers the whole user when asked for some keys",
        breaks: "a read of some keys gives these",
        open: || opened(IgnoresKeys),
    },
    BrokenStore {
        name: "reads the first of the named keys only",
        breaks: "a read of some keys gives all of these",
        open: || opened(Answers(first_key_only)),
    },
    BrokenStore { name: "a clone is a copy", breaks: "a clone shares state", open: || opened(CopiesClones) },
    BrokenStore {
        name: "reads from a cache that other handles do not clear",
        breaks: "what one handle wrote, its clones read",
        open: || opened(StaleCache::default()),
    },
    BrokenStore {
        name: "acknowledges before it writes",
        breaks: "what was acknowledged is read",
        open: || opened(AnswersEarly::default()),
    },
    BrokenStore {
        name: "a put over an entry keeps the old one",
        breaks: "put replaces, get sees it",
        open: || {
            opened(Judges(|question| match question.live() {
                Some(_) if matches!(question.change, Change::Put(..)) => {
                    Decision { outcome: Ok(Outcome::Written), act: Act::Nothing }
                }
                _ => question.answer(),
            }))
        },
    },
    BrokenStore {
        name: "removes softly and inserts see the row",
        breaks: "what was removed can be inserted again",
        open: || opened(SoftDelete::default()),
    },
];

fn keep_only_this(state: &mut State, subject: &Subject, change: &Change, outcome: &Result<Outcome>, _: Call) {
    let writes = change.entry().is_some() && matches!(outcome, Ok(outcome) if outcome.is_applied());
    if writes && let Some(ours) = state.ours_mut(subject) {
        ours.slots.retain(|key, _| key == change.key());
    }
}

fn replace_anything(question: &Question<'_>) -> Decision {
    match (question.change, question.live()) {
        (Change::Replace(key, _, new), Some(live)) => {
            let change = Change::Replace(key.clone(), live.revision, new.clone());
            decide(&change, question.stored, question.check, question.mark, question.now)
        }
        _ => question.answer(),
    }
}

fn first_key_only(_: &mut State, read: &Read, answer: Result<Profile>, call: Call) -> Result<Profile> {
    let profile = answer?;
    let Keys::Only(keys) = &read.keys else { return Ok(profile) };
    let (epoch, damaged) = (profile.epoch(), profile.damaged().to_vec());
    let first = profile.into_iter().filter(|(key, _)| Some(key) == keys.first());
    Ok(Profile::new(epoch, first, damaged, call.now))
}

/// Remembers which value each revision had, and takes equal bytes for the same entry.
#[derive(Default)]
struct ComparesValues(Mutex<HashMap<Revision, Value>>);

impl Fault for ComparesValues {
    fn judge(&self, question: &Question<'_>) -> Decision {
        let mut values = self.0.lock().unwrap();
        if let Some(new) = question.change.entry() {
            values.insert(new.revision, new.value.clone());
        }
        match (question.change, question.live()) {
            (Change::Replace(_, read, new), Some(live))
                if live.revision != new.revision && values.get(read) == Some(&live.value) =>
            {
                replace_anything(question)
            }
            _ => question.answer(),
        }
    }
}

/// Compares how often the key was written, counted from its last creation.
#[derive(Default)]
struct CountsRevisions(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    writes: HashMap<(Subject, Key), u64>,
    of: HashMap<Revision, u64>,
}

impl Fault for CountsRevisions {
    fn judge(&self, question: &Question<'_>) -> Decision {
        let counts = self.0.lock().unwrap();
        match (question.change, question.live()) {
            (Change::Replace(_, read, new), Some(live))
                if live.revision != new.revision
                    && counts.of.contains_key(read)
                    && counts.of.get(read) == counts.of.get(&live.revision) =>
            {
                replace_anything(question)
            }
            _ => question.answer(),
        }
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
        let mut counts = self.0.lock().unwrap();
        let at = (write.subject().clone(), change.key().clone());
        match (&outcome, change.entry()) {
            (Outcome::Removed, _) => {
                counts.writes.remove(&at);
            }
            (outcome, Some(new)) if outcome.is_applied() => {
                let count = counts.writes.entry(at).or_default();
                *count += 1;
                let count = *count;
                counts.of.insert(new.revision, count);
            }
            _ => {}
        }
        Ok(outcome)
    }
}

/// Takes `Keys::Only` for `Keys::All`.
struct IgnoresKeys;

impl Fault for IgnoresKeys {
    fn profile(&self, bench: &Bench, state: &mut State, read: &Read, call: Call) -> Result<Profile> {
        bench.profile(state, &Read::all(read.subject.clone()), call.now)
    }
}

/// Clones the data with the handle.
struct CopiesClones;

impl Fault for CopiesClones {
    fn cloned(&self, bench: &Bench) -> Bench {
        Bench::with_state(Self, bench.state().clone())
    }
}

/// A cache of profiles for each handle; only the handle's own writes clear it.
#[derive(Default)]
struct StaleCache(Mutex<HashMap<usize, HashMap<Subject, Profile>>>);

impl StaleCache {
    fn clear(&self, bench: &Bench) {
        self.0.lock().unwrap().remove(&bench.handle);
    }
}

impl Fault for StaleCache {
    fn profile(&self, bench: &Bench, state: &mut State, read: &Read, call: Call) -> Result<Profile> {
        if read.keys != Keys::All {
            return bench.profile(state, read, call.now);
        }
        let mut caches = self.0.lock().unwrap();
        let cache = caches.entry(bench.handle).or_default();
        let profile = match cache.get(&read.subject) {
            Some(profile) => profile.clone(),
            None => bench.profile(state, read, call.now)?,
        };
        cache.insert(read.subject.clone(), profile.clone());
        let (epoch, damaged) = (profile.epoch(), profile.damaged().to_vec());
        Ok(Profile::new(epoch, profile, damaged, call.now))
    }

    fn write(&self, bench: &Bench, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        self.clear(bench);
        bench.write_all(call, writes)
    }

    fn erase(&self, bench: &Bench, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        self.clear(bench);
        bench.erase_all(call, erases)
    }
}

/// Answers puts from a queue that the next write empties.
#[derive(Default)]
struct AnswersEarly(Mutex<VecDeque<(Subject, Key, Entry)>>);

impl Fault for AnswersEarly {
    fn change(
        &self,
        bench: &Bench,
        state: &mut State,
        write: &Write,
        change: &Change,
        call: Call,
    ) -> Result<Outcome> {
        let mut queue = self.0.lock().unwrap();
        while let Some((subject, key, entry)) = queue.pop_front() {
            state.set(&subject, key, Slot::Entry(entry));
        }
        let outcome = bench.change(state, write, change, call);
        if let (Change::Put(key, entry), Ok(Outcome::Written)) = (change, &outcome) {
            state.remove(write.subject(), key);
            queue.push_back((write.subject().clone(), key.clone(), entry.clone()));
        }
        outcome
    }
}

/// Marks removed entries instead of taking them away; reads know of it, inserts do not.
#[derive(Default)]
struct SoftDelete(Mutex<HashMap<(Subject, Key), Entry>>);

impl Fault for SoftDelete {
    fn change(
        &self,
        bench: &Bench,
        state: &mut State,
        write: &Write,
        change: &Change,
        call: Call,
    ) -> Result<Outcome> {
        let mut rows = self.0.lock().unwrap();
        let at = (write.subject().clone(), change.key().clone());
        match (change, rows.get(&at)) {
            (Change::Insert(..), Some(row)) => return Ok(Outcome::Kept(row.clone())),
            (Change::Remove(key), None) => {
                if let Some(entry) = state.entry_mut(write.subject(), key) {
                    rows.insert(at, entry.clone());
                }
            }
            (Change::Put(..), _) => {
                rows.remove(&at);
            }
            _ => {}
        }
        bench.change(state, write, change, call)
    }
}
