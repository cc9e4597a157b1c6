//! Runs the suite on every broken store, and tells which case caught which.
//!
//! A store that hangs does not hold up the others: a case that does not end counts as failed.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use serde::Serialize;

use super::bench::{GRACE, opened, opened_on_threads};
use super::fault::Sound;
use super::{BROKEN, BrokenStore};
use crate::harness::Harness;
use crate::registry::CASES;
use crate::report::{Report, Verdict};
use crate::run::{run, run_some};

/// How many cases run at once: many of them wait for real time.
const WORKERS: usize = 16;

/// When no case begins or ends for this long, those that still run hang.
const HANGS: Duration = Duration::from_secs(20);

/// How the threads that run cases are called; what panics there is a verdict and no news.
const THREAD: &str = "broken-store";

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
    for sound in [sound(), sound_on_threads()] {
        assert!(sound.is_good(), "the bench without a fault has to pass every case\n{sound}");
    }
    let mut stores: Vec<_> = BROKEN
        .iter()
        .map(|store| Killed { name: store.name, breaks: store.breaks, caught_by: Vec::new() })
        .collect();
    let mut waiting = BROKEN.len() * CASES.len();
    let mut running = HashSet::new();
    let news = start_workers();
    while let Ok(news) = news.recv_timeout(HANGS) {
        match news {
            News::Began(store, case) => {
                waiting -= 1;
                running.insert((store, case));
            }
            News::Ended(store, case, verdict) => {
                running.remove(&(store, case.clone()));
                if let Verdict::Failed(_) = verdict {
                    stores[store].caught_by.push(case);
                }
            }
        }
    }
    assert_eq!(waiting, 0, "so many cases hang that the others did not begin: {running:?}");
    for (store, case) in running {
        stores[store].caught_by.push(case);
    }
    let place = |name: &String| CASES.iter().position(|case| format!("{case:?}") == *name);
    for store in &mut stores {
        store.caught_by.sort_by_cached_key(place);
    }
    KillMatrix { stores, cases: CASES.len() }
}

/// What a worker tells: a store by its place in the list, and a case by its name.
enum News {
    Began(usize, String),
    Ended(usize, String, Verdict),
}

/// Starts the threads that run every case on every store. Those that hang are left behind.
fn start_workers() -> mpsc::Receiver<News> {
    let pairs = (0..BROKEN.len()).flat_map(|store| CASES.iter().map(move |case| (store, case)));
    let queue: Arc<Mutex<VecDeque<_>>> = Arc::new(Mutex::new(pairs.collect()));
    let (tell, news) = mpsc::channel();
    for _ in 0..WORKERS {
        let (queue, tell) = (Arc::clone(&queue), tell.clone());
        let work = move || {
            loop {
                let Some((store, case)) = queue.lock().unwrap().pop_front() else { return };
                let began = tell.send(News::Began(store, format!("{case:?}")));
                let harness = harness(&BROKEN[store]);
                let mut report = run_some(&harness, |other| std::ptr::eq(other, case));
                let verdict = report.cases.pop().expect("the case is one of the list").verdict;
                let ended = tell.send(News::Ended(store, format!("{case:?}"), verdict));
                // Nobody listens any more: the run was given up.
                if began.is_err() || ended.is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name(THREAD.to_owned()).spawn(work).expect("the machine has threads");
    }
    news
}

/// The verdicts on the store that the broken ones are built from, with no fault in it.
pub fn sound() -> Report {
    run(&harness(&BrokenStore { name: "bench", breaks: "nothing", open: || opened(Sound) }))
}

/// The same on threads, as some of the broken ones are used.
fn sound_on_threads() -> Report {
    run(&harness(&BrokenStore { name: "bench", breaks: "nothing", open: || opened_on_threads(Sound) }))
}

fn harness(store: &BrokenStore) -> Harness {
    let open = store.open;
    let name = store.name;
    let harness = match open().store {
        crate::Probe::Async(_) => Harness::asynchronous(name, move || async move { Ok(open()) }),
        crate::Probe::Blocking(_) => Harness::blocking(name, move || Ok(open())),
    };
    harness.with_grace(GRACE)
}

/// While one of these lives, what panics in a case is a verdict and is not printed.
struct Hush;

static HUSHED: AtomicUsize = AtomicUsize::new(0);

impl Hush {
    fn new() -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                let thread = std::thread::current();
                let is_case = thread.name().is_some_and(|name| name == THREAD || name.starts_with("tokio-"));
                if !(is_case && HUSHED.load(Ordering::SeqCst) > 0) {
                    before(panic);
                }
            }));
        });
        HUSHED.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Hush {
    fn drop(&mut self) {
        HUSHED.fetch_sub(1, Ordering::SeqCst);
    }
}
