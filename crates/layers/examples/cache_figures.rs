//! What the cache costs: bytes for each user, and time for each hit, beside the bare map that it is built on.
//!
//! `cargo run --release -p stickystore-layers --features cache --example cache_figures`
//!
//! A hit among few users is the map's and a reference count or two; by `load` it is the clock for the deadline besides, and by
//! `read` the boxed future and the lists of reads and answers too. Among a million users it is memory: finding the user in the
//! map and touching what is held of it, each of which is a line that no cache has, in the bare map as in this one. There a
//! processor begins the next lookups before the first is done, but not past a look at the clock, which `load` takes for the
//! deadline: so it stands beside a bare map with one.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a program that measures")]

use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache as Map;
use stickystore_core::{
    AsyncStore, AsyncStoreExt as _, Call, Entry, Erase, Expiry, Key, Namespace, Outcome, Profile, Read,
    Result, StoreInfo, Subject, Ttl, UnixMillis, UserId, Value, Write, async_trait,
};
use stickystore_layers::cache::{Cached, Config};

const USERS: usize = 1_000_000;
const HOT: usize = 1_000;
const BATCH: usize = 1_000;
const BYTES: u64 = 320 << 20;
const NOW: u64 = 1_700_000_000_000;

/// How many hits are timed together.
const CHUNK: usize = 500;

fn main() {
    let users: Vec<Subject> = users();
    // Enough for everybody, so that what is measured is what is held.
    let config = Config::new().with_bytes(BYTES).with_age(Duration::from_secs(86_400));
    let hot = Cached::new(Generated::new(), &config);
    fill(&hot, &users[..HOT]);
    let call = call();
    let few: Vec<_> = users.iter().take(HOT).collect();
    let held = time(&few, 1_000, |user| drop(black_box(hot.held(call.now, user))));
    let load = time(&few, 1_000, |user| drop(black_box(now(hot.load(call, user)))));
    let read = time(&few, 1_000, |user| {
        drop(black_box(now(hot.read(call, &[Read::all(user.clone())]))));
    });
    let bare: Map<Subject, Profile> = Map::new(2 * HOT);
    few.iter().for_each(|user| bare.insert(own(user), profile(user)));
    let map = time(&few, 1_000, |user| drop(black_box(bare.get(user))));
    println!(
        "a hit, {HOT} users:       held {held:.0} ns, load {load:.0} ns, read {read:.0} ns, bare map {map:.0} ns"
    );
    drop((hot, bare));

    let before = resident();
    let cached = Cached::new(Generated::new(), &config);
    fill(&cached, &users);
    let after = resident();
    assert_eq!(cached.users_held(), USERS);
    println!("bytes a user, {USERS} users: cache {}", each(before, after));

    let mut order: Vec<_> = users.iter().collect();
    shuffle(&mut order);
    let before = resident();
    let bare: Map<Subject, Profile> = Map::new(2 * USERS);
    users.iter().for_each(|user| bare.insert(own(user), profile(user)));
    println!("                            bare map of profiles {}", each(before, resident()));
    // In turn, so that what else the machine does meets them alike. Twice each, since the first time meets what the one before
    // left in the processor's caches.
    let [mut ours, mut theirs, mut load, mut timed] = [f64::MAX; 4];
    for _ in 0..3 {
        theirs = theirs.min(again(&order, |user| drop(black_box(bare.get(user)))));
        ours = ours.min(again(&order, |user| drop(black_box(cached.held(call.now, user)))));
        load = load.min(again(&order, |user| drop(black_box(now(cached.load(call, user))))));
        timed = timed.min(again(&order, |user| {
            black_box(Instant::now());
            drop(black_box(bare.get(user)));
        }));
    }
    println!(
        "a hit, {USERS} users:    held {ours:.0} ns, bare map {theirs:.0} ns: {:.2} of it",
        ours / theirs
    );
    println!(
        "                            load {load:.0} ns, clock and bare map {timed:.0} ns: {:.2} of it",
        load / timed
    );
}

