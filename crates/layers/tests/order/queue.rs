//! Which way round a queue and the other layers go: what is queued is seen either way, and around the cache costs no round trip.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    AsyncStore, AsyncStoreExt as _, Call, Change, Entry, EpochCheck, Expiry, Immediate, Key, Namespace,
    Severity, StoreExt as _, Subject, SystemClock, UserId, Value, Write,
};
use stickystore_layers::cache::{self, Cached, Whom};
use stickystore_layers::write_behind::WriteBehind;

use crate::{Failing, layers};

/// So long that nothing leaves before it is flushed.
const LINGER: Duration = Duration::from_secs(3_600);

fn call() -> Call {
    Call::within(&SystemClock, Duration::from_secs(60))
}

fn ann() -> Subject {
    Subject::new(Namespace::new("n").unwrap(), UserId::new("ann").unwrap())
}

fn insert() -> Write {
    let entry = Entry::new(Value::string("red"), Expiry::Never);
    let insert = Change::Insert(Key::new("k").unwrap(), entry);
    Write::new(ann(), EpochCheck::Is(None), vec![insert]).unwrap()
}

async fn queue<S: AsyncStore>(store: S) -> WriteBehind<S> {
    WriteBehind::over(store).linger(LINGER).start(call()).await.unwrap()
}

#[tokio::test]
async fn around_the_other_layers_a_queue_is_seen_and_what_the_cache_holds_is_asked_of_nobody() {
    let (memory, reads) = (MemoryStore::new(), Arc::new(AtomicUsize::new(0)));
    let store = Immediate::new(memory.clone());
    let counted = Failing { store, failures: AtomicUsize::new(0), reads: Arc::clone(&reads) };
    let age = Duration::from_secs(3_600);
    let config = cache::Config::new().with_age(age).with_absent_age(age);
    let queue = queue(layers(counted).cache(config).build()).await;
    assert!(queue.load(call(), &ann()).await.unwrap().is_empty());
    queue.enqueue(call(), insert()).await.unwrap();
    assert_eq!(queue.load(call(), &ann()).await.unwrap().len(), 1, "queued");
    assert!(memory.load(call(), &ann()).unwrap().is_empty());
    assert_eq!(queue.flush(call()).await.applied, 1);
    assert_eq!(queue.load(call(), &ann()).await.unwrap().len(), 1, "written");
    assert_eq!(reads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_cache_around_a_queue_hides_nothing_of_it_through_whatever_stands_between() {
    let queue = queue(Immediate::new(MemoryStore::new())).await;
    let stores: [(&str, Arc<dyn AsyncStore>); 2] = [
        ("alone", Arc::new(Cached::new(queue.clone(), &cache::Config::new()))),
        ("among layers", layers(queue.clone()).build()),
    ];
    for (user, store) in stores {
        let user = Subject::new(Namespace::new("n").unwrap(), UserId::new(user).unwrap());
        let write = insert().with_subject(user.clone());
        assert!(store.load(call(), &user).await.unwrap().is_empty());
        queue.enqueue(call(), write).await.unwrap();
        assert_eq!(store.load(call(), &user).await.unwrap().len(), 1, "{store:?}");
        assert_eq!(store.info().reads_behind, None, "no answer is old");
    }
}

#[tokio::test]
async fn a_cache_around_a_queue_says_that_it_keeps_nothing_and_where_the_queue_belongs() {
    let cached = Cached::new(queue(Immediate::new(MemoryStore::new())).await, &cache::Config::new());
    let findings = cached.diagnose(call()).await;
    let found = findings.iter().find(|finding| finding.name == "cache-around-queue").unwrap();
    assert_eq!(found.severity, Severity::Note);
    assert!(found.mend.contains("the queue around the cache"), "{found:?}");
    let preloaded = cached.preload(call(), Whom::Users(&[ann()]), |_| {}).await.unwrap();
    assert!(preloaded.is_full && preloaded.users == 0, "{preloaded:?}");
    cached.load(call(), &ann()).await.unwrap();
    assert_eq!(cached.users_held(), 0);

    let right = queue(Cached::new(Immediate::new(MemoryStore::new()), &cache::Config::new())).await;
    assert!(right.diagnose(call()).await.iter().all(|finding| finding.name != "cache-around-queue"));
}
