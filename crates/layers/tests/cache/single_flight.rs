//! Callers who miss the same user at once make one read, and none of them can spoil it for the others.

use std::time::{Duration, Instant};

use stickystore_core::{AsyncStoreExt as _, ErrorKind, StoreExt as _};

use crate::world::{World, call, key, subject, until, value_of};

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
