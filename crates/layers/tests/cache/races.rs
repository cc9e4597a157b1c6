//! A read under way while its user is written leaves no older value behind, whichever ends first.

use std::time::Duration;

use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Change, EpochCheck, Erase, Outcome, Revision, Write,
};

use crate::world::{World, call, entry, key, subject, time, value_of};

/// Starts a load that has read the store and is not answered yet.
async fn under_way(
    world: &World,
) -> tokio::task::JoinHandle<stickystore_core::Result<stickystore_core::Profile>> {
    world.gate.hold_reads();
    let cached = world.cached.clone();
    let load = tokio::spawn(async move { cached.load(call(0), &subject("ann")).await });
    world.gate.held_up(1).await;
    load
}

#[tokio::test]
async fn a_read_from_before_a_write_leaves_nothing_behind() {
    let world = World::new();
    world.put_elsewhere("ann", "red");
    let load = under_way(&world).await;
    world.put(0, "ann", "blue").await;
    world.gate.release_reads();
    load.await.unwrap().unwrap();
    assert_eq!(world.value(0, "ann").await.as_deref(), Some("blue"));
    assert_eq!(world.value(0, "ann").await.as_deref(), Some("blue"));
}

#[tokio::test]
async fn a_read_from_before_an_erase_leaves_nothing_behind() {
    let world = World::new();
    world.put_elsewhere("ann", "red");
    let load = under_way(&world).await;
    assert!(world.cached.erase_one(call(0), Erase::new(subject("ann"), time(0))).await.unwrap());
    world.gate.release_reads();
    load.await.unwrap().unwrap();
    assert_eq!(world.value(0, "ann").await, None);
}

#[tokio::test]
async fn nobody_joins_a_read_from_before_a_write() {
    let world = World::new();
    world.put_elsewhere("ann", "red");
    let load = under_way(&world).await;
    world.put(0, "ann", "blue").await;
    let cached = world.cached.clone();
    let later = tokio::spawn(async move { cached.load(call(0), &subject("ann")).await });
    world.gate.held_up(2).await;
    world.gate.release_reads();
    assert_eq!(value_of(&load.await.unwrap().unwrap()).as_deref(), Some("red"), "it began before the write");
    assert_eq!(value_of(&later.await.unwrap().unwrap()).as_deref(), Some("blue"));
}

#[tokio::test]
async fn a_read_during_a_write_leaves_nothing_behind() {
    let world = World::new();
    world.put_elsewhere("ann", "red");
    assert_eq!(world.value(0, "ann").await.as_deref(), Some("red"));
    let load = {
        world.gate.hold_writes();
        let cached = world.cached.clone();
        let put =
            tokio::spawn(async move { cached.put(call(0), &subject("ann"), key(), entry("blue")).await });
        world.gate.held_up(1).await;
        // It has been applied and is not answered; another process writes after it.
        world.put_elsewhere("ann", "green");
        assert_eq!(
            world.value(0, "ann").await.as_deref(),
            Some("green"),
            "nothing is held while a write is under way"
        );
        world.gate.release_writes();
        put
    };
    assert_eq!(load.await.unwrap().unwrap(), Outcome::Written);
    // What the write answered is what this process knows; it is never older than the write.
    let seen = world.value(0, "ann").await;
    assert!(matches!(seen.as_deref(), Some("blue" | "green")), "{seen:?}");
}

#[tokio::test]
async fn a_dropped_write_leaves_nothing_behind() {
    let world = World::new();
    world.put_elsewhere("ann", "red");
    assert_eq!(world.value(0, "ann").await.as_deref(), Some("red"));
    world.gate.hold_writes();
    let cached = world.cached.clone();
    let put = tokio::spawn(async move { cached.put(call(0), &subject("ann"), key(), entry("blue")).await });
    world.gate.held_up(1).await;
    put.abort();
    assert!(put.await.unwrap_err().is_cancelled());
    assert_eq!(world.value(0, "ann").await.as_deref(), Some("blue"), "it was applied all the same");
}

