//! Deadlines, dropped futures, closing: what a caller is told, and what then is in the file.

use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Effect, EpochCheck, ErrorKind, Operation, Outcome,
};

use super::disk::Controls;
use super::{Folder, call, call_for, entry, insert, is_there, key, user, wait_until};
use crate::async_store::AsyncEmbeddedStore;
use crate::queue::Ask;

const SHORT: Duration = Duration::from_millis(50);
/// That it ends by itself, on a machine that is busy with other tests; the suite tries the contract's 100 ms.
const OVERRUN: Duration = Duration::from_secs(5);

#[test]
fn a_call_whose_turn_does_not_come_is_not_applied() {
    let folder = Folder::new();
    let store = folder.open();
    let (release, held) = channel();
    store.shared().send(call(), Operation::Write, Ask::Hold(held), Box::new(drop)).unwrap();
    wait_until("the writer takes the hold", || store.shared().queue.waiting() == 0);
    let start = Instant::now();
    let error = insert(&store, call_for(SHORT), "late").unwrap_err();
    assert!(start.elapsed() < SHORT + OVERRUN, "{:?}", start.elapsed());
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::NotApplied));
    drop(release);
    assert_eq!(insert(&store, call(), "next").unwrap(), Outcome::Inserted);
    assert!(!is_there(&store, "late"), "what was called not applied never is");
}

#[test]
fn a_call_that_ends_while_the_disk_is_written_is_unknown() {
    let folder = Folder::new();
    let disk = Controls::new();
    let store = folder.open_on(&disk);
    disk.hold_syncs(true);
    let start = Instant::now();
    let error = insert(&store, call_for(SHORT), "ann").unwrap_err();
    assert!(start.elapsed() < SHORT + OVERRUN, "{:?}", start.elapsed());
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::Unknown));
    // Readers are not held up by the writer's disk.
    assert!(!is_there(&store, "ann"));
    disk.hold_syncs(false);
    insert(&store, call(), "bob").unwrap();
    assert!(is_there(&store, "ann"), "this time it was written");
}

#[tokio::test]
async fn async_calls_end_by_their_deadline_and_leave_the_next_ones_alone() {
    let folder = Folder::new();
    let disk = Controls::new();
    let store = AsyncEmbeddedStore::new(folder.open_on(&disk));
    disk.hold_syncs(true);
    let insert = async |call, name: &str| {
        store.insert(call, &user(name), EpochCheck::Is(None), key(), entry(name)).await
    };
    let error = insert(call_for(SHORT), "first").await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::Unknown));
    let error = insert(call_for(SHORT), "second").await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::NotApplied));
    disk.hold_syncs(false);
    assert_eq!(insert(call(), "third").await.unwrap(), Outcome::Inserted);
    assert!(!is_there(store.get_ref(), "second"));
}

#[tokio::test]
async fn a_future_dropped_before_its_turn_writes_nothing() {
    let folder = Folder::new();
    let disk = Controls::new();
    let store = AsyncEmbeddedStore::new(folder.open_on(&disk));
    disk.hold_syncs(true);
    let face = store.clone();
    let first = tokio::spawn(async move {
        face.insert(call(), &user("first"), EpochCheck::Is(None), key(), entry("v")).await
    });
    while disk.waiting_syncs.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let (user_of_dropped, k) = (user("dropped"), key());
    let dropped = store.insert(call(), &user_of_dropped, EpochCheck::Is(None), k, entry("v"));
    assert!(tokio::time::timeout(SHORT, dropped).await.is_err());
    disk.hold_syncs(false);
    assert_eq!(first.await.unwrap().unwrap(), Outcome::Inserted);
    assert_eq!(insert(store.get_ref(), call(), "next").unwrap(), Outcome::Inserted);
    assert!(!is_there(store.get_ref(), "dropped"));
}

#[tokio::test]
async fn close_waits_for_what_was_accepted() {
    let folder = Folder::new();
    let disk = Controls::new();
    let store = AsyncEmbeddedStore::new(folder.open_on(&disk));
    disk.hold_syncs(true);
    let face = store.clone();
    let accepted = tokio::spawn(async move {
        face.insert(call(), &user("ann"), EpochCheck::Is(None), key(), entry("v")).await
    });
    while disk.waiting_syncs.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let error = store.close(call_for(SHORT)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let error = store.ping(call()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "no more is accepted meanwhile");
    disk.hold_syncs(false);
    assert_eq!(accepted.await.unwrap().unwrap(), Outcome::Inserted);
    store.close(call()).await.unwrap();
    store.close(call()).await.unwrap();
    assert!(is_there(&folder.open(), "ann"), "and the file is free");
}

#[test]
fn dropping_the_last_handle_flushes_what_was_accepted() {
    let folder = Folder::new();
    let store = folder.open();
    let (release, held) = channel();
    store.shared().send(call(), Operation::Write, Ask::Hold(held), Box::new(drop)).unwrap();
    wait_until("the writer takes the hold", || store.shared().queue.waiting() == 0);
    let write = stickystore_core::Write::new(
        user("ann"),
        EpochCheck::Is(None),
        vec![stickystore_core::Change::Insert(key(), entry("v"))],
    );
    // Sent by somebody who does not wait for the answer.
    store.shared().send(call(), Operation::Write, Ask::Write(vec![write.unwrap()]), Box::new(drop)).unwrap();
    drop(release);
    drop(store);
    assert!(is_there(&folder.open(), "ann"));
}

#[test]
fn a_task_may_drop_the_last_handle_after_its_runtime_ended() {
    let folder = Folder::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let store = runtime.block_on(AsyncEmbeddedStore::open(folder.config())).unwrap();
    drop(runtime);
    assert_eq!(insert(store.get_ref(), call(), "ann").unwrap(), Outcome::Inserted);
    drop(store);
    assert!(is_there(&folder.open(), "ann"));
}
