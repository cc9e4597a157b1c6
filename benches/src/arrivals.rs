//! Calls that come when they come, as in a service: at a share of what the bare driver can do at most, and how long they take
//! then, counted from when they were due.

use std::fmt;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use stickystore_core::AsyncStore;

use crate::backend::{Rivals, fill};
use crate::crowd::Crowd;
use crate::measure::{AsyncWork, Contender, Spread, Work, call_in_tasks};
use crate::operation::{ENTRIES, Operation};
use crate::options::Options;
use crate::ours::{coalesced, contender};

/// Of how many callers the most that the bare driver does is taken.
const CALLERS: usize = 64;

/// The shares of it at which calls come.
const SHARES: [f64; 2] = [0.5, 0.8];

const OPERATIONS: [Operation; 2] = [Operation::Load(ENTRIES), Operation::Put];

/// How long the one that lets calls go sleeps at most: a timer's own inaccuracy.
const TICK: Duration = Duration::from_micros(50);

/// One contender at one share.
#[derive(Debug, Clone)]
pub(crate) struct Arrivals {
    pub(crate) backend: &'static str,
    pub(crate) operation: Operation,
    pub(crate) contender: String,
    pub(crate) share: f64,
    pub(crate) per_second: f64,
    pub(crate) median_ms: f64,
    pub(crate) p99_ms: f64,
    /// Its 99th percentile by the driver's, of each round: below 1 is faster.
    pub(crate) p99_to_driver: Spread,
}

pub(crate) async fn rows<S: AsyncStore + Clone>(
    options: &Options,
    backend: &'static str,
    store: &S,
    rivals: &impl Rivals,
) -> Vec<Arrivals> {
    println!("{}", Arrivals::HEADINGS);
    let mut rows = Vec::new();
    for operation in OPERATIONS.into_iter().filter(|operation| options.is_asked(*operation)) {
        let crowd = Crowd::new(options.users, operation.filled());
        fill(store, rivals, &crowd).await;
        let contenders = contenders(options, store, rivals, operation, &crowd).await;
        let calls = options.effort.operations(operation, CALLERS);
        let peak = peak(&contenders, calls, options.effort.rounds).await;
        for share in SHARES {
            let times = take_turns(&contenders, options.effort.rounds, calls, peak * share).await;
            let driver = contenders.iter().position(|(name, _)| name == "driver");
            let driver = driver.and_then(|place| times.get(place)).map_or(&[][..], Vec::as_slice);
            for ((name, _), own) in contenders.iter().zip(&times) {
                let row = Arrivals {
                    backend,
                    operation,
                    contender: name.clone(),
                    share,
                    per_second: peak * share,
                    median_ms: Spread::of(own.iter().map(|(median, _)| *median)).median,
                    p99_ms: Spread::of(own.iter().map(|(_, p99)| *p99)).median,
                    p99_to_driver: Spread::of(own.iter().zip(driver).map(|(own, driver)| own.1 / driver.1)),
                };
                println!("{row}");
                rows.push(row);
            }
        }
    }
    rows
}

/// The store, plain and coalesced, and the bare driver.
async fn contenders<S: AsyncStore + Clone>(
    options: &Options,
    store: &S,
    rivals: &impl Rivals,
    operation: Operation,
    crowd: &Crowd,
) -> Vec<(String, AsyncWork)> {
    let mut all = vec![contender("plain".to_owned(), operation, CALLERS, store, crowd)];
    for (name, coalesced) in coalesced(options, store) {
        all.push(contender(name, operation, CALLERS, &coalesced, crowd));
    }
    let beside = rivals.beside(operation, CALLERS, crowd).await;
    all.extend(beside.into_iter().filter(|one| one.name == "driver"));
    let work = |one: Contender| match one.work {
        Work::Async(work) => Some((one.name, work)),
        Work::Blocking(_) => None,
    };
    all.into_iter().filter_map(work).collect()
}

/// How many calls a second the bare driver does.
async fn peak(contenders: &[(String, AsyncWork)], calls: usize, rounds: usize) -> f64 {
    let Some((_, driver)) = contenders.iter().find(|(name, _)| name == "driver") else { return 1.0 };
    let mut seconds = Vec::new();
    for _ in 0..=rounds {
        let began = Instant::now();
        call_in_tasks(driver, CALLERS, calls).await;
        seconds.push(began.elapsed().as_secs_f64());
    }
    calls as f64 / Spread::of(seconds.into_iter().skip(1)).median
}

/// Median and 99th percentile in milliseconds, of each contender in each round.
async fn take_turns(
    contenders: &[(String, AsyncWork)],
    rounds: usize,
    calls: usize,
    per_second: f64,
) -> Vec<Vec<(f64, f64)>> {
    let mut times: Vec<Vec<_>> = contenders.iter().map(|_| Vec::new()).collect();
    for round in 0..=rounds {
        for turn in 0..contenders.len() {
            let place = (turn + round) % contenders.len();
            let (Some((_, work)), Some(own)) = (contenders.get(place), times.get_mut(place)) else {
                continue;
            };
            let mut took = arrive(work, calls, per_second).await;
            took.sort_unstable_by(f64::total_cmp);
            let at = |share: f64| took.get((took.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
            if round > 0 {
                own.push((at(0.5), at(0.99)));
            }
        }
    }
    times
}

/// Lets calls go when they are due, whatever became of those before; how long each took, in milliseconds.
async fn arrive(work: &AsyncWork, calls: usize, per_second: f64) -> Vec<f64> {
    let took = Arc::new(Mutex::new(Vec::with_capacity(calls)));
    let (work, took_each, runtime) = (Arc::clone(work), Arc::clone(&took), tokio::runtime::Handle::current());
    let (done, all_done) = channel::<()>();
    let arrive = move || {
        let began = Instant::now();
        for i in 0..calls {
            let due = began + Duration::from_secs_f64(i as f64 / per_second);
            while let Some(left) = due.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
                std::thread::sleep(left.min(TICK));
            }
            let (work, took, done) = (Arc::clone(&work), Arc::clone(&took_each), done.clone());
            runtime.spawn(async move {
                work(i).await;
                took.lock().expect("nobody panics with it").push(due.elapsed().as_secs_f64() * 1e3);
                drop(done);
            });
        }
        drop(done);
        // Until nobody can send any more.
        let _ = all_done.recv();
    };
    tokio::task::spawn_blocking(arrive).await.expect("no call of a bench fails");
    let took = std::mem::take(&mut *took.lock().expect("nobody panics with it"));
    assert_eq!(took.len(), calls, "no call of a bench fails");
    took
}

impl Arrivals {
    const HEADINGS: &str =
        "operation             share who              per second  median ms    99 % ms  to driver (quarters)";
}

impl fmt::Display for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, share, contender, per_second, median_ms, p99_ms, .. } = self;
        let Spread { low, median, high } = self.p99_to_driver;
        write!(f, "{:<21} {share:>5} {contender:<16} {per_second:>10.0} ", operation.to_string())?;
        write!(f, "{median_ms:>10.3} {p99_ms:>10.3} {median:>10.2} ({low:.2} to {high:.2})")
    }
}
