//! Stores that are right for a while: it takes a history of calls to find them.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use stickystore_core::{Call, Change, Entry, Erase, Key, Mark, Outcome, Result, Revision, Subject, Write};

use super::BrokenStore;
use super::bench::{Bench, opened};
use super::fault::Fault;
use super::state::{Slot, State};

/// How many writes later a duplicate arrives.
const LATE: usize = 3;

/// How many revisions of a key the recogniser of duplicates remembers.
const REMEMBERED: usize = 2;

pub(super) const STORES: &[BrokenStore] = &[
    BrokenStore {
        name: "a duplicate of a replace is applied late",
        breaks: "a replace applied twice, the second time late, does not undo what came between",
        open: || opened(AppliesLate::default()),
    },
    BrokenStore {
        name: "remembers the last revisions and lets them replace",
        breaks: "a replace names the revision that stands, not one that stood",
        open: || opened(KnowsPredecessors::default()),
    },
    BrokenStore {
        name: "forgets the mark when the user is written twice",
        breaks: "no number of writes removes a live mark",
        open: || opened(WearsOut::default()),
    },
    BrokenStore {
        name: "a put after a remove brings the old `was` back",
        breaks: "an entry is what its last write said",
        open: || opened(RemembersWas::default()),
    },
];

/// A proxy that sends a replace a second time, and a store that takes it for what it was the first time.
#[derive(Default)]
struct AppliesLate {
    count: AtomicUsize,
    sent: Mutex<Vec<(usize, Subject, Key, Entry)>>,
}

impl Fault for AppliesLate {
    fn change(
        &self,
        bench: &Bench,
        state: &mut State,
        write: &Write,
        change: &Change,
        call: Call,
    ) -> Result<Outcome> {
        let outcome = bench.change(state, write, change, call);
        let count = self.count.fetch_add(1, Ordering::SeqCst);
        let mut sent = self.sent.lock().unwrap();
        sent.retain(|(at, subject, key, entry)| {
            let arrives = count >= at + LATE;
            if arrives && entry.is_live(call.now) && state.entry_mut(subject, key).is_some() {
                state.set(subject, key.clone(), Slot::Entry(entry.clone()));
            }
            !arrives
        });
        if let (Change::Replace(key, _, entry), Ok(Outcome::Replaced)) = (change, &outcome) {
            sent.push((count, write.subject().clone(), key.clone(), entry.clone()));
        }
        outcome
    }
}

/// Takes a replace for a retry if it knows its revision from a moment ago.
#[derive(Default)]
struct KnowsPredecessors(Mutex<HashMap<(Subject, Key), Vec<Revision>>>);

impl Fault for KnowsPredecessors {
    fn change(
        &self,
        bench: &Bench,
        state: &mut State,
        write: &Write,
        change: &Change,
        call: Call,
    ) -> Result<Outcome> {
        let at = (write.subject().clone(), change.key().clone());
        let mut known = self.0.lock().unwrap();
        let known = known.entry(at).or_default();
        let mut aimed = change.clone();
        if let Change::Replace(key, read, new) = &mut aimed
            && known.contains(read)
            && let Some(stored) = state.entry_mut(write.subject(), key)
            && stored.revision != new.revision
        {
            *read = stored.revision;
        }
        let outcome = bench.change(state, write, &aimed, call)?;
        if let (Some(new), true) = (change.entry(), outcome.is_applied()) {
            known.push(new.revision);
            if known.len() > REMEMBERED {
                known.remove(0);
            }
        }
        Ok(outcome)
    }
}

/// A mark that is copied from write to write, but not by every path.
#[derive(Default)]
struct WearsOut(Mutex<HashMap<Subject, usize>>);

impl Fault for WearsOut {
    fn change(
        &self,
        bench: &Bench,
        state: &mut State,
        write: &Write,
        change: &Change,
        call: Call,
    ) -> Result<Outcome> {
        let outcome = bench.change(state, write, change, call)?;
        let mark: Option<&mut Option<Mark>> = state.ours_mut(write.subject()).map(|ours| &mut ours.mark);
        if let Some(mark) = mark.filter(|mark| mark.is_some())
            && outcome.is_applied()
        {
            let mut writes = self.0.lock().unwrap();
            let writes = writes.entry(write.subject().clone()).or_default();
            *writes += 1;
            if *writes == 2 {
                *mark = None;
            }
        }
        Ok(outcome)
    }

    fn erase_user(&self, bench: &Bench, state: &mut State, erase: &Erase, call: Call) -> Result<bool> {
        self.0.lock().unwrap().remove(&erase.subject);
        bench.erase_user(state, erase, call.now)
    }
}

/// An update of columns that names only those that are set.
#[derive(Default)]
struct RemembersWas(Mutex<HashMap<(Subject, Key), Entry>>);

impl Fault for RemembersWas {
    fn change(
        &self,
        bench: &Bench,
        state: &mut State,
        write: &Write,
        change: &Change,
        call: Call,
    ) -> Result<Outcome> {
        let outcome = bench.change(state, write, change, call)?;
        let at = (write.subject().clone(), change.key().clone());
        let mut columns = self.0.lock().unwrap();
        if let Some(stored) = state.entry_mut(write.subject(), change.key()) {
            if let Some(old) = columns.get(&at)
                && stored.was.is_empty()
                && outcome.is_applied()
            {
                stored.was = old.was.clone();
            }
            columns.insert(at, stored.clone());
        }
        Ok(outcome)
    }
}
