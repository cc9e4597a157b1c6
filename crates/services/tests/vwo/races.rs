//! Two that set at once: what either wrote stays, and goals are all there.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    Call, Effect, Entry, Erase, ErrorKind, Expiry, Key, Namespace, Outcome, Profile, Read, Result, Store,
    StoreExt, StoreInfo, Value, Write,
};
use stickystore_services::vwo::{Record, UserStorageService};
use stickystore_services::{Saved, Settings, Why};

use crate::bench::{Bench, RED, kept, record, stored, with_goal, with_variation};

#[test]
fn somebody_elses_change_stays_and_its_winner_is_named() {
    // The promise's own example: A reads red, B changes it to blue, A saves green: A had not read blue.
    let bench = Bench::new();
    bench.set_bare("red", "g1");
    let (a, b) = (bench.get(), bench.get());
    bench.service.set(&with_variation(b, "blue")).unwrap();
    let report = bench.service.set(&with_goal(with_variation(a, "green"), "g2")).unwrap();
    let winner = r#"{"variationName":"blue","goalIdentifier":"g1_vwo_g2"}"#;
    assert_eq!(kept(&report), (Why::Raced, Some(winner.into())));
    assert_eq!(bench.stored(), stored("blue", "g1 g2"));
}

#[test]
fn a_change_between_our_read_and_our_write_stays_and_the_goal_is_added_to_it() {
    for proved in [false, true] {
        let bench = Bench::new();
        bench.set_bare("red", "g1");
        let (other, theirs) = (bench.other(), with_goal(with_variation(bench.get(), "blue"), "g2"));
        bench.store.before_a_write(move || {
            other.set(&theirs).unwrap();
        });
        let set = record("red", "g1 g3");
        let set = if proved { set.after(&bench.get()) } else { set };
        let report = bench.service.set(&set).unwrap();
        let why = if proved { Why::Raced } else { Why::Unproven };
        assert_eq!((kept(&report).0, report.goals_added("c1")), (why, &["g3".to_owned()][..]));
        assert_eq!(bench.stored(), stored("blue", "g1 g2 g3"));
    }
}

#[test]
fn a_war_about_what_no_longer_stands_is_a_lost_race() {
    let bench = Bench::new();
    bench.set_bare("red", "");
    bench.service.set(&with_variation(bench.get(), "blue")).unwrap();
    let (back, theirs) =
        (with_goal(with_variation(bench.get(), "red"), "g1"), with_variation(bench.get(), "green"));
    let other = bench.other();
    bench.store.before_a_write(move || {
        other.set(&theirs).unwrap();
    });
    assert_eq!(kept(&bench.service.set(&back).unwrap()).0, Why::Raced);
    assert_eq!(bench.stored(), stored("green", "g1"));
}

#[test]
fn metadata_that_somebody_else_wrote_since_stays() {
    let bench = Bench::new();
    bench.set_bare("red", "");
    let (mut a, mut b) = (bench.get(), bench.get());
    a.set_meta_data(Value::string("a"));
    b.set_meta_data(Value::string("b"));
    assert!(matches!(bench.service.set(&b).unwrap().get("c1"), Some(Saved::Added)));
    let winner = r#"{"variationName":"red","metaData":"b"}"#;
    assert_eq!(kept(&bench.service.set(&a).unwrap()), (Why::Raced, Some(winner.into())));
}

#[test]
fn a_lost_race_is_run_again_until_the_goal_is_there() {
    let bench = Bench::new();
    bench.set_bare("red", "g0");
    for goal in ["a", "b", "c"] {
        let other = bench.other();
        bench.store.before_a_write(move || {
            other.set(&record("red", goal)).unwrap();
        });
    }
    bench.store.calls();
    assert_eq!(bench.set_bare("red", "mine").goals_added("c1"), ["mine"]);
    assert_eq!(bench.store.calls(), (4, 4));
    assert_eq!(bench.stored(), stored("red", "g0 a b c mine"));
}

#[test]
fn whoever_loses_every_race_ends_at_the_deadline_and_leaves_open_what_it_had_sent() {
    const DEADLINE: Duration = Duration::from_millis(50);
    let bench = Bench::new();
    bench.set_bare("red", "");
    let service = UserStorageService::new(
        Rival(bench.store.inner.clone()),
        bench.settings.clone().with_deadline(DEADLINE),
    );
    let started = Instant::now();
    let report = service.set(&record("red", "mine")).unwrap();
    assert!(started.elapsed() >= DEADLINE, "it tries until then");
    let error = report.error().unwrap();
    // A layer below may have sent a change twice, of which the first was applied and replaced since.
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::Unknown));
    assert_eq!(bench.stored(), stored("red", ""));
}

#[test]
fn goals_that_many_threads_add_at_once_are_all_there() {
    const THREADS: usize = 8;
    const GOALS: usize = 25;
    let settings = Settings::new(Namespace::new("shop").unwrap()).with_deadline(Duration::from_secs(60));
    let store = MemoryStore::new();
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            // A service of its own each, as processes have.
            let service = UserStorageService::new(store.clone(), settings.clone());
            let start = &start;
            scope.spawn(move || {
                start.wait();
                for number in 0..GOALS {
                    let goal = format!("t{thread}g{number}");
                    // Half of them bare, half after a get.
                    let mut set = record("red", &goal);
                    if let (1, Some(read)) = (number % 2, service.get("ann", "c1").unwrap()) {
                        set = with_goal(read, &goal);
                    }
                    let report = service.set(&set).unwrap();
                    assert!(report.error().is_none(), "{}", report.to_json());
                }
            });
        }
    });
    let record = UserStorageService::new(store, settings).get("ann", "c1").unwrap().unwrap();
    let mut found = goals(&record);
    found.sort();
    let mut all: Vec<_> =
        (0..THREADS).flat_map(|thread| (0..GOALS).map(move |number| format!("t{thread}g{number}"))).collect();
    all.sort();
    assert_eq!(found, all);
}

fn goals(record: &Record) -> Vec<String> {
    record.goals().map(str::to_owned).collect()
}

/// A store in which somebody else always is faster: what stands there has another revision at each write. It heeds no
/// deadline.
#[derive(Debug)]
struct Rival(MemoryStore);

impl Rival {
    fn patient(call: Call) -> Call {
        Call::new(call.now, Instant::now() + Duration::from_secs(60))
    }
}

impl Store for Rival {
    fn info(&self) -> &StoreInfo {
        self.0.info()
    }

    fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        self.0.read(Self::patient(call), reads)
    }

    fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        assert!(call.deadline.elapsed() < Duration::from_secs(20), "the set ends long after its deadline");
        let call = Self::patient(call);
        for write in writes {
            let again = Entry::new(Value::new(RED).unwrap(), Expiry::Never);
            self.0.put(call, write.subject(), Key::new("c1").unwrap(), again).unwrap();
        }
        self.0.write(call, writes)
    }

    fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        self.0.erase(call, erases)
    }

    fn ping(&self, call: Call) -> Result<()> {
        self.0.ping(call)
    }

    fn close(&self, call: Call) -> Result<()> {
        self.0.close(call)
    }
}
