//! What the store costs beside the bare pool of the crate `memcache` (its `exp` meta client), in the same run:
//! `STICKYSTORE_MEMCACHED_URL=.. cargo run --release --manifest-path benches/memcached/Cargo.toml`.
//!
//! Each figure is calls per second, ours and the pool's, and how many times the pool's ours are: above 1 is faster. The pool's
//! insert is a read and an add, which is what the same promise needs of it; its values are bytes that nobody looks into.
#![expect(clippy::unwrap_used, reason = "an example that stops says why")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use memcache::exp::{AsyncMetaClient, MetaClientBuilder};
use stickystore_core::{
    AsyncStoreExt as _, Call, Change, Entry, EpochCheck, Expiry, Key, Namespace, Revision, Subject,
    SystemClock, UserId, Value, Write,
};
use stickystore_memcached::{Config, MemcachedStore};

/// How many calls a figure is made of, in parts that take turns.
const CALLS: usize = 20_000;
const PARTS: usize = 4;

/// How many users there are to load.
const USERS: usize = 1_000;

/// How long a call may take: much longer than it does, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

const VALUE: &str = "\"a variation of some experiment\"";

#[tokio::main]
async fn main() {
    let url =
        std::env::var("STICKYSTORE_MEMCACHED_URL").unwrap_or_else(|_| "memcache://127.0.0.1".to_owned());
    let store = MemcachedStore::connect(&Config::from_url(&url).unwrap(), within()).await.unwrap();
    let place = url.split_once("://").unwrap().1.split(['/', '?']).next().unwrap();
    let place = if place.contains(':') { place.to_owned() } else { format!("{place}:11211") };
    let subjects: Arc<Vec<_>> = Arc::new((0..USERS).map(|_| subject()).collect());
    for subject in subjects.iter() {
        let changes = (0..5).map(|i| Change::Insert(key(&i.to_string()), entry())).collect();
        let write = Write::new(subject.clone(), EpochCheck::Is(None), changes).unwrap();
        store.write_one(within(), write).await.into_iter().for_each(|answer| drop(answer.unwrap()));
    }
    for callers in [1, 16, 64, 256] {
        // All of its connections stay: it would make them anew with every burst.
        let pool = MetaClientBuilder::new().max_idle(callers).max_connections(Some(callers));
        let pool = pool.io_timeout(Some(PATIENCE)).connect_timeout(Some(PATIENCE));
        let pool = pool.connect_async(place.clone()).await.unwrap();
        println!("{callers} callers: calls per second, ours / the pool's = ratio");
        for what in ["load of 5", "insert"] {
            let (mut ours, mut theirs) = (Duration::ZERO, Duration::ZERO);
            // In turn, so that what the machine does besides meets both.
            for _ in 0..PARTS {
                ours += time(callers, |i| our(what, store.clone(), Arc::clone(&subjects), i)).await;
                theirs += time(callers, |i| their(what, pool.clone(), Arc::clone(&subjects), i)).await;
            }
            let per_second = |time: Duration| f64::from(u32::try_from(CALLS).unwrap()) / time.as_secs_f64();
            let (ours, theirs) = (per_second(ours), per_second(theirs));
            println!("{what:>12} {ours:>8.0} / {theirs:>8.0} = {:.2}", ours / theirs);
        }
    }
}

/// How long a part of the calls takes, so many callers at once.
async fn time<F: Future<Output = ()> + Send + 'static>(
    callers: usize,
    call: impl Fn(usize) -> F,
) -> Duration {
    let began = Instant::now();
    let each = CALLS / PARTS / callers;
    let tasks = (0..callers).map(|caller| {
        let calls: Vec<_> = (0..each).map(|i| call(caller * each + i)).collect();
        tokio::spawn(async move {
            for call in calls {
                call.await;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    began.elapsed()
}

async fn our(what: &'static str, store: MemcachedStore, subjects: Arc<Vec<Subject>>, i: usize) {
    if what == "insert" {
        drop(store.insert(within(), &subject(), EpochCheck::Is(None), key("a"), entry()).await.unwrap());
    } else {
        let subject = subjects.get(i % USERS).unwrap();
        assert_eq!(store.load(within(), subject).await.unwrap().len(), 5);
    }
}

async fn their(what: &'static str, pool: AsyncMetaClient, subjects: Arc<Vec<Subject>>, i: usize) {
    if what == "insert" {
        let key = MemcachedStore::storage_key(&subject());
        assert!(!pool.get(&key).send().await.unwrap().hit());
        pool.set(&key, format!("{key}\na 1 {} 0 {VALUE}\n", Revision::random())).add().send().await.unwrap();
    } else {
        let key = MemcachedStore::storage_key(subjects.get(i % USERS).unwrap());
        assert!(pool.get(key).send().await.unwrap().value.is_some());
    }
}

fn subject() -> Subject {
    let namespace = Namespace::new("figures").unwrap();
    Subject::new(namespace, UserId::new(Revision::random().to_string()).unwrap())
}

fn entry() -> Entry {
    Entry::new(Value::new(VALUE).unwrap(), Expiry::Never)
}

fn key(key: &str) -> Key {
    Key::new(key).unwrap()
}

fn within() -> Call {
    Call::within(&SystemClock, PATIENCE)
}
