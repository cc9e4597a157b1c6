//! A read lies under what is queued; a write through the store's face comes after it.

use std::time::Duration;

use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Change, Effect, EpochCheck, Erase, ErrorKind, Immediate, Keys,
    Outcome, Read, Write,
};
use stickystore_layers::write_behind::{Journal, WriteBehind};

use crate::planted::{
    Planted, behind, call, clock, entry, insert, key, other, short_call, start, subject, write,
};

#[tokio::test]
async fn a_read_shows_what_is_queued_as_the_store_will_judge_it() {
    let store = Planted::new();
    let (stored, read, gone) = (entry("stored"), entry("read"), entry("gone"));
    for (at, entry) in [("stored", &stored), ("read", &read), ("gone", &gone)] {
        other(&store).put(call(), &subject("ann"), key(at), entry.clone()).await.unwrap();
    }
    store.hold();
    let handle = start(behind(&store)).await;
    let next = entry("next");
    let changes = vec![
        Change::Insert(key("new"), entry("new")),
        Change::Insert(key("stored"), entry("loses")),
        Change::Replace(key("read"), read.revision, next.clone()),
        Change::RemoveIf(key("gone"), gone.revision),
    ];
    handle.enqueue(call(), write("ann", changes)).await.unwrap();
    let laid = handle.load(call(), &subject("ann")).await.unwrap();
    let shown: Vec<_> = laid.entries().map(|(key, entry)| (key.as_str(), entry.value.as_str())).collect();
    assert_eq!(shown, [("new", "\"new\""), ("read", "\"next\""), ("stored", "\"stored\"")]);
    assert_eq!(laid.get("read").unwrap().revision, next.revision);

    let only = Read::some(subject("ann"), Keys::only([key("read")]).unwrap());
    assert_eq!(handle.read_one(call(), only).await.unwrap().len(), 1, "and nothing that was not asked for");
    store.release();
    handle.flush(call()).await;
    assert_eq!(store.profile("ann"), laid, "it was as the read said");
}

#[tokio::test]
async fn what_is_at_hand_lies_under_what_is_queued() {
    let store = Immediate::new(MemoryStore::new());
    store.put(call(), &subject("ann"), key("stored"), entry("stored")).await.unwrap();
    let builder = WriteBehind::over(store).clock(clock()).linger(Duration::from_secs(60));
    let handle = builder.start(call()).await.unwrap();
    handle.enqueue(call(), insert("ann", "new", "v")).await.unwrap();
    let near = handle.at_hand(call(), &subject("ann"), &Keys::All).unwrap().unwrap();
    assert_eq!(near.entries().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["new", "stored"]);
    let keys = Keys::only([key("stored")]).unwrap();
    assert_eq!(handle.at_hand(call(), &subject("ann"), &keys).unwrap().unwrap().len(), 1);
    handle.close(call()).await.unwrap();
    assert!(handle.at_hand(call(), &subject("ann"), &Keys::All).is_none());
}

#[tokio::test]
async fn a_read_does_not_show_what_an_erasure_will_refuse() {
    let store = Planted::new();
    store.hold();
    let handle = start(behind(&store)).await;
    handle.enqueue(call(), insert("ann", "k", "v")).await.unwrap();
    other(&store).erase_one(call(), Erase::new(subject("ann"), call().now)).await.unwrap();
    assert!(handle.load(call(), &subject("ann")).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_read_does_not_show_what_is_not_acknowledged() {
    let (store, journal) = (Planted::new(), Planted::new());
    journal.hold();
    let handle = start(behind(&store).journal(Journal::new(journal))).await;
    handle.enqueue(short_call(), insert("ann", "k", "v")).await.unwrap_err();
    assert!(handle.load(call(), &subject("ann")).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_write_through_does_not_hurry_a_store_that_is_down() {
    let store = Planted::new();
    store.plant([crate::planted::Fault::Refused(ErrorKind::Unavailable); 100]);
    let minute = Duration::from_secs(60);
    let handle = start(behind(&store).retry(minute, minute)).await;
    handle.enqueue(call(), insert("ann", "k", "v")).await.unwrap();
    store.begun(1).await;
    for _ in 0..3 {
        handle.remove(short_call(), &subject("ann"), key("k")).await.unwrap_err();
    }
    assert_eq!(store.sent().len(), 1);
}

#[tokio::test]
async fn a_write_through_comes_after_what_is_queued_for_its_user() {
    let store = Planted::new();
    store.hold();
    let handle = start(behind(&store)).await;
    handle.enqueue(call(), insert("ann", "k", "v")).await.unwrap();
    store.begun(1).await;
    let late = handle.remove(short_call(), &subject("ann"), key("k")).await.unwrap_err();
    assert_eq!((late.kind(), late.effect()), (ErrorKind::Timeout, Effect::NotApplied));
    store.release();
    assert_eq!(handle.remove(call(), &subject("ann"), key("k")).await.unwrap(), Outcome::Removed);
    assert!(store.profile("ann").is_empty());
}

#[tokio::test]
async fn a_write_through_of_another_user_waits_for_nobody() {
    let store = Planted::new();
    let handle = start(behind(&store)).await;
    store.hold();
    handle.enqueue(call(), insert("ann", "k", "v")).await.unwrap();
    store.begun(1).await;
    let writes = [insert("ann", "k", "w"), insert("bob", "k", "v")];
    let writing = tokio::spawn({
        let handle = handle.clone();
        async move { handle.write(call(), &writes).await }
    });
    store.begun(2).await;
    assert_eq!(store.sent()[1][0].subject(), &subject("bob"));
    store.release();
    let answers = writing.await.unwrap();
    assert!(matches!(answers[0][0], Ok(Outcome::Kept(_))), "in the order of the questions");
    assert!(matches!(answers[1][0], Ok(Outcome::Inserted)));
}

#[tokio::test]
async fn a_put_goes_through_once_and_is_never_sent_again() {
    let store = Planted::new();
    store.plant([crate::planted::Fault::Lost]);
    let handle = start(behind(&store)).await;
    let put =
        Write::new(subject("ann"), EpochCheck::Ignore, vec![Change::Put(key("k"), entry("v"))]).unwrap();
    let error = handle.write_one(call(), put).await.remove(0).unwrap_err();
    assert_eq!(error.effect(), Effect::Unknown);
    handle.flush(call()).await;
    assert_eq!(store.sent().len(), 1);
}
