//! Callers that leave: by their deadline, or dropped.

use std::time::Duration;

use stickystore_core::{Effect, ErrorKind};

use crate::bench::{coalesced, entry, idle, load, load_by, put, put_by, short, stands};

#[tokio::test(start_paused = true)]
async fn who_leaves_a_batch_at_its_deadline_leaves_it_to_the_others() {
    let (store, scripted) = coalesced(1);
    let _first = put(&store, "ann", "a");
    let leaves = put_by(&store, "bob", entry("b"), short(30));
    let stays = put(&store, "cid", "c");
    scripted.seen().await;
    scripted.answer(0).await;
    assert_eq!(scripted.seen().await[1], "write bob cid");
    let error = leaves.await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::Unknown));
    scripted.answer(1).await;
    stays.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_batch_has_the_latest_deadline_of_its_callers() {
    let (store, scripted) = coalesced(1);
    let _first = load(&store, "ann");
    let latest = short(9_000);
    let _others = [short(2_000), latest, short(7_000)].map(|call| load_by(&store, "bob", call));
    scripted.seen().await;
    scripted.answer(0).await;
    scripted.seen().await;
    assert_eq!(scripted.calls()[1].call.deadline, latest.deadline);
}

#[tokio::test(start_paused = true)]
async fn what_had_not_left_by_its_deadline_is_not_applied_and_never_leaves() {
    let (store, scripted) = coalesced(1);
    let first = put(&store, "ann", "a");
    // The same user, so that it may not go before the first is back.
    let late = put_by(&store, "ann", entry("b"), short(40));
    let error = late.await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::NotApplied));
    scripted.answer(0).await;
    first.await.unwrap().unwrap();
    assert_eq!(scripted.seen().await, ["write ann"]);
    assert_eq!(stands(&scripted, "ann"), Some("\"a\"".into()));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_is_dropped_while_it_waits_never_leaves() {
    let (store, scripted) = coalesced(1);
    let _first = put(&store, "ann", "a");
    let dropped = put(&store, "bob", "b");
    let stays = put(&store, "cid", "c");
    scripted.seen().await;
    dropped.abort();
    idle().await;
    scripted.answer(0).await;
    assert_eq!(scripted.seen().await, ["write ann", "write cid"]);
    scripted.answer(1).await;
    stays.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn dropping_any_one_of_a_batch_that_has_left_disturbs_none_of_the_others() {
    for place in 0..3 {
        let (store, scripted) = coalesced(1);
        let _first = load(&store, "ann");
        let mut others: Vec<_> = ["bob", "cid", "dan"].iter().map(|user| load(&store, user)).collect();
        scripted.seen().await;
        scripted.answer(0).await;
        assert_eq!(scripted.seen().await[1], "read bob cid dan");
        others.remove(place).abort();
        idle().await;
        scripted.answer(1).await;
        for other in others {
            other.await.unwrap().unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_in_flight_lets_the_next_go() {
    let (store, scripted) = coalesced(1);
    let first = put(&store, "ann", "a");
    scripted.seen().await;
    let same = put(&store, "ann", "b");
    let other = put(&store, "bob", "c");
    scripted.seen().await;
    first.abort();
    idle().await;
    assert_eq!(scripted.seen().await, ["write ann", "write ann bob"]);
    scripted.answer(1).await;
    same.await.unwrap().unwrap();
    other.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_everybody_has_left_ends_by_its_deadline_and_lets_the_next_go() {
    let (store, scripted) = coalesced(1);
    let first = put(&store, "ann", "a");
    let gone = put_by(&store, "bob", entry("b"), short(30));
    scripted.seen().await;
    scripted.answer(0).await;
    first.await.unwrap().unwrap();
    assert_eq!(scripted.seen().await[1], "write bob");
    gone.abort();
    // The same user waits for what has left, and this store never answers it.
    let next = put(&store, "bob", "c");
    assert_eq!(scripted.seen().await.len(), 2);
    tokio::time::sleep(Duration::from_millis(30 + 100 + 1)).await;
    assert_eq!(scripted.seen().await[2], "write bob");
    scripted.answer(2).await;
    next.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_waits_behind_one_that_leaves_the_line_goes_at_once() {
    let (store, scripted) = coalesced(2);
    let _first = put(&store, "ann", "a");
    scripted.seen().await;
    let both = {
        use stickystore_core::{AsyncStore as _, Change, EpochCheck, Write};
        let store = store.clone();
        tokio::spawn(async move {
            let write = |user| {
                let changes = vec![Change::Put(crate::bench::key(), entry("x"))];
                Write::new(crate::bench::subject(user), EpochCheck::Ignore, changes).unwrap()
            };
            store.write(crate::bench::call(), &[write("ann"), write("bob")]).await
        })
    };
    let _behind = put(&store, "bob", "b");
    assert_eq!(scripted.seen().await, ["write ann"]);
    both.abort();
    assert_eq!(scripted.seen().await, ["write ann", "write bob"]);
}
