//! Runs the suite on every broken store, and tells which case caught which.
//!
//! A store that hangs does not hold up the others: a case that does not end counts as failed.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use serde::Serialize;

use super::bench::{GRACE, opened, opened_on_threads};
use super::fault::Sound;
use super::{BROKEN, BrokenStore};
use crate::harness::{Effort, Harness};
use crate::registry::CASES;
use crate::report::Report;
use crate::run::{run, run_some};

mod hush;
mod queue;

use hush::{Hush, THREAD};
use queue::Queue;

/// How many cases run at once: many of them wait for real time.
const WORKERS: usize = 8;

/// When no case begins or ends for this long, those that still run hang.
const HANGS: Duration = Duration::from_secs(20);

/// After so many broken stores comes one without a fault, to see whether the machine alone makes a case fail.
const SOUND_EVERY: usize = 40;

/// How many cases a row of the table names.
const NAMED: usize = 4;

/// Which case catches which broken store.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct KillMatrix {
    /// Every broken store, in the order of [`BROKEN`](super::BROKEN).
    pub stores: Vec<Killed>,
    /// How many cases each of them was held against.
    pub cases: usize,
    /// Cases that failed on the store without a fault, too, while the machine was this busy: their verdicts are left
    /// out.
    pub unreliable: Vec<String>,
}

/// What became of one broken store.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Killed {
    /// Its name.
    pub name: &'static str,
    /// The promise that it breaks.
    pub breaks: &'static str,
    /// The cases that failed on it, as `group::case`.
    pub caught_by: Vec<String>,
}

impl KillMatrix {
    /// The broken stores that no case caught: each is a hole in the suite.
    pub fn survivors(&self) -> Vec<&Killed> {
        self.stores.iter().filter(|store| store.caught_by.is_empty()).collect()
    }

    /// The matrix as JSON: `{"stores":[{"name":..,"breaks":..,"caught_by":["group::case",..]}],"cases":..}`.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a matrix has nothing that JSON has not")
    }
}

impl fmt::Display for KillMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let survivors = self.survivors().len();
        writeln!(f, "{} broken stores, {} cases, {survivors} survivors", self.stores.len(), self.cases)?;
        let width = self.stores.iter().map(|store| store.name.chars().count()).max().unwrap_or(0);
        for Killed { name, breaks, caught_by } in &self.stores {
            writeln!(f, "{name:width$}  {:>3}  {breaks}", caught_by.len())?;
            let named = caught_by.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = if caught_by.len() > NAMED { ", .." } else { "" };
            let named = if named.is_empty() { "SURVIVES" } else { &named };
            writeln!(f, "{:width$}       {named}{more}", "")?;
        }
        for case in &self.unreliable {
            writeln!(f, "left out, since it failed without a fault: {case}")?;
        }
        Ok(())
    }
}

/// Runs every case on every broken store.
///
/// # Panics
/// If a case fails on the store that the broken ones are built from while it has no fault: then nothing that
/// catches a broken store says anything.
pub fn kill_matrix() -> KillMatrix {
    let _hush = Hush::new();
    for sound in [sound(), run(&harness(&SOUND_ON_THREADS))] {
        assert!(sound.is_good(), "the bench without a fault has to pass every case\n{sound}");
    }
    let runs: Arc<[Run]> = runs().into();
    let mut failed: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); runs.len()];
    let mut running = BTreeSet::new();
    let news = start_workers(&runs);
    while let Ok(news) = news.recv_timeout(HANGS) {
        match news {
            News::Began { run, case } => {
                running.insert((run, case));
            }
            News::Ended { run, case, is_caught } => {
                running.remove(&(run, case));
                if is_caught {
                    failed[run].insert(case);
                }
            }
        }
    }
    // What still runs hangs, and the store's other cases wait behind it.
    for (run, case) in running {
        failed[run].insert(case);
    }
    judge(&runs, &failed)
}

/// A store in the run: a broken one, or between them one without a fault.
struct Run {
    store: BrokenStore,
    is_broken: bool,
}

