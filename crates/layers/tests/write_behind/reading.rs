//! A read lies under what is queued; a write through the store's face comes after it.

use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Change, Effect, EpochCheck, Erase, ErrorKind, Keys, Outcome, Read,
    Write,
};

use crate::planted::{Planted, behind, call, entry, insert, key, other, short_call, start, subject, write};

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
async fn a_read_does_not_show_what_an_erasure_will_refuse() {
    let store = Planted::new();
    store.hold();
    let handle = start(behind(&store)).await;
    handle.enqueue(call(), insert("ann", "k", "v")).await.unwrap();
    other(&store).erase_one(call(), Erase::new(subject("ann"), call().now)).await.unwrap();
    assert!(handle.load(call(), &subject("ann")).await.unwrap().is_empty());
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
