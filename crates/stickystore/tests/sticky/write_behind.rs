//! A queue before the store: what a user is given, and what the services over it see.

use std::time::Duration;

use stickystore::core::{Immediate, ManualClock, Namespace, UnixMillis, memory::MemoryStore};
use stickystore::write_behind::{Behind, Given};
use stickystore::{AsyncSticky, ErrorKind, Settings};

/// How long a call may take where the test is not about time.
const PATIENCE: Duration = Duration::from_secs(60);

fn sticky(store: &MemoryStore) -> AsyncSticky {
    let clock = ManualClock::new(UnixMillis::new(1_700_000_000_000).unwrap());
    let settings = Settings::new(Namespace::new("shop").unwrap()).with_deadline(PATIENCE).with_clock(clock);
    AsyncSticky::new(Immediate::new(store.clone()), settings)
}

/// What is queued stays so until a flush.
async fn slow(store: &MemoryStore) -> Behind {
    sticky(store).write_behind(|queue| queue.linger(PATIENCE * 60)).await.unwrap()
}

#[tokio::test]
async fn a_new_user_is_given_the_value_before_the_store_has_it_and_keeps_it() {
    let store = MemoryStore::new();
    let behind = slow(&store).await;
    let first = behind.assign("ann", "button", || "red").await.unwrap();
    assert!(matches!(first, Given::Queued { .. }));
    let again = behind.assign("ann", "button", || "blue").await.unwrap();
    assert!(matches!(&again, Given::Found(entry) if entry == first.entry()), "asked again, it is the same");
    assert!(sticky(&store).get("ann", "button").await.unwrap().is_none());
    assert_eq!(behind.flush(PATIENCE).await.applied, 1);
    assert_eq!(sticky(&store).get("ann", "button").await.unwrap().as_ref(), Some(first.entry()));
}

#[tokio::test]
async fn who_was_slower_hears_it_in_the_report_and_has_the_winner_next_time() {
    let store = MemoryStore::new();
    let behind = slow(&store).await;
    let Given::Queued { queued, .. } = behind.assign("ann", "button", || "red").await.unwrap() else {
        unreachable!("nothing stood there")
    };
    sticky(&store).assign("ann", "button", || "blue").await.unwrap();
    let report = behind.flush(PATIENCE).await;
    assert_eq!((report.applied, report.unwritten[0].why.as_str()), (0, "kept"));
    drop(queued);
    assert_eq!(behind.assign("ann", "button", || "red").await.unwrap().text().unwrap(), "blue");
}

#[tokio::test]
async fn the_sdks_services_see_what_is_queued_and_their_saves_are_the_stores_word() {
    let store = MemoryStore::new();
    let behind = slow(&store).await;
    let value = stickystore::Value::new(r#"{"variation_id":"red"}"#).unwrap();
    behind.assign("ann", "e1", || value).await.unwrap();
    let service = behind.sticky().optimizely();
    let profile = service.lookup("ann").await.unwrap();
    assert_eq!(profile.variation("e1"), Some("red"));
    let changed = profile.to_json().replace("\"red\"", "\"blue\"");
    let report = service.save_json(&changed).await.unwrap();
    assert!(report.to_json().contains("replaced"), "{}", report.to_json());
    assert_eq!(sticky(&store).optimizely().lookup("ann").await.unwrap().variation("e1"), Some("blue"));
}

#[tokio::test]
async fn settings_that_do_not_fit_are_refused() {
    let store = MemoryStore::new();
    let error = sticky(&store).write_behind(|queue| queue.queue_age(PATIENCE * 60)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}
