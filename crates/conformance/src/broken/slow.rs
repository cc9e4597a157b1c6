//! A store without a fault on a machine that is slow: much time passes between two calls, and the server sweeps at once
//! whatever it may. A case that fails here depends on how fast the machine is.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stickystore_core::{
    Call, Change, Cursor, Erase, Expiry, Key, Mark, Namespace, Operation, Outcome, Page, Profile, Read,
    Result, Revision, Subject, Write,
};

use super::BrokenStore;
use super::bench::{Bench, GRACE, opened};
use super::fault::Fault;
use super::matrix::harness;
use super::state::{Slot, State, User};
use crate::registry::Case;
use crate::report::Report;
use crate::run::run_some;

/// How much later each call is than the one before, by the server's clock: as if the machine were so busy.
const STEP: Duration = Duration::from_secs(5);

/// The verdicts on the store that the broken ones are built from, with no fault in it, where every call takes long by the
/// server's clock.
///
/// Leaves out the cases that watch real time, by their own clock too: here only the server's goes on.
pub fn sound_but_slow() -> Report {
    let store = BrokenStore { name: "slow bench", breaks: "nothing", open: || opened(Slow::default()) };
    run_some(&harness(&store), |case| !watches_real_time(case))
}

/// By a clock that cannot be injected: cases that wait for a server's sweep, or show what lives only for a moment.
const REAL: &[(&str, &str)] = &[
    ("table", "change_with_a_millisecond_left_is_done"),
    ("table", "change_is_judged_by_its_own_now"),
    ("expiry", "short_lives_are_neither_shorter_nor_endless"),
    ("expiry", "real_clock_ends_an_entry"),
    ("expiry", "short_life_after_long_shortens_nothing"),
    ("expiry", "short_life_after_a_mark_shortens_nothing"),
    ("expiry", "sweep_keeps_what_lives"),
    ("erasure", "ended_mark_is_refused"),
];

fn watches_real_time(case: &Case) -> bool {
    REAL.contains(&(case.group, case.name))
}

/// Its server sweeps by a clock of its own, with a time to live that each write gives it relative to the writer's clock.
#[derive(Default)]
struct Slow {
    /// Milliseconds since the server began.
    clock: AtomicU64,
    dies: Mutex<Deaths>,
}

/// When the server sweeps what, by its own clock.
#[derive(Default)]
struct Deaths {
    entries: HashMap<(Subject, Key), (Revision, Expiry, u64)>,
    marks: HashMap<Subject, (Mark, u64)>,
}

impl Slow {
    /// Time passes until a call arrives, and the server sweeps meanwhile.
    fn passes(&self, bench: &Bench) {
        let now = self.clock.fetch_add(millis(STEP), Ordering::SeqCst);
        let mut state = bench.state();
        let dies = self.dies.lock().unwrap();
        for (subject, user) in &mut state.users {
            let User::Ours(ours) = user else { continue };
            let is_due =
                |key: &Key, slot: &Slot| match (slot, dies.entries.get(&(subject.clone(), key.clone()))) {
                    (Slot::Entry(entry), Some((revision, expiry, dies))) => {
                        (entry.revision, entry.expiry) == (*revision, *expiry) && now >= *dies
                    }
                    _ => false,
                };
            ours.slots.retain(|key, slot| !is_due(key, slot));
            let is_over = |mark: &Mark| {
                dies.marks.get(subject).is_some_and(|(marked, dies)| mark == marked && now >= *dies)
            };
            ours.mark = ours.mark.filter(|mark| !is_over(mark));
        }
    }

    /// When what lives so long is swept.
    fn death(&self, life: Duration) -> u64 {
        self.clock.load(Ordering::SeqCst).saturating_add(millis(life + GRACE))
    }
}

impl Fault for Slow {
    /// Writers' clocks sweep nothing: the server does.
    fn sweep(&self, _state: &mut State, _subject: &Subject, _call: Call) {}

    fn change(
        &self,
        bench: &Bench,
        state: &mut State,
        write: &Write,
        change: &Change,
        call: Call,
    ) -> Result<Outcome> {
        let outcome = bench.change(state, write, change, call);
        if let (Ok(true), Some(stored)) =
            (outcome.as_ref().map(Outcome::is_applied), state.entry_mut(write.subject(), change.key()))
            && let Expiry::At(at) = stored.expiry
        {
            let (revision, expiry, death) = (stored.revision, stored.expiry, self.death(at.since(call.now)));
            let mut dies = self.dies.lock().unwrap();
            let known = dies.entries.entry((write.subject().clone(), change.key().clone()));
            let known = known.or_insert((revision, expiry, death));
            // A retry that finds itself writes nothing.
            if (known.0, known.1) != (revision, expiry) {
                *known = (revision, expiry, death);
            }
        }
        outcome
    }

    fn erase_user(&self, bench: &Bench, state: &mut State, erase: &Erase, call: Call) -> Result<bool> {
        let stood = bench.erase_user(state, erase, call.now);
        if let Some(mark) = state.mark(&erase.subject) {
            let death = self.death(mark.until.since(call.now));
            let mut dies = self.dies.lock().unwrap();
            let known = dies.marks.entry(erase.subject.clone()).or_insert((mark, death));
            if known.0 != mark {
                *known = (mark, death);
            }
        }
        stood
    }

    fn read(&self, bench: &Bench, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        self.passes(bench);
        bench.read_all(call, reads)
    }

    fn write(&self, bench: &Bench, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        self.passes(bench);
        bench.write_all(call, writes)
    }

    fn erase(&self, bench: &Bench, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        self.passes(bench);
        bench.erase_all(call, erases)
    }

    fn page(
        &self,
        bench: &Bench,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        self.passes(bench);
        self.admit(bench, call, Operation::Scan)?;
        Ok(bench.page(&bench.state(), namespace, cursor, limit, call.now))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
