//! The order of what is asked for one user.

use std::pin::pin;
use std::task::{Context, Waker};

use stickystore_core::{AsyncStore as _, Change, EpochCheck, Write};

use crate::bench::{call, coalesced, entry, erase, key, put, stands, subject};

#[tokio::test(start_paused = true)]
async fn writes_of_one_user_leave_one_after_the_other_in_their_order() {
    let (store, scripted) = coalesced(8);
    let puts = ["a", "b", "c"].map(|value| put(&store, "ann", value));
    for (place, put) in puts.into_iter().enumerate() {
        assert_eq!(scripted.seen().await.len(), place + 1);
        scripted.answer(place).await;
        put.await.unwrap().unwrap();
        assert_eq!(stands(&scripted, "ann"), Some(format!("{:?}", ["a", "b", "c"][place])));
    }
}

#[tokio::test(start_paused = true)]
async fn writes_of_other_users_overtake_those_that_wait_for_their_own() {
    let (store, scripted) = coalesced(8);
    let _anns = ["a", "b", "c"].map(|value| put(&store, "ann", value));
    let bob = put(&store, "bob", "b");
    assert_eq!(scripted.seen().await, ["write ann", "write bob"]);
    scripted.answer(1).await;
    bob.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_user_is_never_twice_in_a_batch_of_several_callers() {
    // The store may split such a batch, and then all others in it wait.
    let (store, scripted) = coalesced(1);
    let _first = put(&store, "ann", "a");
    let _others = [("bob", "1"), ("cid", "2"), ("bob", "3"), ("dan", "4")]
        .map(|(user, value)| put(&store, user, value));
    scripted.seen().await;
    scripted.answer(0).await;
    assert_eq!(scripted.seen().await[1], "write bob cid dan");
    scripted.answer(1).await;
    assert_eq!(stands(&scripted, "bob"), Some("\"1\"".into()));
    assert_eq!(scripted.seen().await[2], "write bob");
    scripted.answer(2).await;
    assert_eq!(stands(&scripted, "bob"), Some("\"3\"".into()));
}

#[tokio::test(start_paused = true)]
async fn an_erase_keeps_its_place_among_the_writes_of_its_user() {
    let (store, scripted) = coalesced(8);
    let (before, erased, after) = (put(&store, "ann", "a"), erase(&store, "ann"), put(&store, "ann", "b"));
    for place in 0..3 {
        assert_eq!(scripted.seen().await.len(), place + 1);
        scripted.answer(place).await;
    }
    assert_eq!(scripted.seen().await, ["write ann", "erase ann", "write ann"]);
    before.await.unwrap().unwrap();
    assert!(erased.await.unwrap().unwrap());
    after.await.unwrap().unwrap();
    assert_eq!(stands(&scripted, "ann"), Some("\"b\"".into()));
}

#[tokio::test(start_paused = true)]
async fn erases_leave_with_erases_and_are_told_whether_something_stood() {
    let (store, scripted) = coalesced(1);
    let first = put(&store, "ann", "a");
    scripted.seen().await;
    let (bob, dan, ann) = (erase(&store, "bob"), put(&store, "dan", "d"), erase(&store, "ann"));
    scripted.seen().await;
    scripted.answer(0).await;
    first.await.unwrap().unwrap();
    assert_eq!(scripted.seen().await[1], "erase bob ann");
    scripted.answer(1).await;
    assert!(!bob.await.unwrap().unwrap());
    assert!(ann.await.unwrap().unwrap());
    assert_eq!(scripted.seen().await[2], "write dan");
    scripted.answer(2).await;
    dan.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_a_batch_is_not_overtaken_by_its_own_user() {
    let (store, scripted) = coalesced(1);
    let _first = put(&store, "ann", "a");
    scripted.seen().await;
    let (_bob, _erased, _after) = (put(&store, "bob", "b"), erase(&store, "cid"), put(&store, "cid", "c"));
    scripted.seen().await;
    for place in 0..3 {
        scripted.answer(place).await;
    }
    assert_eq!(scripted.seen().await, ["write ann", "write bob", "erase cid", "write cid"]);
}

#[tokio::test(start_paused = true)]
async fn patience_does_not_break_the_order_of_a_user() {
    let (store, scripted) = coalesced(1);
    let _anns = ["a", "b"].map(|value| put(&store, "ann", value));
    let bob = put(&store, "bob", "b");
    scripted.seen().await;
    // Far longer than anybody waits for the others.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(scripted.seen().await, ["write ann", "write bob"]);
    scripted.answer(1).await;
    bob.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn patience_does_not_overtake_an_earlier_write_of_the_user_whose_caller_is_never_polled_again() {
    let (store, scripted) = coalesced(1);
    let _slow = put(&store, "slow", "s");
    scripted.seen().await;
    let change = Change::Put(key(), entry("1"));
    let writes = [Write::new(subject("ann"), EpochCheck::Ignore, vec![change]).unwrap()];
    let mut earlier = pin!(store.write(call(), &writes));
    assert!(earlier.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let later = put(&store, "ann", "2");
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(scripted.seen().await, ["write slow"]);
    scripted.answer(0).await;
    scripted.answer(1).await;
    assert_eq!(stands(&scripted, "ann"), Some("\"1\"".into()));
    scripted.answer(2).await;
    later.await.unwrap().unwrap();
    assert_eq!(stands(&scripted, "ann"), Some("\"2\"".into()));
}
