//! Callers who miss the same user at once make one read, and none of them can spoil it for the others.

use std::time::{Duration, Instant};

use stickystore_core::{AsyncStoreExt as _, ErrorKind, StoreExt as _};

use stickystore_layers::cache::Config;

use crate::world::{World, call, key, subject, until, value_of};

const AGE: u64 = 30_000;
const ABSENT: u64 = 1_000;

#[tokio::test]
async fn concurrent_misses_of_one_user_make_one_read() {
    let world = World::new();
    world.put_elsewhere("ann", "red");
    world.gate.hold_reads();
    let callers: Vec<_> = (0..64)
        .map(|_| {
            let cached = world.cached.clone();
            tokio::spawn(async move { cached.load(call(0), &subject("ann")).await })
        })
        .collect();
    world.gate.held_up(1).await;
    world.gate.release_reads();
    for caller in callers {
        assert_eq!(value_of(&caller.await.unwrap().unwrap()).as_deref(), Some("red"));
    }
    assert_eq!(world.gate.reads(), (1, 1));
}

#[tokio::test]
async fn a_caller_that_is_dropped_cancels_nobody_else() {
    let world = World::new();
    world.put_elsewhere("ann", "red");
    world.gate.hold_reads();
    let load = || {
        let cached = world.cached.clone();
        tokio::spawn(async move { cached.load(call(0), &subject("ann")).await })
    };
    let first = load();
    world.gate.held_up(1).await;
    let second = load();
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    world.gate.release_reads();
    assert_eq!(value_of(&second.await.unwrap().unwrap()).as_deref(), Some("red"));
    assert_eq!(world.gate.reads().0, 1, "the second went on with the first's read");
}

#[tokio::test]
async fn a_read_that_all_callers_dropped_is_begun_anew() {
    let world = World::new();
    world.put_elsewhere("ann", "red");
    world.gate.hold_reads();
    let cached = world.cached.clone();
    let only = tokio::spawn(async move { cached.load(call(0), &subject("ann")).await });
    world.gate.held_up(1).await;
    only.abort();
    assert!(only.await.unwrap_err().is_cancelled());
    world.gate.release_reads();
    assert_eq!(world.value(0, "ann").await.as_deref(), Some("red"));
    assert_eq!(world.gate.reads().0, 2);
}

#[tokio::test]
async fn a_read_that_failed_or_panicked_spoils_no_later_one() {
    let world = World::new();
    world.put_elsewhere("ann", "red");
    world.gate.panic(true);
    assert_eq!(world.load(0, "ann").await.unwrap_err().kind(), ErrorKind::Unexpected);
    world.gate.panic(false);
    world.gate.fail(Some(ErrorKind::Timeout));
    assert_eq!(world.load(0, "ann").await.unwrap_err().kind(), ErrorKind::Timeout);
    world.gate.fail(None);
    assert_eq!(world.value(0, "ann").await.as_deref(), Some("red"));
}

#[tokio::test]
async fn a_caller_ends_by_its_own_deadline_whoever_it_waits_for() {
    let world = World::new();
    world.put_elsewhere("ann", "red");
    world.gate.hold_reads();
    let cached = world.cached.clone();
    let patient = tokio::spawn(async move { cached.load(call(0), &subject("ann")).await });
    world.gate.held_up(1).await;
    let hasty = call(0).with_deadline(Instant::now() + Duration::from_millis(20));
    let error = world.cached.load(hasty, &subject("ann")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    world.gate.release_reads();
    assert_eq!(value_of(&patient.await.unwrap().unwrap()).as_deref(), Some("red"), "nobody else is hurt");
}

#[tokio::test]
async fn a_caller_whose_clock_is_behind_takes_no_answer_of_a_later_time() {
    let world = World::new();
    world.memory.put(call(0), &subject("ann"), key(), until("red", 500)).unwrap();
    world.gate.hold_reads();
    let cached = world.cached.clone();
    let ahead = tokio::spawn(async move { cached.load(call(500), &subject("ann")).await });
    world.gate.held_up(1).await;
    let cached = world.cached.clone();
    let behind = tokio::spawn(async move { cached.load(call(499), &subject("ann")).await });
    world.gate.held_up(2).await;
    world.gate.release_reads();
    assert_eq!(value_of(&ahead.await.unwrap().unwrap()), None);
    assert_eq!(value_of(&behind.await.unwrap().unwrap()).as_deref(), Some("red"));
}

#[tokio::test]
async fn the_timeout_of_another_caller_is_nobody_elses() {
    let world = World::new();
    world.put_elsewhere("ann", "red");
    world.gate.hold_reads();
    let load = || {
        let cached = world.cached.clone();
        tokio::spawn(async move { cached.load(call(0), &subject("ann")).await })
    };
    let hasty = load();
    world.gate.held_up(1).await;
    let patient = load();
    tokio::task::yield_now().await;
    world.gate.fail_one_late(ErrorKind::Timeout);
    world.gate.release_reads();
    assert_eq!(hasty.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(value_of(&patient.await.unwrap().unwrap()).as_deref(), Some("red"));
    assert_eq!(world.gate.reads().0, 2);
}

/// Ann's load at this time, under way.
fn loading(
    world: &World,
    at: u64,
) -> tokio::task::JoinHandle<stickystore_core::Result<stickystore_core::Profile>> {
    let cached = world.cached.clone();
    tokio::spawn(async move { cached.load(call(at), &subject("ann")).await })
}

/// Reads at the first time, and at the second while the store's answer to the first has not come and another process has
/// written; gives what the second is answered, and how many reads the store had.
async fn joined_after(world: &World, at: u64) -> (Option<String>, usize) {
    world.gate.hold_reads();
    let first = loading(world, 0);
    world.gate.held_up(1).await;
    world.put_elsewhere("ann", "blue");
    let second = loading(world, at);
    tokio::task::yield_now().await;
    world.gate.release_reads();
    first.await.unwrap().unwrap();
    (value_of(&second.await.unwrap().unwrap()), world.gate.reads().0)
}

#[tokio::test]
async fn nobody_joins_a_read_that_began_longer_ago_than_an_answer_may_be_old() {
    let world = World::new();
    world.put_elsewhere("ann", "red");
    assert_eq!(joined_after(&world, AGE - 1).await, (Some("red".to_owned()), 1), "the last millisecond");
    let world = World::new();
    world.put_elsewhere("ann", "red");
    assert_eq!(joined_after(&world, AGE).await, (Some("blue".to_owned()), 2));
}

#[tokio::test]
async fn a_joined_read_says_that_there_is_nothing_for_as_long_as_a_held_one() {
    assert_eq!(joined_after(&World::new(), ABSENT - 1).await, (None, 1), "the last millisecond");
    assert_eq!(joined_after(&World::new(), ABSENT).await, (Some("blue".to_owned()), 2));
}

#[tokio::test]
async fn those_who_come_at_once_share_a_read_however_short_an_answer_may_be_kept() {
    let world = World::with(&Config::new().with_age(Duration::ZERO));
    assert_eq!(joined_after(&world, 0).await, (None, 1));
}

#[tokio::test]
async fn those_who_come_too_late_for_a_read_share_the_next_one() {
    let world = World::new();
    world.gate.hold_reads();
    let first = loading(&world, 0);
    world.gate.held_up(1).await;
    let late: Vec<_> = (0..8).map(|at| loading(&world, AGE + at)).collect();
    tokio::task::yield_now().await;
    world.gate.release_reads();
    first.await.unwrap().unwrap();
    for late in late {
        late.await.unwrap().unwrap();
    }
    assert_eq!(world.gate.reads().0, 2);
}
