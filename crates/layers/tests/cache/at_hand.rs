//! What is held is at hand: a hit asks nobody, needs no runtime, and never goes behind a write or a close.

use futures::FutureExt as _;
use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Blocking, Erase, Keys, Profile, Read, Store as _, StoreExt as _,
};

use crate::world::{World, call, key, subject, time, value_of};

impl World {
    fn at_hand(&self, user: &str) -> Option<Profile> {
        self.cached.at_hand(call(0), &subject(user), &Keys::All).map(Result::unwrap)
    }
}

#[tokio::test]
async fn a_hit_asks_the_store_for_nothing_and_is_ready_at_once() {
    let world = World::new();
    world.put_elsewhere("ann", "red");
    world.put_elsewhere("bob", "blue");
    world.load(0, "ann").await.unwrap();
    let before = world.gate.reads();
    world.gate.hold_reads();
    let (cached, ann, all) = (&world.cached, subject("ann"), Read::all(subject("ann")));
    let loaded = cached.load(call(0), &ann).now_or_never().expect("a load is ready").unwrap();
    let read = cached.read_one(call(0), all.clone()).now_or_never().expect("a read is ready").unwrap();
    let found = cached.get(call(0), &ann, &key()).now_or_never().expect("a get is ready").unwrap();
    let twice = [all.clone(), all.clone()];
    let many = cached.read_many(call(0), &twice).now_or_never().expect("reads are ready");
    assert_eq!(value_of(&loaded).as_deref(), Some("red"));
    assert_eq!((read, found.as_ref()), (loaded.clone(), loaded.get("k")));
    assert_eq!(many.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [loaded.clone(), loaded]);
    assert_eq!(world.gate.reads(), before, "of whom nobody was asked");
    let mixed = [all, Read::all(subject("bob"))];
    assert!(cached.read_many(call(0), &mixed).now_or_never().is_none(), "bob is not held");
    assert_eq!(world.gate.reads(), (before.0 + 1, before.1 + 1), "only bob is asked for");
}

#[tokio::test]
async fn nothing_is_at_hand_of_a_user_who_is_being_written() {
    let world = World::new();
    world.put(0, "ann", "red").await;
    world.load(0, "ann").await.unwrap();
    world.gate.hold_writes();
    let mut put = Box::pin(world.put(0, "ann", "blue"));
    assert!(put.as_mut().now_or_never().is_none());
    assert_eq!(world.at_hand("ann"), None, "neither the old value nor the new one");
    world.gate.release_writes();
    put.await;
    assert!(world.at_hand("ann").is_none_or(|profile| value_of(&profile).as_deref() == Some("blue")));
    assert_eq!(world.value(0, "ann").await.as_deref(), Some("blue"));
}

#[tokio::test]
async fn nothing_is_at_hand_of_a_user_who_was_erased_or_after_close() {
    let world = World::new();
    for user in ["ann", "bob"] {
        world.put(0, user, "red").await;
        world.load(0, user).await.unwrap();
        assert!(world.at_hand(user).is_some());
    }
    world.cached.erase_one(call(0), Erase::new(subject("ann"), time(0))).await.unwrap();
    assert_eq!(world.at_hand("ann"), None);
    world.cached.close(call(0)).await.unwrap();
    assert_eq!(world.at_hand("bob"), None);
}

#[test]
fn a_hit_through_the_blocking_face_waits_for_no_other_thread() {
    let world = World::new();
    world.put_elsewhere("ann", "red");
    world.put_elsewhere("bob", "blue");
    let (cached, gate) = (world.cached.clone(), world.gate.clone());
    let store = Blocking::open(move || async { Ok(cached) }).unwrap();
    store.load(call(0), &subject("ann")).unwrap();
    // Whatever is asked of the store from now on does not end.
    gate.hold_reads();
    let hit = store.load(call(0), &subject("ann")).unwrap();
    assert_eq!(value_of(&hit).as_deref(), Some("red"));
    let reads = [Read::all(subject("bob")), Read::all(subject("ann"))];
    let both = std::thread::scope(|scope| {
        let both = scope.spawn(|| store.read(call(0), &reads));
        while gate.reads().0 < 2 {
            std::thread::yield_now();
        }
        gate.release_reads();
        both.join().unwrap()
    });
    let values: Vec<_> = both.into_iter().map(|answer| value_of(&answer.unwrap()).unwrap()).collect();
    assert_eq!(values, ["blue", "red"], "each in the place of its read");
    assert_eq!(gate.reads(), (2, 2), "who was held was not asked for again");
}
