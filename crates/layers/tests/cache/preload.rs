//! Users are read before anybody asks for them, and nothing newer is lost by it.

use std::time::Duration;

use stickystore_core::{AsyncStore as _, AsyncStoreExt as _, ErrorKind, Namespace, Outcome, StoreExt as _};
use stickystore_layers::cache::{Config, Whom};

use crate::world::{World, call, entry, key, subject};

fn namespace() -> Namespace {
    Namespace::new("n").unwrap()
}

#[tokio::test]
async fn all_users_are_held_after_a_preload_of_all() {
    let world = World::new();
    for user in 0..1_234 {
        world.put_elsewhere(&user.to_string(), "red");
    }
    let mut steps = Vec::new();
    let all = world
        .cached
        .preload(call(0), Whom::All(&namespace()), |so_far| steps.push(so_far.users))
        .await
        .unwrap();
    assert_eq!((all.users, all.failed, all.is_full), (1_234, 0, false));
    assert!(steps.len() > 2 && steps.is_sorted() && steps.last() == Some(&1_234), "{steps:?}");
    for user in 0..1_234 {
        assert_eq!(world.value(0, &user.to_string()).await.as_deref(), Some("red"));
    }
    assert_eq!(world.gate.reads().0, 0);
}

#[tokio::test]
async fn named_users_are_held_after_a_preload_of_users_also_those_who_have_nothing() {
    let world = World::new();
    world.put_elsewhere("ann", "red");
    world.put_elsewhere("bob", "red");
    let users = ["ann", "nobody"].map(subject);
    let some = world.cached.preload(call(0), Whom::Users(&users), |_| {}).await.unwrap();
    assert_eq!(some.users, 2);
    assert_eq!(world.value(0, "ann").await.as_deref(), Some("red"));
    assert_eq!(world.value(0, "nobody").await, None);
    assert_eq!(world.gate.reads(), (1, 2));
    assert!(world.cached.held(call(0).now, &subject("bob")).is_none());
}

#[tokio::test]
async fn a_write_during_a_page_is_not_lost_to_it() {
    let world = World::new();
    world.put_elsewhere("ann", "red");
    world.put_elsewhere("bob", "red");
    world.put_elsewhere("cid", "red");
    world.gate.hold_reads();
    let cached = world.cached.clone();
    let preload = tokio::spawn(async move { cached.preload(call(0), Whom::All(&namespace()), |_| {}).await });
    world.gate.held_up(1).await;
    // The page has been read and is not answered.
    world.put(0, "ann", "blue").await;
    assert_eq!(world.cached.remove(call(0), &subject("bob"), key()).await.unwrap(), Outcome::Removed);
    world.gate.release_reads();
    assert_eq!(preload.await.unwrap().unwrap().users, 3);
    assert_eq!(world.value(0, "ann").await.as_deref(), Some("blue"));
    assert_eq!(world.value(0, "bob").await, None);
    assert!(world.cached.held(call(0).now, &subject("cid")).is_some());
}

#[tokio::test]
async fn a_page_under_way_does_not_take_the_place_of_a_later_read() {
    let world = World::new();
    world.put_elsewhere("ann", "red");
    world.gate.hold_reads();
    let cached = world.cached.clone();
    let preload = tokio::spawn(async move { cached.preload(call(0), Whom::All(&namespace()), |_| {}).await });
    world.gate.held_up(1).await;
    world.memory.put(call(0), &subject("ann"), key(), entry("blue")).unwrap();
    let cached = world.cached.clone();
    let load = tokio::spawn(async move { cached.load(call(0), &subject("ann")).await });
    world.gate.held_up(2).await;
    world.gate.release_reads();
    load.await.unwrap().unwrap();
    preload.await.unwrap().unwrap();
    assert_eq!(world.value(0, "ann").await.as_deref(), Some("blue"), "as the later read found");
}

#[tokio::test]
async fn a_preload_ends_when_the_cache_is_full() {
    let world = World::with(&Config::new().with_bytes(100_000));
    for user in 0..5_000 {
        world.put_elsewhere(&user.to_string(), "red");
    }
    let all = world.cached.preload(call(0), Whom::All(&namespace()), |_| {}).await.unwrap();
    assert!(all.is_full && all.users < 5_000, "{all:?}");
}

#[tokio::test]
async fn a_preload_of_all_fails_as_its_scan_does() {
    let world = World::new();
    world.cached.close(call(0)).await.unwrap();
    let error = world.cached.preload(call(0), Whom::All(&namespace()), |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn page_by_page_what_is_held_is_as_old_as_its_page() {
    let world = World::with(&Config::new().with_age(Duration::from_secs(10)));
    let users: Vec<_> = (0..600).map(|user| subject(&user.to_string())).collect();
    for user in 0..600 {
        world.put_elsewhere(&user.to_string(), "red");
    }
    let mut preloading = world.cached.preloading(Whom::Users(&users));
    let first = preloading.page(call(0)).await.unwrap().users;
    assert!(!preloading.is_finished());
    assert_eq!(preloading.page(call(5_000)).await.unwrap().users, 600);
    assert!(preloading.is_finished());
    let held = users.iter().filter(|user| world.cached.held(call(12_000).now, user).is_some());
    assert_eq!(held.count(), 600 - first);
    assert_eq!(
        preloading.page(call(20_000)).await.unwrap(),
        preloading.so_far(),
        "and nothing after the end"
    );
}

#[tokio::test]
async fn a_page_that_failed_is_read_when_it_is_asked_for_again() {
    let world = World::new();
    world.put_elsewhere("ann", "red");
    let mut preloading = world.cached.preloading(Whom::All(&namespace()));
    let passed = call(0).with_deadline(std::time::Instant::now());
    assert_eq!(preloading.page(passed).await.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(!preloading.is_finished());
    assert_eq!(preloading.page(call(0)).await.unwrap().users, 1);
    assert!(preloading.is_finished());
}
