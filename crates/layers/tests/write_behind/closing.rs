//! Shutting down, and not shutting down.

use stickystore_core::{AsyncStore as _, AsyncStoreExt as _, Effect, ErrorKind};
use stickystore_layers::write_behind::{Journal, Why};
use tokio::runtime::Handle;

use crate::planted::{Planted, behind, call, insert, short_call, start, subject, whys};

#[tokio::test]
async fn shutting_down_writes_what_is_queued_and_leaves_no_task() {
    let (store, journal) = (Planted::new(), Planted::new());
    let before = Handle::current().metrics().num_alive_tasks();
    let handle = start(behind(&store).journal(Journal::new(journal.clone()))).await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), before + 2);
    for user in ["a", "b", "c"] {
        handle.enqueue(call(), insert(user, "k", "v")).await.unwrap();
    }
    let report = handle.shutdown(call()).await;
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.applied, 3);
    assert_eq!(Handle::current().metrics().num_alive_tasks(), before);
    let error = handle.enqueue(call(), insert("d", "k", "v")).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Closed, Effect::NotApplied));
    assert_eq!(handle.clone().load(call(), &subject("a")).await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn what_is_not_written_by_the_deadline_is_reported_entry_by_entry() {
    let store = Planted::new();
    store.hold();
    let before = Handle::current().metrics().num_alive_tasks();
    let handle = start(behind(&store)).await;
    let queued = handle.enqueue(call(), insert("a", "k", "v")).await.unwrap();
    store.begun(1).await;
    handle.enqueue(call(), insert("b", "l", "v")).await.unwrap();
    let report = handle.shutdown(short_call()).await;
    assert_eq!(whys(&report), ["left", "left"]);
    let left = |place: usize| (report.unwritten[place].subject.clone(), report.unwritten[place].why.clone());
    assert!(
        matches!(left(0), (user, Why::Left(Effect::Unknown)) if user == subject("a")),
        "it was on its way"
    );
    assert!(matches!(left(1), (user, Why::Left(Effect::NotApplied)) if user == subject("b")));
    assert_eq!(Handle::current().metrics().num_alive_tasks(), before);
    let error = queued.outcomes(call()).await.remove(0).unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Closed, Effect::Unknown));
}

#[tokio::test]
async fn closing_as_a_store_is_an_error_if_something_is_left_and_the_report_says_what() {
    let store = Planted::new();
    store.hold();
    let handle = start(behind(&store)).await;
    handle.enqueue(call(), insert("a", "k", "v")).await.unwrap();
    let error = handle.close(short_call()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.context().contains("1 queued changes were not written"), "{error}");
    assert_eq!(whys(&handle.report()), ["left"]);
    assert!(handle.close(call()).await.is_ok(), "again is fine");
}

#[tokio::test]
async fn the_last_handle_ends_the_tasks() {
    let store = Planted::new();
    store.hold();
    let before = Handle::current().metrics().num_alive_tasks();
    let handle = start(behind(&store)).await;
    let queued = handle.enqueue(call(), insert("a", "k", "v")).await.unwrap();
    drop(handle.clone());
    assert_eq!(handle.depth().changes, 1, "another handle is left");
    drop(handle);
    assert_eq!(queued.outcomes(call()).await.remove(0).unwrap_err().kind(), ErrorKind::Closed);
    while Handle::current().metrics().num_alive_tasks() > before {
        tokio::task::yield_now().await;
    }
    store.release();
    assert!(store.profile("a").is_empty());
}

#[test]
fn a_runtime_that_ends_closes_the_queue_and_its_report_stays() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let store = Planted::new();
    store.hold();
    let first = runtime();
    let handle = first.block_on(async {
        let handle = start(behind(&store)).await;
        handle.enqueue(call(), insert("a", "k", "v")).await.unwrap();
        handle
    });
    drop(first);
    runtime().block_on(async {
        let error = handle.enqueue(call(), insert("b", "k", "v")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
        let report = handle.shutdown(call()).await;
        assert_eq!(whys(&report), ["left"]);
    });
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    let starting = behind(&Planted::new()).start(call());
    let mut starting = std::pin::pin!(starting);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(answer) = starting.as_mut().poll(&mut context) else { panic!("it waits") };
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::Config);
}