/// The stores in the order in which they are run.
fn runs() -> Vec<Run> {
    let mut runs = Vec::new();
    for (place, store) in BROKEN.iter().enumerate() {
        if place % SOUND_EVERY == 0 {
            runs.push(Run { store: SOUND, is_broken: false });
        }
        runs.push(Run { store: *store, is_broken: true });
    }
    runs
}

/// Takes out the cases that the machine made fail, and gives the others their names.
fn judge(runs: &[Run], failed: &[BTreeSet<usize>]) -> KillMatrix {
    let name = |case: &usize| format!("{:?}", CASES[*case]);
    let runs = || runs.iter().zip(failed);
    let sound = runs().filter(|(run, _)| !run.is_broken);
    let unreliable: BTreeSet<usize> = sound.flat_map(|(_, failed)| failed).copied().collect();
    let killed = |(run, failed): (&Run, &BTreeSet<usize>)| {
        let mut caught_by: Vec<usize> = failed.difference(&unreliable).copied().collect();
        if caught_by.is_empty() {
            // Now that nothing else runs, these can be trusted.
            let alone = |case: &usize| fails_alone(run.store, *case);
            caught_by.extend(failed.iter().copied().filter(alone));
        }
        let caught_by = caught_by.iter().map(name).collect();
        Killed { name: run.store.name, breaks: run.store.breaks, caught_by }
    };
    KillMatrix {
        stores: runs().filter(|(run, _)| run.is_broken).map(killed).collect(),
        cases: CASES.len(),
        unreliable: unreliable.iter().map(name).collect(),
    }
}

/// Whether a case fails on this store and not without its fault.
fn fails_alone(store: BrokenStore, case: usize) -> bool {
    let judge = move || fails(&store, case) && !fails(&SOUND, case);
    // On a thread of this name its panics are not printed.
    let thread = std::thread::Builder::new().name(THREAD.to_owned()).spawn(judge);
    thread.expect("the machine has threads").join().unwrap_or(false)
}

/// Whether a case fails on a store.
fn fails(store: &BrokenStore, case: usize) -> bool {
    let harness = harness(store).with_effort(Effort::Quick);
    !run_some(&harness, |wanted| std::ptr::eq(wanted, &CASES[case])).is_good()
}

/// What a worker tells: a store and a case by their places.
enum News {
    Began { run: usize, case: usize },
    Ended { run: usize, case: usize, is_caught: bool },
}

/// Starts the threads that run every case on every store. Those that hang are left behind.
fn start_workers(runs: &Arc<[Run]>) -> mpsc::Receiver<News> {
    let queue = Arc::new(Queue::new(runs.len(), CASES.len()));
    let (tell, news) = mpsc::channel();
    for _ in 0..WORKERS {
        let (queue, runs, tell) = (Arc::clone(&queue), Arc::clone(runs), tell.clone());
        let work = move || {
            while let Some((run, case)) = queue.begin() {
                let began = tell.send(News::Began { run, case });
                let ended = News::Ended { run, case, is_caught: fails(&runs[run].store, case) };
                queue.end(run);
                // Nobody listens any more: the run was given up.
                if began.and(tell.send(ended)).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name(THREAD.to_owned()).spawn(work).expect("the machine has threads");
    }
    news
}

/// The store that the broken ones are built from, with no fault in it.
const SOUND: BrokenStore = BrokenStore { name: "bench", breaks: "nothing", open: || opened(Sound) };

/// The same on threads, as the broken ones that wait are used.
const SOUND_ON_THREADS: BrokenStore = BrokenStore { open: || opened_on_threads(Sound), ..SOUND };

/// The verdicts on the store that the broken ones are built from, with no fault in it.
pub fn sound() -> Report {
    run(&harness(&SOUND))
}

pub(super) fn harness(store: &BrokenStore) -> Harness {
    let open = store.open;
    let name = store.name;
    let harness = match open().store {
        crate::Probe::Async(_) => Harness::asynchronous(name, move || async move { Ok(open()) }),
        crate::Probe::Blocking(_) => Harness::blocking(name, move || Ok(open())),
    };
    harness.with_grace(GRACE)
}
