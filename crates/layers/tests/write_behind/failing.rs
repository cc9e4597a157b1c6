//! A store that is down, that hides what it did, or that refuses for good.

use std::time::Duration;

use stickystore_core::{Change, Effect, ErrorKind, Outcome};
use stickystore_layers::write_behind::Why;

use crate::planted::{
    Fault, Planted, behind, call, clock, entry, insert, key, short_call, start, whys, write,
};

const DOWN: Fault = Fault::Refused(ErrorKind::Unavailable);

#[tokio::test]
async fn what_a_store_that_is_down_did_not_take_is_tried_again_the_same() {
    let store = Planted::new();
    store.plant([DOWN; 5]);
    let handle = start(behind(&store)).await;
    let queued = handle.enqueue(call(), insert("ann", "k", "v")).await.unwrap();
    assert_eq!(queued.outcomes(call()).await.remove(0).unwrap(), Outcome::Inserted);
    let sent = store.sent();
    assert_eq!(sent.len(), 6);
    assert!(sent.windows(2).all(|pair| pair[0] == pair[1]), "same revision, same epoch check, same expiry");
}

#[tokio::test]
async fn a_hidden_success_is_known_again_by_its_revision() {
    let store = Planted::new();
    store.plant([Fault::Hidden]);
    let handle = start(behind(&store)).await;
    let queued = handle.enqueue(call(), insert("ann", "k", "v")).await.unwrap();
    assert_eq!(queued.outcomes(call()).await.remove(0).unwrap(), Outcome::Inserted);
    assert_eq!(handle.report().applied, 1);
}

#[tokio::test]
async fn what_waited_for_the_queue_age_is_reported_as_failed() {
    for (faults, effect) in [(vec![DOWN], Effect::NotApplied), (vec![Fault::Lost, DOWN], Effect::Unknown)] {
        let store = Planted::new();
        store.plant(faults.clone());
        store.plant([DOWN; 10_000]);
        let clock = clock();
        let handle = start(behind(&store).clock(clock.clone())).await;
        let queued = handle.enqueue(call(), insert("ann", "k", "v")).await.unwrap();
        store.begun(3).await;
        clock.advance(Duration::from_secs(300) - Duration::from_millis(1));
        let report = handle.flush(short_call()).await;
        assert_eq!((report.pending, whys(&report)), (1, vec![]), "not a millisecond before");
        clock.advance(Duration::from_millis(1));
        let report = handle.flush(call()).await;
        assert!(
            matches!(&report.unwritten[0].why, Why::Failed(error) if error.kind() == ErrorKind::Unavailable)
        );
        let error = queued.outcomes(call()).await.remove(0).unwrap_err();
        assert_eq!(error.effect(), effect, "{faults:?}");
        assert_eq!(handle.depth().changes, 0);
    }
}

#[tokio::test]
async fn what_is_refused_for_good_is_not_tried_again_and_holds_up_nobody() {
    let store = Planted::new();
    store.plant([Fault::Refused(ErrorKind::Corrupt)]);
    let handle = start(behind(&store)).await;
    handle.enqueue(call(), insert("ann", "k", "v")).await.unwrap();
    let report = handle.flush(call()).await;
    assert_eq!(whys(&report), ["corrupt"]);
    handle.enqueue(call(), insert("ann", "l", "v")).await.unwrap();
    assert_eq!(handle.flush(call()).await.applied, 1);
    assert_eq!(store.sent().len(), 2);
}

#[tokio::test]
async fn a_user_who_is_refused_alone_does_not_hold_up_others() {
    let store = Planted::new();
    store.hold();
    let handle = start(behind(&store).retry(Duration::from_secs(60), Duration::from_secs(60))).await;
    let two = vec![Change::Insert(key("a"), entry("v")), Change::Insert(key("b"), entry("v"))];
    handle.enqueue(call(), write("ann", two)).await.unwrap();
    store.begun(1).await;
    store.plant([Fault::Half]);
    store.release();
    store.begun(1).await;
    let queued = handle.enqueue(call(), insert("bob", "k", "v")).await.unwrap();
    assert_eq!(queued.outcomes(call()).await.remove(0).unwrap(), Outcome::Inserted);
    assert_eq!(handle.depth().changes, 2, "ann's waits");
    assert_eq!(handle.flush(call()).await.applied, 3, "a flush does not");
}

#[tokio::test]
async fn a_store_that_panics_ends_the_queue_and_says_so() {
    let store = Planted::new();
    let handle = start(behind(&store)).await;
    let poison = store.clone();
    std::thread::spawn(move || poison.break_lock()).join().unwrap_err();
    let queued = handle.enqueue(call(), insert("ann", "k", "v")).await.unwrap();
    assert_eq!(queued.outcomes(call()).await.remove(0).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(handle.enqueue(call(), insert("ann", "k", "v")).await.unwrap_err().kind(), ErrorKind::Closed);
    let report = handle.report();
    assert!(matches!(report.unwritten[0].why, Why::Left(Effect::Unknown)));
}
