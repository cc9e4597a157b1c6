//! Slow and huge ones, and those who share the store with them.

use std::time::Duration;

use stickystore_core::{AsyncStore as _, Read, StoreInfo};
use stickystore_layers::coalesce::Bounds;

use crate::bench::{call, coalesced, load, put, subject, within};

#[tokio::test(start_paused = true)]
async fn a_batch_ends_at_its_number_of_users() {
    let (store, scripted) = within(Bounds::default().with_in_flight(1).with_users(2));
    let _calls = ["ann", "bob", "cid", "dan", "eve"].map(|user| load(&store, user));
    scripted.seen().await;
    for place in 0..3 {
        scripted.answer(place).await;
    }
    assert_eq!(scripted.seen().await, ["read ann", "read bob cid", "read dan eve"]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_ends_at_its_number_of_bytes_and_small_ones_behind_still_go_along() {
    let (store, scripted) = within(Bounds::default().with_in_flight(1).with_bytes(100));
    let _first = put(&store, "ann", "a");
    let middling = "x".repeat(60);
    let _others = [("bob", &*middling), ("cid", &*middling), ("dan", "d")]
        .map(|(user, value)| put(&store, user, value));
    scripted.seen().await;
    scripted.answer(0).await;
    assert_eq!(scripted.seen().await[1], "write bob dan");
}

#[tokio::test(start_paused = true)]
async fn a_huge_write_goes_at_once_by_itself() {
    let (store, scripted) = within(Bounds::default().with_in_flight(1).with_bytes(100));
    let _first = put(&store, "ann", "a");
    let _waits = put(&store, "bob", "b");
    let _huge = put(&store, "cid", &"x".repeat(101));
    assert_eq!(scripted.seen().await, ["write ann", "write cid"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_about_many_users_goes_at_once_by_itself() {
    let (store, scripted) = within(Bounds::default().with_in_flight(1).with_users(2));
    let _first = load(&store, "ann");
    let many = store.clone();
    let _many = tokio::spawn(async move {
        let reads = ["bob", "cid", "dan"].map(|user| Read::all(subject(user)));
        many.read(call(), &reads).await
    });
    assert_eq!(scripted.seen().await, ["read ann", "read bob cid dan"]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_user_does_not_hold_up_the_others() {
    let (store, scripted) = coalesced(2);
    // Both that may be in flight never come back.
    let _slow = ["slow", "slower"].map(|user| load(&store, user));
    let others = ["ann", "bob"].map(|user| load(&store, user));
    assert_eq!(scripted.seen().await, ["read slow", "read slower"]);
    let began = tokio::time::Instant::now();
    while scripted.seen().await.len() < 3 {
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(began.elapsed() <= Duration::from_millis(6), "{:?}", began.elapsed());
    }
    assert_eq!(scripted.seen().await[2], "read ann bob");
    scripted.answer(2).await;
    for other in others {
        other.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn writes_without_a_limit_wait_only_for_their_own_user() {
    let (store, scripted) =
        within(Bounds::default().with_in_flight(1).with_writes_in_flight(Bounds::UNLIMITED));
    let _puts = [("ann", "1"), ("bob", "2"), ("ann", "3"), ("cid", "4")]
        .map(|(user, value)| put(&store, user, value));
    let _loads = ["ann", "bob"].map(|user| load(&store, user));
    assert_eq!(scripted.seen().await, ["write ann", "write bob", "write cid", "read ann"]);
    scripted.answer(0).await;
    assert_eq!(scripted.seen().await[4..], ["write ann"]);
}

#[test]
fn at_a_server_reads_wait_for_each_other_and_no_write_for_another_users() {
    for (scheme, reads) in [("redis", 2), ("memcache", 2), ("mongodb", 4), ("cassandra", 2)] {
        let bounds = Bounds::of(&StoreInfo::new(scheme));
        let expected = Bounds::default().with_in_flight(reads).with_writes_in_flight(Bounds::UNLIMITED);
        assert_eq!(bounds, expected, "{scheme}");
    }
}
