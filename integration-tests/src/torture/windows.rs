//! Judging while the run goes on: users come in generations, and one that no caller serves any more is looked at a last time,
//! judged, and its logs are deleted. So neither memory nor disk has to hold more than some generations, however long it takes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use super::history::Moment;
use super::log::{Ask, Call, Logged, Side};
use super::merge::{Tally, tally};
use super::record::Evidence;
use super::run::said;

/// Judges generations, one after the other.
#[derive(Debug)]
pub(super) struct Judge {
    generations: Sender<u64>,
    thread: JoinHandle<Judged>,
}

/// What all that were judged have come to.
#[derive(Debug, Default)]
pub(super) struct Judged {
    pub(super) ours: Tally,
    pub(super) naive: Tally,
    /// The faults that processes have logged.
    pub(super) faults: BTreeMap<String, u64>,
    /// How many users were written.
    pub(super) users: u64,
    /// How many of them by several processes.
    pub(super) shared: u64,
    /// When each process had calls in flight.
    pub(super) flights: BTreeMap<u64, Flights>,
    /// The processes, each with its life, that left calls without an answer.
    killed: BTreeSet<(u64, u64)>,
}

/// When a process had calls of stickystore in flight.
#[derive(Debug, Default)]
pub(super) struct Flights(Vec<(Moment, Moment)>);

impl Judge {
    /// Judges what is logged in this folder; the clocks are at most so many milliseconds apart from the shared one. The
    /// logs of whom there is an objection to are kept.
    pub(super) fn start(folder: &Path, skew: u64, evidence: Evidence) -> Self {
        let folder = folder.to_owned();
        let (generations, ordered) = channel();
        let thread = std::thread::spawn(move || {
            let mut judged = Judged::default();
            for generation in ordered {
                judged.judge(&folder, generation, skew, &evidence);
            }
            let left: BTreeSet<_> = logs(&folder).map(|log| log.generation).collect();
            for generation in left {
                judged.judge(&folder, generation, skew, &evidence);
            }
            judged
        });
        Self { generations, thread }
    }

    /// Nothing more is logged of this generation.
    pub(super) fn judge(&self, generation: u64) {
        // If it has ended, it has said why, and `finish` says that it did.
        let _ = self.generations.send(generation);
    }

    /// Judges what is left, and says what it has come to.
    ///
    /// # Panics
    /// If a judgement did.
    pub(super) fn finish(self) -> Judged {
        drop(self.generations);
        let mut judged = self.thread.join().unwrap_or_else(|panic| panic!("{}", said(&*panic)));
        judged.flights.values_mut().for_each(Flights::settle);
        if !judged.killed.is_empty() {
            judged.faults.insert("killed".to_owned(), judged.killed.len() as u64);
        }
        judged
    }
}

impl Judged {
    fn judge(&mut self, folder: &Path, generation: u64, skew: u64, evidence: &Evidence) {
        let files: Vec<_> = logs(folder).filter(|log| log.generation == generation).collect();
        let logs: Vec<_> = files.iter().map(|file| Logged::read(&file.path)).collect();
        for (file, log) in files.iter().zip(&logs) {
            for (name, count) in &log.faults {
                *self.faults.entry(name.clone()).or_default() += count;
            }
            // Only the killed have calls without an answer.
            if log.calls.iter().any(|made| made.answer.is_none()) {
                self.killed.insert((file.process, file.life));
            }
            self.flights.entry(file.process).or_default().add(log);
        }
        let writers = writers(files.iter().map(|file| file.process).zip(&logs));
        self.users += writers.len() as u64;
        self.shared += writers.values().filter(|processes| processes.len() > 1).count() as u64;
        let ours = tally(&logs, Side::Ours, skew);
        if ours.lost + ours.flipped > 0 {
            evidence.keep(files.iter().map(|file| file.path.clone()));
        }
        self.ours.add(ours);
        self.naive.add(tally(&logs, Side::Naive, skew));
        for file in &files {
            std::fs::remove_file(&file.path).unwrap();
        }
    }
}

