//! How long the cache keeps what, and what it never keeps.

use std::time::Duration;

use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Erase, ErrorKind, Outcome, Read, StoreExt as _, Unknown, Value,
    ValueHash, Was,
};
use stickystore_layers::cache::Config;

use crate::world::{World, call, entry, key, subject, time, until, value_of};

const AGE: u64 = 30_000;
const ABSENT: u64 = 1_000;

#[tokio::test]
async fn what_was_read_is_answered_until_its_age() {
    let world = World::new();
    world.put_elsewhere("ann", "red");
    assert_eq!(world.value(0, "ann").await.as_deref(), Some("red"));
    world.put_elsewhere("ann", "blue");
    assert_eq!(world.value(AGE - 1, "ann").await.as_deref(), Some("red"), "the last millisecond");
    assert_eq!(world.value(AGE, "ann").await.as_deref(), Some("blue"));
    assert_eq!(world.gate.reads().0, 2);
}

#[tokio::test]
async fn that_a_user_has_nothing_is_kept_a_shorter_while() {
    let world = World::new();
    assert_eq!(world.value(0, "ann").await, None);
    world.put_elsewhere("ann", "red");
    assert_eq!(world.value(ABSENT - 1, "ann").await, None);
    assert_eq!(world.value(ABSENT, "ann").await.as_deref(), Some("red"));
}

#[tokio::test]
async fn that_a_user_has_nothing_hides_no_insert_of_this_process() {
    let world = World::new();
    assert_eq!(world.value(0, "ann").await, None);
    assert_eq!(world.insert(1, "ann", "red").await, Outcome::Inserted);
    assert_eq!(world.value(1, "ann").await.as_deref(), Some("red"));
    assert_eq!(world.gate.reads().0, 1, "what the write answered is known");
}

#[tokio::test]
async fn an_entry_ends_at_its_own_millisecond() {
    let world = World::new();
    world.memory.put(call(0), &subject("ann"), key(), until("red", 500)).unwrap();
    assert_eq!(world.value(0, "ann").await.as_deref(), Some("red"));
    for turn in 0..3 {
        assert_eq!(world.value(499, "ann").await.as_deref(), Some("red"), "turn {turn}");
        assert_eq!(world.value(500, "ann").await, None, "turn {turn}");
    }
    assert_eq!(world.gate.reads().0, 1);
}

#[tokio::test]
async fn a_caller_whose_clock_is_behind_sees_what_had_not_expired_for_it() {
    let world = World::new();
    world.memory.put(call(0), &subject("ann"), key(), until("red", 500)).unwrap();
    assert_eq!(world.value(500, "ann").await, None);
    assert_eq!(world.value(499, "ann").await.as_deref(), Some("red"));
}

#[tokio::test]
async fn a_user_with_an_erase_mark_is_not_kept() {
    let world = World::new();
    let erase = Erase::new(subject("ann"), time(0)).with_mark_until(time(100));
    let epoch = erase.epoch;
    world.memory.erase_one(call(0), erase).unwrap();
    assert_eq!(world.load(0, "ann").await.unwrap().epoch(), Some(epoch));
    assert_eq!(world.load(99, "ann").await.unwrap().epoch(), Some(epoch));
    assert_eq!(world.load(100, "ann").await.unwrap().epoch(), None, "the mark has ended");
    assert_eq!(world.gate.reads().0, 3);
}

#[tokio::test]
async fn an_erase_through_the_cache_is_seen_at_once() {
    let world = World::new();
    world.put(0, "ann", "red").await;
    assert_eq!(world.value(0, "ann").await.as_deref(), Some("red"));
    let erase = Erase::new(subject("ann"), time(0));
    let epoch = erase.epoch;
    assert!(world.cached.erase_one(call(0), erase).await.unwrap());
    let seen = world.load(0, "ann").await.unwrap();
    assert_eq!((seen.len(), seen.epoch()), (0, Some(epoch)));
}

