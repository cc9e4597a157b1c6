//! A full queue, both ways; nothing is dropped for it.

use stickystore_core::{Effect, ErrorKind};
use stickystore_layers::write_behind::WhenFull;

use crate::planted::{Planted, behind, call, insert, short_call, start, whys};

#[tokio::test]
async fn a_full_queue_is_waited_for_until_the_deadline() {
    let store = Planted::new();
    store.hold();
    let handle = start(behind(&store).max_changes(2)).await;
    for user in ["a", "b"] {
        handle.enqueue(call(), insert(user, "k", "v")).await.unwrap();
    }
    let error = handle.enqueue(short_call(), insert("c", "k", "v")).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::NotApplied));

    let waiting = tokio::spawn({
        let handle = handle.clone();
        async move { handle.enqueue(call(), insert("d", "k", "v")).await.map(drop) }
    });
    store.release();
    waiting.await.unwrap().unwrap();
    let report = handle.flush(call()).await;
    assert_eq!((report.applied, whys(&report)), (3, vec![]));
    assert!(store.profile("c").is_empty(), "what was not queued is not written");
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_where_that_is_wanted() {
    let store = Planted::new();
    store.hold();
    let handle = start(behind(&store).max_users(1).when_full(WhenFull::Fail)).await;
    handle.enqueue(call(), insert("a", "k", "v")).await.unwrap();
    let error = handle.enqueue(call(), insert("b", "k", "v")).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Full, Effect::NotApplied));
    handle.enqueue(call(), insert("a", "l", "v")).await.unwrap();
    store.release();
    assert_eq!(handle.flush(call()).await.applied, 2);
    assert!(store.profile("b").is_empty());
}

#[tokio::test]
async fn bytes_are_bounded_too_and_what_never_fits_is_said_at_once() {
    let store = Planted::new();
    store.hold();
    let handle = start(behind(&store).max_bytes(1_000).when_full(WhenFull::Fail)).await;
    handle.enqueue(call(), insert("a", "k", &"v".repeat(400))).await.unwrap();
    let error = handle.enqueue(call(), insert("a", "l", &"v".repeat(400))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    let error = handle.enqueue(call(), insert("a", "l", &"v".repeat(1_000))).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::TooLarge, Effect::NotApplied));
    assert!(handle.depth().bytes <= 1_000);
    store.release();
    assert_eq!(handle.flush(call()).await.applied, 1);
    assert_eq!((handle.depth().bytes, handle.depth().users), (0, 0));
}

#[tokio::test]
async fn a_caller_who_is_dropped_while_it_waits_leaves_no_trace() {
    let store = Planted::new();
    store.hold();
    let handle = start(behind(&store).max_changes(1)).await;
    handle.enqueue(call(), insert("a", "k", "v")).await.unwrap();
    let waiting = tokio::spawn({
        let handle = handle.clone();
        async move { handle.enqueue(call(), insert("b", "k", "v")).await.map(drop) }
    });
    tokio::task::yield_now().await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    store.release();
    assert_eq!(handle.flush(call()).await.applied, 1);
    assert!(handle.enqueue(call(), insert("c", "k", "v")).await.is_ok());
    handle.flush(call()).await;
    assert!(store.profile("b").is_empty());
}