#[tokio::test]
async fn two_writes_at_once_leave_only_what_is_read_again() {
    let world = World::new();
    world.put_elsewhere("ann", "red");
    assert_eq!(world.value(0, "ann").await.as_deref(), Some("red"));
    world.gate.hold_writes();
    let put = |value: &'static str| {
        let cached = world.cached.clone();
        tokio::spawn(async move { cached.put(call(0), &subject("ann"), key(), entry(value)).await })
    };
    let blue = put("blue");
    world.gate.held_up(1).await;
    let green = put("green");
    world.gate.held_up(2).await;
    world.gate.release_writes();
    blue.await.unwrap().unwrap();
    green.await.unwrap().unwrap();
    assert_eq!(world.value(0, "ann").await.as_deref(), Some("green"), "whichever was answered last");
    assert_eq!(world.gate.reads().0, 2);
}

#[tokio::test]
async fn an_answer_that_could_not_be_over_what_is_held_forgets_the_user() {
    let world = World::new();
    world.put_elsewhere("ann", "red");
    assert_eq!(world.value(0, "ann").await.as_deref(), Some("red"));
    world.put_elsewhere("ann", "blue");
    // A replace by the revision that is held is refused, and names what stands.
    let held = world.load(0, "ann").await.unwrap().get("k").unwrap().revision;
    let replace = Change::Replace(key(), held, entry("green"));
    let refused = world.cached.change(call(0), &subject("ann"), EpochCheck::Ignore, replace).await.unwrap();
    assert!(matches!(refused, Outcome::Kept(_)));
    assert_eq!(world.value(0, "ann").await.as_deref(), Some("blue"));
}

#[tokio::test]
async fn writes_of_one_user_in_one_call_are_followed_in_their_order() {
    let world = World::new();
    assert_eq!(world.value(0, "ann").await, None);
    let one = |change| Write::new(subject("ann"), EpochCheck::Is(None), vec![change]).unwrap();
    let (red, blue) = (entry("red"), entry("blue"));
    let writes = [
        one(Change::Insert(key(), red.clone())),
        one(Change::Replace(key(), red.revision, blue.clone())),
        one(Change::RemoveIf(key(), Revision::random())),
    ];
    let answers = world.cached.write(call(0), &writes).await;
    assert_eq!(
        answers.concat().into_iter().map(Result::unwrap).collect::<Vec<_>>(),
        [Outcome::Inserted, Outcome::Replaced, Outcome::Kept(blue),]
    );
    assert_eq!(world.value(0, "ann").await.as_deref(), Some("blue"));
    assert_eq!(world.gate.reads().0, 1, "all of it is known from the answers");
}

/// Readers and writers at random, with a second process: what this process wrote and was acknowledged, it sees.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_counter_never_goes_back() {
    let world = World::new();
    world.put_elsewhere("ann", "0");
    let acknowledged = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let is_done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (cached, acknowledged) = (world.cached.clone(), acknowledged.clone());
            let is_done = is_done.clone();
            tokio::spawn(async move {
                while !is_done.load(std::sync::atomic::Ordering::SeqCst) {
                    let least = acknowledged.load(std::sync::atomic::Ordering::SeqCst);
                    let profile = cached.load(call(0), &subject("ann")).await.unwrap();
                    let seen: u64 = value_of(&profile).unwrap().parse().unwrap();
                    assert!(seen >= least, "{seen} after {least} had been acknowledged");
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for count in 1..=5_000_u64 {
        world.put(0, "ann", &count.to_string()).await;
        acknowledged.store(count, std::sync::atomic::Ordering::SeqCst);
        if count % 7 == 0 {
            world.cached.forget(&subject("ann"));
        }
        tokio::task::yield_now().await;
    }
    is_done.store(true, std::sync::atomic::Ordering::SeqCst);
    for reader in readers {
        tokio::time::timeout(Duration::from_secs(60), reader).await.unwrap().unwrap();
    }
}
