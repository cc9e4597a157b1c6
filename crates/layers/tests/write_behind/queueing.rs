//! What is queued leaves together and arrives in order, and its outcome is the store's.

use stickystore_core::{AsyncStoreExt as _, Change, EpochCheck, ErrorKind, Expiry, Outcome, Revision, Write};

use crate::planted::{
    Fault, Planted, behind, call, clock, entry, insert, key, other, short_call, start, start_time, subject,
    whys, write,
};

#[tokio::test]
async fn what_is_queued_is_written_and_its_outcome_is_the_stores() {
    let store = Planted::new();
    let handle = start(behind(&store)).await;
    let first = handle.enqueue(call(), insert("ann", "button", "red")).await.unwrap();
    assert!(!first.is_journaled());
    assert_eq!(first.outcomes(call()).await.remove(0).unwrap(), Outcome::Inserted);
    let second = handle.enqueue(call(), insert("ann", "button", "blue")).await.unwrap();
    assert!(
        matches!(second.outcomes(call()).await.remove(0).unwrap(), Outcome::Kept(winner) if winner.value.as_str() == "\"red\"")
    );
    assert_eq!(store.value("ann", "button").unwrap(), "red");
}

#[tokio::test]
async fn nothing_but_the_store_gives_an_outcome() {
    let store = Planted::new();
    store.hold();
    let handle = start(behind(&store)).await;
    let queued = handle.enqueue(call(), insert("ann", "button", "red")).await.unwrap();
    let error = queued.outcomes(short_call()).await.remove(0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(handle.report().applied, 0);
    assert_eq!(handle.depth().changes, 1);
}

#[tokio::test]
async fn what_waits_leaves_in_one_call_with_one_write_for_each_user() {
    let store = Planted::new();
    store.hold();
    let handle = start(behind(&store)).await;
    handle.enqueue(call(), insert("first", "k", "v")).await.unwrap();
    store.begun(1).await;
    for (user, at) in [("ann", "a"), ("bob", "a"), ("ann", "b"), ("ann", "c"), ("bob", "b")] {
        handle.enqueue(call(), insert(user, at, "v")).await.unwrap();
    }
    store.release();
    let report = handle.flush(call()).await;
    assert_eq!(report.applied, 6);
    let sent = store.sent();
    assert_eq!(sent.len(), 2);
    let sizes: Vec<_> =
        sent[1].iter().map(|write| (write.subject().user.as_str(), write.changes().len())).collect();
    assert_eq!(sizes, [("ann", 3), ("bob", 2)]);
}

#[tokio::test]
async fn changes_of_one_entry_arrive_in_the_order_in_which_they_were_queued() {
    let store = Planted::new();
    // Every attempt but the last of each fails in another way.
    store.plant([Fault::Refused(ErrorKind::Unavailable), Fault::Lost, Fault::Hidden]);
    let handle = start(behind(&store)).await;
    let (red, blue, green) = (entry("red"), entry("blue"), entry("green"));
    let changes = [
        Change::Insert(key("k"), red.clone()),
        Change::Replace(key("k"), red.revision, blue.clone()),
        Change::Replace(key("k"), blue.revision, green.clone()),
    ];
    for change in changes {
        handle.enqueue(call(), write("ann", vec![change])).await.unwrap();
    }
    let report = handle.flush(call()).await;
    assert_eq!((report.applied, whys(&report)), (3, vec![]));
    assert_eq!(store.profile("ann").get("k").unwrap(), &green);
}

#[tokio::test]
async fn what_follows_a_refused_change_of_a_user_waits_for_it() {
    let store = Planted::new();
    store.hold();
    let handle = start(behind(&store)).await;
    let (red, blue) = (entry("red"), entry("blue"));
    let changes = vec![Change::Insert(key("a"), entry("v")), Change::Insert(key("k"), red.clone())];
    handle.enqueue(call(), write("ann", changes)).await.unwrap();
    handle
        .enqueue(call(), write("ann", vec![Change::Replace(key("k"), red.revision, blue.clone())]))
        .await
        .unwrap();
    store.begun(1).await;
    store.plant([Fault::Half, Fault::Refused(ErrorKind::Full)]);
    store.release();
    let report = handle.flush(call()).await;
    assert_eq!((report.applied, whys(&report)), (3, vec![]));
    assert_eq!(store.profile("ann").get("k").unwrap(), &blue);
    let keys: Vec<_> = store.sent().iter().map(|call| call[0].changes().len()).collect();
    assert_eq!(
        keys,
        [2, 1, 1, 1],
        "the first change is not sent again, the replacement not before the insert"
    );
}

#[tokio::test]
async fn a_replacement_is_sent_under_the_revision_that_was_read_and_never_another() {
    let store = Planted::new();
    let handle = start(behind(&store)).await;
    let (red, blue, green) = (entry("red"), entry("blue"), entry("green"));
    other(&store).put(call(), &subject("ann"), key("k"), red.clone()).await.unwrap();
    store.plant([Fault::Lost]);
    store.hold();
    let replace = Change::Replace(key("k"), red.revision, green.clone());
    let queued = handle.enqueue(call(), write("ann", vec![replace.clone()])).await.unwrap();
    other(&store).put(call(), &subject("ann"), key("k"), blue.clone()).await.unwrap();
    store.release();
    assert_eq!(queued.outcomes(call()).await.remove(0).unwrap(), Outcome::Kept(blue.clone()));
    assert_eq!(store.profile("ann").get("k").unwrap(), &blue);
    assert!(store.sent().iter().all(|call| call[0].changes() == [replace.clone()]));
}

#[tokio::test]
async fn what_could_undo_what_its_writer_has_not_seen_is_not_queued() {
    let store = Planted::new();
    let handle = start(behind(&store)).await;
    let refused = [
        write("ann", vec![Change::Put(key("k"), entry("v"))]),
        write("ann", vec![Change::Remove(key("k"))]),
        Write::new(subject("ann"), EpochCheck::Ignore, vec![Change::Insert(key("k"), entry("v"))]).unwrap(),
    ];
    for write in refused {
        let error = handle.enqueue(call(), write).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    let conditional = vec![Change::RemoveIf(key("k"), Revision::random())];
    let conditional = Write::new(subject("ann"), EpochCheck::Ignore, conditional).unwrap();
    assert!(handle.enqueue(call(), conditional).await.is_ok());
    assert_eq!(handle.flush(call()).await.unchanged, 1);
}

#[tokio::test]
async fn an_entry_that_expires_in_the_queue_is_not_written() {
    let store = Planted::new();
    store.hold();
    let clock = clock();
    let handle = start(behind(&store).clock(clock.clone())).await;
    store.plant([Fault::Lost]);
    let mut short = entry("v");
    short.expiry = Expiry::At(start_time().saturating_add(std::time::Duration::from_millis(5)));
    let queued = handle.enqueue(call(), write("ann", vec![Change::Insert(key("k"), short)])).await.unwrap();
    store.begun(1).await;
    clock.advance(std::time::Duration::from_millis(5));
    store.release();
    assert_eq!(queued.outcomes(call()).await.remove(0).unwrap(), Outcome::Expired);
    assert_eq!(whys(&handle.report()), ["expired"]);
}

#[tokio::test]
async fn a_flush_reports_each_change_once() {
    let store = Planted::new();
    let handle = start(behind(&store)).await;
    handle.enqueue(call(), insert("ann", "k", "v")).await.unwrap();
    handle.enqueue(call(), insert("ann", "k", "w")).await.unwrap();
    let report = handle.flush(call()).await;
    assert_eq!((report.applied, whys(&report)), (1, vec!["kept"]));
    assert!(!report.is_clean());
    assert_eq!(report.unwritten[0].key, key("k"));
    assert!(!format!("{report:?}{report}").contains("ann"), "no identifier is shown");
    assert!(handle.flush(call()).await.is_clean());
}