fn users() -> Vec<Subject> {
    let namespace = Namespace::new("shop").unwrap();
    (0..USERS)
        .map(|user| Subject::new(namespace.clone(), UserId::new(format!("user-{user:08}")).unwrap()))
        .collect()
}

/// The same with a text of its own, as an id has that came with a request.
fn own(user: &Subject) -> Subject {
    Subject::new(user.namespace.clone(), UserId::new(&user.user).unwrap())
}

fn call() -> Call {
    Call::new(UnixMillis::new(NOW).unwrap(), Instant::now() + Duration::from_secs(3_600))
}

/// Reads everybody through the cache.
fn fill(cached: &Cached<Generated>, users: &[Subject]) {
    for batch in users.chunks(BATCH) {
        let reads: Vec<_> = batch.iter().map(own).map(Read::all).collect();
        assert!(now(cached.read(call(), &reads)).iter().all(|answer| answer.as_ref().unwrap().len() == 3));
    }
}

/// The profile of a user: three entries, each with one of three variations, texts of its own as from a server.
fn profile(user: &Subject) -> Profile {
    let now = UnixMillis::new(NOW).unwrap();
    let ttl = Ttl::new(Duration::from_secs(90 * 86_400)).unwrap();
    let bucket = user.user.as_str().bytes().map(usize::from).sum::<usize>();
    let entries = (0..3).map(|experiment| {
        let variation = 10_000 + experiment * 10 + (bucket + experiment) % 3;
        let value = Value::new(format!(r#"{{"variation_id":"{variation}"}}"#)).unwrap();
        let key = Key::new(format!("experiment_{experiment}")).unwrap();
        (key, Entry::new(value, Expiry::after(now, ttl).unwrap()))
    });
    Profile::new(None, entries, Vec::new(), now)
}

/// Nanoseconds for each: the median over chunks that are too short for the machine to do something else in most of them.
fn time(users: &[&Subject], rounds: usize, mut hit: impl FnMut(&Subject)) -> f64 {
    let mut times = Vec::new();
    for _ in 0..rounds {
        for chunk in users.chunks(CHUNK) {
            let began = Instant::now();
            chunk.iter().for_each(|user| hit(user));
            times.push(began.elapsed().as_nanos() as f64 / chunk.len() as f64);
        }
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The same, of the second time.
fn again(users: &[&Subject], mut hit: impl FnMut(&Subject)) -> f64 {
    time(users, 1, &mut hit);
    time(users, 1, hit)
}

/// The answer of a future that does not wait.
fn now<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(answer) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return answer;
        }
    }
}

/// The memory that this process holds, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok());
    kib.unwrap_or_default() * 1024
}

fn each(before: usize, after: usize) -> String {
    match after.saturating_sub(before) {
        0 => "unknown (no /proc)".to_owned(),
        bytes => format!("{}", bytes / USERS),
    }
}

/// In an order in which the processor foresees nothing; the same each time.
fn shuffle<T>(items: &mut [T]) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for at in (1..items.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(at, (state >> 33) as usize % (at + 1));
    }
}

/// A store that holds nothing and has everybody, so that all the memory there is is the cache's.
#[derive(Debug)]
struct Generated(StoreInfo);

impl Generated {
    fn new() -> Self {
        Self(StoreInfo::new("generated"))
    }
}

#[async_trait]
impl AsyncStore for Generated {
    fn info(&self) -> &StoreInfo {
        &self.0
    }

    async fn read(&self, _: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        reads.iter().map(|read| Ok(profile(&read.subject))).collect()
    }

    async fn write(&self, _: Call, _: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        Vec::new()
    }

    async fn erase(&self, _: Call, _: &[Erase]) -> Vec<Result<bool>> {
        Vec::new()
    }

    async fn ping(&self, _: Call) -> Result<()> {
        Ok(())
    }

    async fn close(&self, _: Call) -> Result<()> {
        Ok(())
    }
}
