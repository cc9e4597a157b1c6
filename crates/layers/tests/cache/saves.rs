//! A save that was decided by an answer from the cache: the store compares, whatever was cached.

use std::time::Duration;

use stickystore_core::{Immediate, ManualClock, Namespace};
use stickystore_services::Settings;
use stickystore_services::optimizely::{AsyncUserProfileService, UserProfile};

use crate::world::{World, time};

fn settings() -> Settings {
    Settings::new(Namespace::new("n").unwrap())
        .with_clock(ManualClock::new(time(0)))
        .with_deadline(Duration::from_secs(60))
}

fn map(variation: &str) -> String {
    format!(r#"{{"user_id":"ann","experiment_bucket_map":{{"e":{{"variation_id":"{variation}"}}}}}}"#)
}

fn changed(mut profile: UserProfile, variation: &str) -> UserProfile {
    profile.set_variation("e", variation);
    profile
}

#[tokio::test]
async fn a_save_from_a_stale_answer_replaces_nothing_that_was_not_read() {
    let world = World::new();
    let here = AsyncUserProfileService::new(world.cached.clone(), settings());
    let elsewhere = AsyncUserProfileService::new(Immediate::new(world.memory.clone()), settings());
    here.save_json(&map("red")).await.unwrap();
    assert_eq!(here.lookup("ann").await.unwrap().variation("e"), Some("red"));

    let theirs = changed(elsewhere.lookup("ann").await.unwrap(), "blue");
    assert!(elsewhere.save(&theirs).await.unwrap().to_json().contains("replaced"));
    let stale = here.lookup("ann").await.unwrap();
    assert_eq!(stale.variation("e"), Some("red"), "the cache may answer so until its age");

    let report = here.save(&changed(stale, "green")).await.unwrap();
    assert_eq!(
        report.to_json(),
        r#"{"entries":{"e":{"outcome":"kept","why":"raced","winner":{"variation_id":"blue"}}}}"#
    );
    assert_eq!(elsewhere.lookup("ann").await.unwrap().variation("e"), Some("blue"));
    assert_eq!(here.lookup("ann").await.unwrap().variation("e"), Some("blue"), "the refusal told the cache");
}

#[tokio::test]
async fn a_first_save_after_a_cached_absence_takes_nothing_away() {
    let world = World::new();
    let here = AsyncUserProfileService::new(world.cached.clone(), settings());
    let elsewhere = AsyncUserProfileService::new(Immediate::new(world.memory.clone()), settings());
    let absent = here.lookup("ann").await.unwrap();
    elsewhere.save_json(&map("blue")).await.unwrap();
    let report = here.save(&changed(absent, "green")).await.unwrap();
    assert!(
        report.to_json().contains(r#""why":"raced","winner":{"variation_id":"blue"}"#),
        "{}",
        report.to_json()
    );
    assert_eq!(here.lookup("ann").await.unwrap().variation("e"), Some("blue"));
}

#[tokio::test]
async fn a_receipt_from_a_cached_answer_proves_what_still_stands() {
    let world = World::new();
    let here = AsyncUserProfileService::new(world.cached.clone(), settings());
    here.save_json(&map("red")).await.unwrap();
    let first = here.lookup("ann").await.unwrap();
    assert_eq!(first.variation("e"), Some("red"));
    let report = here.save(&changed(here.lookup("ann").await.unwrap(), "blue")).await.unwrap();
    assert!(report.to_json().contains("replaced"), "{}", report.to_json());
    assert_eq!(here.lookup("ann").await.unwrap().variation("e"), Some("blue"));
}
