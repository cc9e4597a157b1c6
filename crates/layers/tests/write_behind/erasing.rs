//! What was queued for a user who is erased does not come back.

use std::time::Duration;

use stickystore_core::{AsyncStoreExt as _, Change, EpochCheck, Erase, ErrorKind, Outcome, Write};

use crate::planted::{Fault, Planted, behind, call, entry, insert, key, other, start, subject, whys, write};

fn erase(user: &str) -> Erase {
    Erase::new(subject(user), call().now)
}

/// A mark that is over before the queue is: what an eraser that knows nothing of queues may leave.
fn short_erase(user: &str) -> Erase {
    erase(user).with_mark_until(call().now.saturating_add(Duration::from_millis(1)))
}

#[tokio::test]
async fn an_erasure_through_the_handle_takes_what_is_queued_with_it() {
    let store = Planted::new();
    store.plant([Fault::Refused(ErrorKind::Unavailable)]);
    let clock = crate::planted::clock();
    // It waits so long after the failure that the erasure meets it in the queue.
    let builder = behind(&store).clock(clock.clone()).retry(Duration::from_secs(60), Duration::from_secs(60));
    let handle = start(builder).await;
    let queued = handle.enqueue(call(), insert("ann", "k", "v")).await.unwrap();
    handle.enqueue(call(), insert("bob", "k", "v")).await.unwrap();
    store.begun(1).await;
    handle.erase_one(call(), short_erase("ann")).await.unwrap();
    assert_eq!(queued.outcomes(call()).await.remove(0).unwrap(), Outcome::Erased);
    clock.advance(Duration::from_millis(2));
    let report = handle.flush(call()).await;
    assert_eq!((report.applied, whys(&report)), (1, vec!["erased"]));
    assert!(store.profile("ann").is_empty());
    assert_eq!(store.value("bob", "k").unwrap(), "v", "another user's stays");
}

#[tokio::test]
async fn what_is_on_its_way_when_the_user_is_erased_is_not_sent_again() {
    let store = Planted::new();
    store.hold();
    store.plant([Fault::Lost]);
    let clock = crate::planted::clock();
    let handle = start(behind(&store).clock(clock.clone())).await;
    let queued = handle.enqueue(call(), insert("ann", "k", "v")).await.unwrap();
    store.begun(1).await;
    handle.erase_one(call(), short_erase("ann")).await.unwrap();
    clock.advance(Duration::from_millis(2));
    store.release();
    assert_eq!(queued.outcomes(call()).await.remove(0).unwrap(), Outcome::Erased);
    handle.flush(call()).await;
    assert!(store.profile("ann").is_empty());
    assert_eq!(store.sent().len(), 1);
}

#[tokio::test]
async fn an_erasure_by_another_process_is_seen_by_its_mark() {
    let store = Planted::new();
    store.hold();
    let handle = start(behind(&store)).await;
    let (red, blue) = (entry("red"), entry("blue"));
    handle.enqueue(call(), write("ann", vec![Change::Insert(key("k"), red.clone())])).await.unwrap();
    store.begun(1).await;
    handle.enqueue(call(), write("ann", vec![Change::Replace(key("k"), red.revision, blue)])).await.unwrap();
    other(&store).erase_one(call(), erase("ann")).await.unwrap();
    store.release();
    let report = handle.flush(call()).await;
    assert_eq!((report.applied, whys(&report)), (0, vec!["erased", "gone"]));
    assert!(store.profile("ann").is_empty());
}

#[tokio::test]
async fn what_is_queued_after_the_erasure_under_its_epoch_is_written() {
    let store = Planted::new();
    let handle = start(behind(&store)).await;
    handle.erase_one(call(), erase("ann")).await.unwrap();
    let epoch = handle.load(call(), &subject("ann")).await.unwrap().epoch();
    assert!(epoch.is_some());
    let change = vec![Change::Insert(key("k"), entry("v"))];
    handle.enqueue(call(), Write::new(subject("ann"), EpochCheck::Is(epoch), change).unwrap()).await.unwrap();
    assert_eq!(handle.flush(call()).await.applied, 1);
    assert_eq!(store.value("ann", "k").unwrap(), "v");
}

#[tokio::test]
async fn ages_that_an_erase_mark_does_not_outlive_are_refused() {
    let store = Planted::new();
    let builder = behind(&store).queue_age(Duration::from_secs(14 * 60));
    let error = builder.attempt(Duration::from_secs(1)).start(call()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let builder =
        behind(&store).queue_age(Duration::from_secs(14 * 60)).mark_life(Duration::from_secs(3_600));
    assert!(builder.start(call()).await.is_ok());
}
