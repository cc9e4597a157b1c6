//! What the store costs beside bare redb, in the same run: `cargo run --release -p stickystore-embedded --example embedded_figures`.
//!
//! One caller, then 64 threads. Each figure is the median time of a call in microseconds, ours and redb's, and how ours
//! compares. A load of five entries stands beside a range over one table in a read transaction; an insert beside a write
//! transaction of its own with a durable commit, which is what a caller of redb alone does.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "an example that stops says why")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use stickystore_core::{
    Call, Entry, EpochCheck, Expiry, Key, Namespace, Outcome, StoreExt as _, Subject, SystemClock, UserId,
    Value,
};
use stickystore_embedded::{Config, EmbeddedStore};

const CALLS: usize = 640;
const ROUNDS: usize = 4;
const VALUE: &str = "{\"variation_id\":\"18446744073709551616\"}";
const TABLE: TableDefinition<'_, &str, &str> = TableDefinition::new("bare");

fn main() {
    let folder = Folder::new();
    let store = EmbeddedStore::open(Config::new(folder.0.join("ours.redb"))).unwrap();
    let bare = Database::create(folder.0.join("bare.redb")).unwrap();
    let next = AtomicUsize::new(0);
    for callers in [1, 64] {
        println!("{callers} callers: microseconds, ours / bare = ratio (of each round)");
        let first = next.fetch_add(CALLS, Ordering::Relaxed);
        let insert = |user| our_insert(&store, user, 0);
        show("insert", callers, first, insert, |user| their_insert(&bare, user, 0));
        for user in first..first + CALLS {
            (1..5).for_each(|place| our_insert(&store, user, place));
            (1..5).for_each(|place| their_insert(&bare, user, place));
        }
        show("load of 5", callers, first, |user| our_load(&store, user), |user| their_load(&bare, user));
    }
}

fn show(
    what: &str,
    callers: usize,
    first: usize,
    ours: impl Fn(usize) + Sync,
    theirs: impl Fn(usize) + Sync,
) {
    let (mut all_ours, mut all_theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    // In turn, so that what the machine does besides meets both.
    for round in 0..ROUNDS {
        let users = first + round * CALLS / ROUNDS..first + (round + 1) * CALLS / ROUNDS;
        let (our, their) = (time(callers, users.clone(), &ours), time(callers, users, &theirs));
        ratios.push(ratio(median(&our), median(&their)));
        all_ours.extend(our);
        all_theirs.extend(their);
    }
    let (ours, theirs) = (median(&all_ours), median(&all_theirs));
    println!(
        "{what:>12} {:>6} / {:>6} = {:.2} ({ratios:.2?})",
        ours.as_micros(),
        theirs.as_micros(),
        ratio(ours, theirs)
    );
}

/// How long each call takes, by so many threads at once.
fn time(callers: usize, users: std::ops::Range<usize>, call: &(impl Fn(usize) + Sync)) -> Vec<Duration> {
    let next = AtomicUsize::new(users.start);
    let work = || {
        let mut times = Vec::new();
        loop {
            let user = next.fetch_add(1, Ordering::Relaxed);
            if user >= users.end {
                return times;
            }
            let began = Instant::now();
            call(user);
            times.push(began.elapsed());
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..callers).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

fn our_insert(store: &EmbeddedStore, user: usize, place: usize) {
    let key = Key::new(format!("k{place}")).unwrap();
    let entry = Entry::new(Value::new(VALUE).unwrap(), Expiry::Never);
    let inserted = store.insert(within(), &subject(user), EpochCheck::Is(None), key, entry).unwrap();
    assert_eq!(inserted, Outcome::Inserted);
}

fn their_insert(bare: &Database, user: usize, place: usize) {
    let write = bare.begin_write().unwrap();
    {
        let mut table = write.open_table(TABLE).unwrap();
        let key = format!("{user:08}:k{place}");
        if table.get(key.as_str()).unwrap().is_none() {
            table.insert(key.as_str(), VALUE).unwrap();
        }
    }
    write.commit().unwrap();
}

fn our_load(store: &EmbeddedStore, user: usize) {
    assert_eq!(store.load(within(), &subject(user)).unwrap().len(), 5);
}

fn their_load(bare: &Database, user: usize) {
    let read = bare.begin_read().unwrap();
    let table = read.open_table(TABLE).unwrap();
    let (from, to) = (format!("{user:08}:"), format!("{user:08};"));
    let found = table.range(from.as_str()..to.as_str()).unwrap();
    let found: Vec<_> = found.map(|row| row.unwrap().1.value().to_owned()).collect();
    assert_eq!(found.len(), 5);
}

fn subject(user: usize) -> Subject {
    Subject::new(Namespace::new("figures").unwrap(), UserId::new(format!("user-{user}")).unwrap())
}

fn within() -> Call {
    Call::within(&SystemClock, Duration::from_secs(30))
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times[times.len() / 2]
}

fn ratio(ours: Duration, theirs: Duration) -> f64 {
    ours.as_secs_f64() / theirs.as_secs_f64()
}

/// A folder that goes at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("stickystore-figures-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is only left over.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