/// The processes that wrote each user.
fn writers<'a>(logs: impl Iterator<Item = (u64, &'a Logged)>) -> BTreeMap<&'a str, BTreeSet<u64>> {
    let mut writers = BTreeMap::<&str, BTreeSet<u64>>::new();
    for (process, log) in logs {
        let is_write = |call: &&Call| call.side == Side::Ours && matches!(call.ask, Ask::Save { .. });
        for call in log.calls.iter().map(|made| &made.call).filter(is_write) {
            writers.entry(&call.user).or_default().insert(process);
        }
    }
    writers
}

impl Flights {
    fn add(&mut self, log: &Logged) {
        let ours = log.calls.iter().filter(|made| made.call.side == Side::Ours);
        let flights = ours.map(|made| (made.at, made.answer.as_ref().map_or(log.end, |(at, _)| *at)));
        let mut new = Self(flights.collect());
        new.settle();
        self.0.extend(new.0);
    }

    /// In their order, and those as one that touch each other.
    fn settle(&mut self) {
        self.0.sort_unstable();
        self.0.dedup_by(|later, earlier| {
            let touches = later.0 <= earlier.1;
            if touches {
                earlier.1 = earlier.1.max(later.1);
            }
            touches
        });
    }

    /// Whether a call was in flight at some time of this.
    pub(super) fn any(&self, begin: Moment, end: Moment) -> bool {
        let after = self.0.partition_point(|flight| flight.1 < begin);
        self.0.get(after).is_some_and(|flight| flight.0 <= end)
    }
}

/// A process's log of one generation.
struct File {
    path: PathBuf,
    process: u64,
    life: u64,
    generation: u64,
}

/// The logs in a folder; their names are `<process>-<life>-<generation>`.
fn logs(folder: &Path) -> impl Iterator<Item = File> {
    std::fs::read_dir(folder).unwrap().map(|file| {
        let path = file.unwrap().path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap();
        let numbers: Vec<u64> = name.split('-').map(|number| number.parse().unwrap()).collect();
        let [process, life, generation] = numbers[..] else { panic!("{name} is no log") };
        File { path, process, life, generation }
    })
}

#[cfg(test)]
mod tests {
    use super::super::log::Made;
    use super::*;

    #[test]
    fn who_writes_a_user_is_known_by_process_and_who_only_looks_is_not_counted() {
        let made = |user: &str, ask: Ask| Made {
            at: 1,
            call: Call { side: Side::Ours, user: user.to_owned(), behind: 0, ask },
            answer: None,
        };
        let save = || Ask::Save { entries: BTreeMap::new(), knew: None, ttl: None };
        let look = || Ask::Read { keys: Vec::new(), hidden: Vec::new() };
        let log = |calls| Logged { calls, ..Logged::default() };
        let (first, second) = (log(vec![made("a", save()), made("b", save())]), log(vec![made("a", save())]));
        let third = log(vec![made("b", look())]);
        let writers = writers([(0, &first), (1, &second), (2, &third)].into_iter());
        let (a, b) = (BTreeSet::from([0, 1]), BTreeSet::from([0]));
        assert_eq!(writers, BTreeMap::from([("a", a), ("b", b)]));
    }

    #[test]
    fn flights_that_touch_are_one_and_all_are_found() {
        let mut flights = Flights(vec![(30, 40), (1, 10), (5, 12), (12, 14), (6, 7)]);
        flights.settle();
        assert_eq!(flights.0, [(1, 14), (30, 40)]);
        for (begin, end, any) in
            [(0, 0, false), (0, 1, true), (13, 20, true), (15, 29, false), (35, 99, true)]
        {
            assert_eq!(flights.any(begin, end), any, "{begin} {end}");
        }
        assert!(!flights.any(41, 99));
    }
}
