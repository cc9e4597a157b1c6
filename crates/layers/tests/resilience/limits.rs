//! Deadline and places.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use stickystore_core::{AsyncStore as _, AsyncStoreExt as _, Change, Effect, EpochCheck, ErrorKind};
use stickystore_layers::resilience::{Config, Resilient};

use crate::faulty::{Fault, Faulty, call, entry, key, subject};

#[tokio::test]
async fn the_configured_deadline_ends_a_call_that_had_more_time() {
    let store = Faulty::new([Fault::Hang]);
    let resilient = Resilient::new(store.clone(), &Config::new().with_deadline(Duration::from_millis(20)));
    let error = resilient.load(call(), &subject()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(store.attempts(), 1, "there was no time for another");
}

#[tokio::test]
async fn a_write_that_was_cut_off_is_unknown() {
    let resilient = Resilient::new(Faulty::new([Fault::Hang]), &Config::new());
    let soon = call().with_deadline(Instant::now() + Duration::from_millis(20));
    let insert = Change::Insert(key(), entry("red"));
    let error = resilient.change(soon, &subject(), EpochCheck::Is(None), insert).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::Unknown));
}

#[tokio::test]
async fn no_more_calls_are_under_way_than_the_limit() {
    let store = Faulty::new([]);
    let resilient = Resilient::new(store.clone(), &Config::new().with_limit(3));
    store.gate.forget_permits(1_000);
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let resilient = resilient.clone();
            tokio::spawn(async move { resilient.load(call(), &subject()).await })
        })
        .collect();
    while store.attempts() < 3 {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.attempts(), 3, "the others wait");
    store.gate.add_permits(1_000);
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    assert_eq!(store.most.load(Ordering::SeqCst), 3);
    assert_eq!(store.attempts(), 20);
}

#[tokio::test]
async fn a_call_without_a_place_ends_by_its_deadline_and_was_not_applied() {
    let store = Faulty::new([]);
    let resilient = Resilient::new(store.clone(), &Config::new().with_limit(1));
    store.gate.forget_permits(1_000);
    let first = {
        let resilient = resilient.clone();
        tokio::spawn(async move { resilient.load(call(), &subject()).await })
    };
    while store.attempts() < 1 {
        tokio::task::yield_now().await;
    }
    let soon = call().with_deadline(Instant::now() + Duration::from_millis(20));
    let put = Change::Put(key(), entry("red"));
    let error = resilient.change(soon, &subject(), EpochCheck::Ignore, put).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::NotApplied));
    assert!(error.context().contains("1 calls were under way"), "{error}");
    // Whoever is dropped gives its place back, and closing waits for nobody.
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    store.gate.add_permits(1_000);
    resilient.load(call(), &subject()).await.unwrap();
    resilient.close(call()).await.unwrap();
}