#[tokio::test]
async fn a_write_that_meets_an_erasure_of_another_process_forgets_the_user() {
    let world = World::new();
    world.put_elsewhere("ann", "red");
    assert_eq!(world.value(0, "ann").await.as_deref(), Some("red"));
    world.memory.erase_one(call(0), Erase::new(subject("ann"), time(0))).unwrap();
    assert_eq!(world.insert(0, "ann", "blue").await, Outcome::Erased);
    assert_eq!(world.value(0, "ann").await, None, "what was erased");
    assert!(world.load(0, "ann").await.unwrap().epoch().is_some(), "so that the next write can carry it");
}

#[tokio::test]
async fn a_failed_write_forgets_the_user() {
    let world = World::new();
    world.put_elsewhere("ann", "red");
    assert_eq!(world.value(0, "ann").await.as_deref(), Some("red"));
    world.gate.fail(Some(ErrorKind::Timeout));
    world.cached.put(call(0), &subject("ann"), key(), entry("blue")).await.unwrap_err();
    world.gate.fail(None);
    world.put_elsewhere("ann", "blue");
    assert_eq!(world.value(0, "ann").await.as_deref(), Some("blue"), "the write may have come to pass");
}

#[tokio::test]
async fn errors_are_not_kept() {
    let world = World::new();
    world.put_elsewhere("ann", "red");
    world.gate.fail(Some(ErrorKind::Unavailable));
    assert_eq!(world.load(0, "ann").await.unwrap_err().kind(), ErrorKind::Unavailable);
    world.gate.fail(None);
    assert_eq!(world.value(0, "ann").await.as_deref(), Some("red"));
}

#[tokio::test]
async fn an_older_answer_stands_in_for_a_failed_read_if_that_is_wanted() {
    let world = World::with(&Config::new().with_stale(Duration::from_millis(2 * AGE)));
    world.put_elsewhere("ann", "red");
    assert_eq!(world.value(0, "ann").await.as_deref(), Some("red"));
    for kind in [ErrorKind::Unavailable, ErrorKind::Timeout] {
        world.gate.fail(Some(kind));
        assert_eq!(world.value(2 * AGE - 1, "ann").await.as_deref(), Some("red"));
        assert_eq!(world.load(2 * AGE, "ann").await.unwrap_err().kind(), kind);
        assert_eq!(world.load(0, "bob").await.unwrap_err().kind(), kind, "nothing is known");
    }
    world.gate.fail(Some(ErrorKind::Denied));
    assert_eq!(
        world.load(AGE, "ann").await.unwrap_err().kind(),
        ErrorKind::Denied,
        "that is not a failure to answer"
    );
    assert_eq!(world.cached.info().reads_behind, Some(Duration::from_millis(2 * AGE)));
}

#[tokio::test]
async fn that_a_user_has_nothing_stands_in_for_no_failed_read() {
    let world = World::with(&Config::new().with_stale(Duration::from_secs(3_600)));
    assert_eq!(world.value(0, "ann").await, None);
    // Another process gives the user something; who were told "nothing" now would decide anew, and show that.
    world.put_elsewhere("ann", "red");
    world.gate.fail(Some(ErrorKind::Unavailable));
    assert_eq!(world.value(ABSENT - 1, "ann").await, None, "as old as it may be");
    for at in [ABSENT, AGE, 10 * AGE] {
        assert_eq!(world.load(at, "ann").await.unwrap_err().kind(), ErrorKind::Unavailable, "{at}");
    }
    world.gate.fail(None);
    assert_eq!(world.value(ABSENT, "ann").await.as_deref(), Some("red"));
}

