//! Users are read before anybody asks for them, and forgotten, through the handle that a URL gives.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stickystore::core::Immediate;
use stickystore::core::memory::MemoryStore;
use stickystore::{ErrorKind, Namespace, Registry, Settings};

use crate::counted::registry;

const CACHED: &str = "counted:?namespace=n&deadline=60s&cache=16MiB&cache_age=10m&cache_absent_age=10m";
const BARE: &str = "counted:?namespace=n&deadline=60s";
const MINUTE: Duration = Duration::from_secs(60);

/// More than fit in one page.
const USERS: usize = 1_234;

/// A store in which so many users have something, and how often it is asked from now on.
fn filled(users: usize) -> (Registry, Arc<AtomicUsize>) {
    let (registry, reads) = registry();
    let bare = registry.open(BARE).unwrap();
    for user in 0..users {
        bare.put(&user.to_string(), "button", "red").unwrap();
    }
    reads.store(0, Ordering::SeqCst);
    (registry, reads)
}

#[tokio::test]
async fn after_a_preload_of_all_the_store_is_not_asked_for_them() {
    let (registry, reads) = tokio::task::spawn_blocking(|| filled(USERS)).await.unwrap();
    let sticky = registry.open_async(CACHED).await.unwrap();
    let mut told = Vec::new();
    let cache = sticky.cache().unwrap();
    let all = cache.preload_all(MINUTE, |so_far| told.push(so_far.users)).await.unwrap();
    assert_eq!((all.users, all.failed, all.is_full, cache.users_held()), (USERS, 0, false, USERS));
    assert!(told.len() > 2 && told.is_sorted() && told.last() == Some(&USERS), "{told:?}");
    for user in 0..USERS {
        assert!(sticky.get(&user.to_string(), "button").await.unwrap().is_some());
    }
    assert_eq!(reads.load(Ordering::SeqCst), 0);
}

