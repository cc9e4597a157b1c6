//! Layers stand in the right order however they are asked for, and all of them together are still a store.
#![cfg(all(feature = "cache", feature = "coalesce", feature = "resilience"))]
#![expect(clippy::unwrap_used, reason = "tests assert")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use stickystore_conformance::{Harness, Opened, Plant, conformance_tests};
use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    AsyncScan, AsyncStore, AsyncStoreExt as _, Call, Erase, Error, ErrorKind, Finding, Immediate, Key,
    Namespace, Outcome, Profile, Read, Result, StoreInfo, Subject, SystemClock, UserId, Write, async_trait,
};
use stickystore_layers::{Layers, cache, coalesce, resilience};

/// Small, because the cases about sweeping wait for it.
const GRACE: Duration = Duration::from_millis(200);

struct Behind(MemoryStore, cache::Cached<Arc<dyn AsyncStore>>);

#[async_trait]
impl Plant for Behind {
    async fn damaged_entry(&self, subject: &Subject, key: &Key) {
        self.0.plant(subject, key.clone(), "written by another program");
        self.1.forget(subject);
    }

    async fn foreign_user(&self, subject: &Subject) {
        self.0.plant_foreign(subject);
        self.1.forget(subject);
    }
}

/// Asks for one layer.
type Ask = fn(Layers) -> Layers;

/// What asks for each layer that there is, as the documentation names it, and what it is called where it is shown.
const ASKS: &[(&str, &str, Ask)] = &[
    ("coalesce", "Coalesced", |layers| layers.coalesce(coalesce::Bounds::default())),
    ("resilience", "Resilient", |layers| layers.resilience(resilience::Config::new())),
    ("cache", "Cached", |layers| layers.cache(cache::Config::new())),
    #[cfg(any(feature = "metrics", feature = "tracing"))]
    ("observe", "AsyncObserved", |layers| layers.observe()),
];

/// All layers that there are.
fn layers(store: impl AsyncStore) -> Layers {
    ASKS.iter().fold(Layers::new(store), |layers, (_, _, ask)| ask(layers))
}

/// The layers as the documentation of `Layers` has them, from the caller to the store.
fn documented() -> Vec<&'static str> {
    let rows = include_str!("../../src/layers.rs").lines().filter_map(|line| line.strip_prefix("//! | `"));
    rows.filter_map(|row| Some(row.split_once('`')?.0)).collect()
}

/// The layers of this store, from the caller to the store.
fn standing(store: &Arc<dyn AsyncStore>) -> Vec<&'static str> {
    let shown = format!("{store:?}");
    let mut found: Vec<_> = ASKS
        .iter()
        .flat_map(|(name, shown_as, _)| shown.match_indices(shown_as).map(move |(at, _)| (at, *name)))
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, name)| name).collect()
}

/// All orders of so many things.
fn orders(count: usize) -> Vec<Vec<usize>> {
    (0..count).fold(vec![Vec::new()], |orders, next| {
        let with = |order: &Vec<usize>, at| {
            let mut order = order.clone();
            order.insert(at, next);
            order
        };
        orders.iter().flat_map(|order| (0..=order.len()).map(move |at| with(order, at))).collect()
    })
}

#[test]
fn whatever_is_asked_for_in_whatever_order_stands_in_the_documented_one_and_once() {
    let documented = documented();
    #[cfg(any(feature = "metrics", feature = "tracing"))]
    assert_eq!(documented.len(), ASKS.len(), "each is documented: {documented:?}");
    let mut seen = 0;
    for order in orders(ASKS.len()) {
        // Some of them, all of them, and all of them twice.
        for take in 0..=2 * order.len() {
            let asks: Vec<_> = order.iter().chain(&order).take(take).map(|at| &ASKS[*at]).collect();
            let layers = asks
                .iter()
                .fold(Layers::new(Immediate::new(MemoryStore::new())), |layers, ask| ask.2(layers));
            let asked = documented.iter().filter(|name| asks.iter().any(|ask| ask.0 == **name));
            assert_eq!(standing(&layers.build()), asked.copied().collect::<Vec<_>>(), "{order:?} {take}");
            seen += 1;
        }
    }
    assert!(seen >= 6 * 7, "{seen}");
}

fn all() -> Harness {
    let open = || async {
        let memory = MemoryStore::builder().grace(GRACE).build();
        let (store, cached) = layers(Immediate::new(memory.clone())).build_with_cache();
        Ok(Opened::asynchronous(store).with_plant(Behind(memory, cached.unwrap())))
    };
    Harness::asynchronous("memory in all layers", open).with_grace(GRACE)
}

conformance_tests!(all_layers, all);

#[cfg(feature = "write-behind")]
mod queue;

/// A store whose reads fail so often before one succeeds.
#[derive(Debug)]
struct Failing {
    store: Immediate<MemoryStore>,
    failures: AtomicUsize,
    reads: Arc<AtomicUsize>,
}

#[async_trait]
impl AsyncStore for Failing {
    fn info(&self) -> &StoreInfo {
        self.store.info()
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let fails =
            self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match fails {
            Ok(_) => vec![Err(Error::new(ErrorKind::Unavailable, "told to fail")); reads.len()],
            Err(_) => self.store.read(call, reads).await,
        }
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        self.store.write(call, writes).await
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        self.store.erase(call, erases).await
    }

    async fn ping(&self, call: Call) -> Result<()> {
        self.store.ping(call).await
    }

    async fn close(&self, call: Call) -> Result<()> {
        self.store.close(call).await
    }

    async fn diagnose(&self, call: Call) -> Vec<Finding> {
        self.store.diagnose(call).await
    }

    fn scan(&self) -> Option<&dyn AsyncScan> {
        None
    }
}

#[tokio::test]
async fn the_cache_is_outside_of_the_retries_whichever_was_asked_for_first() {
    let asked: [fn(Layers) -> Layers; 2] = [
        |layers| layers.cache(cache::Config::new()).resilience(retries()),
        |layers| layers.resilience(retries()).cache(cache::Config::new()),
    ];
    for ask in asked {
        let reads = Arc::new(AtomicUsize::new(0));
        let failing = Failing {
            store: Immediate::new(MemoryStore::new()),
            failures: AtomicUsize::new(1),
            reads: Arc::clone(&reads),
        };
        let store = ask(Layers::new(failing)).build();
        let call = Call::within(&SystemClock, Duration::from_secs(60));
        let user = Subject::new(Namespace::new("n").unwrap(), UserId::new("ann").unwrap());
        store.load(call, &user).await.unwrap();
        assert_eq!(reads.load(Ordering::SeqCst), 2, "a retry");
        store.load(call, &user).await.unwrap();
        assert_eq!(reads.load(Ordering::SeqCst), 2, "and then it is held");
    }
}

fn retries() -> resilience::Config {
    resilience::Config::new().with_wait(Duration::from_micros(10))
}

#[tokio::test]
async fn a_deadline_that_passed_is_one_through_all_layers() {
    let store = layers(Immediate::new(MemoryStore::new())).build();
    let user = Subject::new(Namespace::new("n").unwrap(), UserId::new("ann").unwrap());
    let passed = Call::within(&SystemClock, Duration::from_secs(1)).with_deadline(Instant::now());
    assert_eq!(store.load(passed, &user).await.unwrap_err().kind(), ErrorKind::Timeout);
}