#[tokio::test]
async fn that_nothing_is_left_of_a_user_is_no_older_than_that_there_was_nothing() {
    let world = World::with(&Config::new().with_stale(Duration::from_secs(3_600)));
    world.memory.put(call(0), &subject("ann"), key(), until("red", 2 * ABSENT)).unwrap();
    assert_eq!(world.value(0, "ann").await.as_deref(), Some("red"));
    world.put_elsewhere("ann", "blue");
    assert_eq!(world.value(2 * ABSENT - 1, "ann").await.as_deref(), Some("red"), "it is held");
    world.gate.fail(Some(ErrorKind::Unavailable));
    assert_eq!(world.load(2 * ABSENT, "ann").await.unwrap_err().kind(), ErrorKind::Unavailable);
    world.gate.fail(None);
    assert_eq!(world.value(2 * ABSENT, "ann").await.as_deref(), Some("blue"), "and the store is asked");
}

#[tokio::test]
async fn an_older_answer_never_stands_in_for_what_this_process_wrote() {
    let world = World::with(&Config::new().with_stale(Duration::from_secs(3_600)));
    world.put_elsewhere("ann", "red");
    assert_eq!(world.value(0, "ann").await.as_deref(), Some("red"));
    world.gate.fail(Some(ErrorKind::Unavailable));
    world.cached.put(call(0), &subject("ann"), key(), entry("blue")).await.unwrap_err();
    assert_eq!(world.load(0, "ann").await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn everything_of_an_entry_is_kept() {
    let world = World::new();
    let full = until("red", AGE)
        .with_was(Was::new(vec![(ValueHash::of("old"), time(0))]))
        .with_unknown(Unknown::new(vec![("newer".into(), Value::new("[1.0]").unwrap())]).unwrap());
    let plain = until("plain", AGE);
    world.memory.put(call(0), &subject("ann"), key(), full.clone()).unwrap();
    world.memory.put(call(0), &subject("bob"), key(), plain.clone()).unwrap();
    for _ in 0..3 {
        assert_eq!(world.load(0, "ann").await.unwrap().get("k"), Some(&full));
        assert_eq!(world.load(0, "bob").await.unwrap().get("k"), Some(&plain));
    }
    assert_eq!(world.gate.reads().0, 2);
}

#[tokio::test]
async fn no_more_is_held_than_the_bound_allows() {
    let world = World::with(&Config::new().with_bytes(100_000));
    let value = "x".repeat(1_000);
    for user in 0..1_000 {
        let user = user.to_string();
        world.put_elsewhere(&user, &value);
        assert_eq!(world.value(0, &user).await.as_deref(), Some(value.as_str()));
    }
    let held = world.cached.users_held();
    assert!((10..100).contains(&held), "{held} users of more than 1 000 bytes in 100 000");
}

#[tokio::test]
async fn nothing_is_answered_from_memory_after_close_or_after_the_deadline() {
    let world = World::new();
    world.put_elsewhere("ann", "red");
    assert_eq!(world.value(0, "ann").await.as_deref(), Some("red"));
    let passed = call(0).with_deadline(std::time::Instant::now());
    let late = world.cached.load(passed, &subject("ann")).await;
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Timeout);
    world.cached.clone().close(call(0)).await.unwrap();
    assert_eq!(world.load(0, "ann").await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn one_call_mixes_held_and_unheld_users_in_order() {
    let world = World::new();
    for user in ["a", "b", "c"] {
        world.put_elsewhere(user, user);
    }
    assert_eq!(world.value(0, "b").await.as_deref(), Some("b"));
    let reads = ["a", "b", "c", "a", "nobody"].map(|user| Read::all(subject(user)));
    let answers = world.cached.read(call(0), &reads).await;
    let values: Vec<_> = answers.iter().map(|answer| value_of(answer.as_ref().unwrap())).collect();
    assert_eq!(
        values,
        [Some("a"), Some("b"), Some("c"), Some("a"), None].map(|value| value.map(str::to_owned))
    );
    assert_eq!(world.gate.reads(), (2, 4), "one more read of the three that were not held");
}