#[test]
fn after_a_blocking_preload_of_all_the_store_is_not_asked_for_them() {
    let (registry, reads) = filled(USERS);
    let sticky = registry.open(CACHED).unwrap();
    let here = std::thread::current().id();
    let mut told = Vec::new();
    let all = sticky.cache().unwrap().preload_all(MINUTE, |so_far| {
        assert_eq!(std::thread::current().id(), here, "what is told is told where it was asked");
        told.push(so_far.users);
    });
    let all = all.unwrap();
    assert_eq!((all.users, all.failed, all.is_full), (USERS, 0, false));
    assert!(told.len() > 2 && told.is_sorted() && told.last() == Some(&USERS), "{told:?}");
    for user in 0..USERS {
        assert!(sticky.get(&user.to_string(), "button").unwrap().is_some());
    }
    assert_eq!(reads.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn named_users_are_read_together_and_also_held_where_they_have_nothing() {
    let (registry, reads) = tokio::task::spawn_blocking(|| filled(1)).await.unwrap();
    let sticky = registry.open_async(CACHED).await.unwrap();
    let mut told = Vec::new();
    let some =
        sticky.cache().unwrap().preload(["0", "nobody"], MINUTE, |so_far| told.push(so_far)).await.unwrap();
    assert_eq!((some.users, told), (2, vec![some]));
    assert_eq!(sticky.load("0").await.unwrap().len(), 1);
    assert!(sticky.load("nobody").await.unwrap().is_empty());
    assert_eq!(reads.load(Ordering::SeqCst), 1, "that of the preload");
}

#[test]
fn a_user_who_is_forgotten_is_read_again_and_keeps_what_is_stored() {
    let (registry, reads) = filled(2);
    let sticky = registry.open(CACHED).unwrap();
    let cache = sticky.cache().unwrap();
    cache.preload(["0", "1"], MINUTE, |_| {}).unwrap();
    registry.open(BARE).unwrap().put("0", "button", "blue").unwrap();
    let value = |user| sticky.get(user, "button").unwrap().unwrap().value.as_string().unwrap().into_owned();
    assert_eq!(value("0"), "red", "as it was read");
    cache.forget("0").unwrap();
    assert_eq!([value("0"), value("1")], ["blue", "red"]);
    assert_eq!(reads.load(Ordering::SeqCst), 2, "the preload and the one who was forgotten");
}

#[tokio::test]
async fn without_a_cache_the_error_names_the_option_that_gives_one() {
    let is_told = |error: stickystore::Error| {
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.context().contains("a URL with cache=64MiB"), "{error}");
    };
    for option in ["", "&cache=0", "&coalesce=off"] {
        let url = format!("memory:?namespace=n{option}");
        is_told(stickystore::open(&url).unwrap().cache().unwrap_err());
        is_told(stickystore::open_async(&url).await.unwrap().cache().unwrap_err());
    }
    let settings = Settings::new(Namespace::new("n").unwrap());
    is_told(stickystore::Sticky::new(MemoryStore::new(), settings.clone()).cache().unwrap_err());
    let store = Immediate::new(MemoryStore::new());
    is_told(stickystore::AsyncSticky::new(store, settings).cache().unwrap_err());
}

#[tokio::test]
async fn a_user_id_that_is_none_is_refused_before_anybody_is_read() {
    let (registry, reads) = registry();
    let cache = registry.open_async(CACHED).await.unwrap().cache().unwrap();
    let error = cache.preload(["ann", ""], MINUTE, |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(cache.forget("").unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(reads.load(Ordering::SeqCst), 0);
}

#[test]
fn a_preload_whose_time_has_passed_says_so_in_both_apis() {
    let is_told = |error: stickystore::Error| {
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.context().contains("after 0 users"), "{error}");
    };
    let (registry, _) = filled(1);
    let cache = registry.open(CACHED).unwrap().cache().unwrap();
    is_told(cache.preload(["0"], Duration::ZERO, |_| {}).unwrap_err());
    is_told(cache.preload_all(Duration::ZERO, |_| {}).unwrap_err());
    let nobody: [&str; 0] = [];
    assert_eq!(cache.preload(nobody, Duration::ZERO, |_| {}).unwrap().users, 0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let cache = registry.open_async(CACHED).await.unwrap().cache().unwrap();
        is_told(cache.preload(["0"], Duration::ZERO, |_| {}).await.unwrap_err());
        is_told(cache.preload_all(Duration::ZERO, |_| {}).await.unwrap_err());
        assert_eq!(cache.preload(nobody, Duration::ZERO, |_| {}).await.unwrap().users, 0);
    });
}

#[tokio::test]
async fn a_preload_runs_in_a_task_and_one_that_blocks_in_a_task_ends_too() {
    let (registry, _) = tokio::task::spawn_blocking(|| filled(3)).await.unwrap();
    let cache = registry.open_async(CACHED).await.unwrap().cache().unwrap();
    let users = vec!["0".to_owned(), "1".to_owned()];
    let some = tokio::spawn(async move { cache.preload(users, MINUTE, |_| {}).await }).await.unwrap();
    assert_eq!(some.unwrap().users, 2);
    let all = registry.open(CACHED).unwrap().cache().unwrap().preload_all(MINUTE, |_| {});
    assert_eq!(all.unwrap().users, 3);
}

#[test]
fn the_store_of_a_handle_with_other_settings_has_the_same_cache() {
    let (registry, _) = filled(1);
    let sticky = registry.open(CACHED).unwrap();
    let other = sticky.clone().with_settings(|settings| settings.with_deadline(MINUTE));
    other.cache().unwrap().preload_all(MINUTE, |_| {}).unwrap();
    assert_eq!(sticky.cache().unwrap().users_held(), 1);
}

#[cfg(feature = "write-behind")]
#[tokio::test]
async fn behind_a_queue_users_are_read_ahead_too_and_what_is_written_is_seen() {
    let (registry, reads) = tokio::task::spawn_blocking(|| filled(1)).await.unwrap();
    let sticky = registry.open_async(CACHED).await.unwrap();
    let behind = sticky.write_behind(|queue| queue).await.unwrap();
    behind.sticky().cache().unwrap().preload_all(MINUTE, |_| {}).await.unwrap();
    behind.assign("0", "banner", || "big").await.unwrap();
    assert!(behind.shutdown(MINUTE).await.is_clean());
    assert_eq!(reads.load(Ordering::SeqCst), 0);
}

#[test]
fn the_users_of_a_store_that_cannot_scan_are_read_by_name() {
    let (registry, _) = registry();
    let cache = registry.open(&CACHED.replace("counted:", "blind:")).unwrap().cache().unwrap();
    assert_eq!(cache.preload_all(MINUTE, |_| {}).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(cache.preload(["ann"], MINUTE, |_| {}).unwrap().users, 1);
}
