//! What is the memory store's own: its bound and its sweep. Its contract is the conformance suite's.

use std::time::{Duration, Instant};

use super::*;
use crate::call::EpochCheck;
use crate::entry::Entry;
use crate::id::UserId;
use crate::store::StoreExt;
use crate::time::{Expiry, UnixMillis};
use crate::value::Value;

fn call(now: u64) -> Call {
    Call::new(UnixMillis::new(now).unwrap(), Instant::now() + Duration::from_secs(60))
}

fn user(name: &str) -> Subject {
    Subject::new(Namespace::new("n").unwrap(), UserId::new(name).unwrap())
}

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

fn until(millis: u64) -> Entry {
    Entry::new(Value::string("v"), Expiry::At(UnixMillis::new(millis).unwrap()))
}

fn insert(store: &MemoryStore, now: u64, name: &str, k: &str, entry: Entry) -> Result<Outcome> {
    store.insert(call(now), &user(name), EpochCheck::Is(None), key(k), entry)
}

fn slots(store: &MemoryStore) -> usize {
    let state = store.state();
    let counted = state.counted_slots();
    assert_eq!(counted, state.kept_slots(), "the count is what is there");
    counted
}

#[test]
fn a_full_store_refuses_and_forgets_nothing_that_lives() {
    let store = MemoryStore::builder().max_entries(2).grace(Duration::from_millis(10)).build();
    insert(&store, 1, "a", "k", until(100)).unwrap();
    insert(&store, 1, "b", "k", until(10_000)).unwrap();
    let error = insert(&store, 2, "c", "k", until(10_000)).unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Full, Effect::NotApplied));
    assert!(store.get(call(2), &user("a"), &key("k")).unwrap().is_some());
    let put = store.put(call(2), &user("a"), key("k"), until(100)).unwrap();
    assert_eq!(put, Outcome::Written, "what replaces needs no room");
    // Two seconds on, what expired has made room by itself.
    assert_eq!(insert(&store, 2_000, "c", "k", until(10_000)).unwrap(), Outcome::Inserted);
    assert_eq!(slots(&store), 2);
}

#[test]
fn the_sweep_keeps_the_grace_and_then_takes_all_that_ended() {
    let store = MemoryStore::builder().grace(Duration::from_millis(10)).build();
    for name in ["a", "b", "c", "d"] {
        insert(&store, 1, name, "short", until(100)).unwrap();
    }
    insert(&store, 1, "a", "long", until(10_000)).unwrap();
    store.sweep(call(110));
    assert_eq!(slots(&store), 5, "within the grace nothing goes");
    for turn in 0..4 {
        insert(&store, 111, "z", &turn.to_string(), until(10_000)).unwrap();
    }
    assert_eq!(slots(&store), 5, "four writes have swept all four, and left the long one");
    assert!(store.get(call(111), &user("a"), &key("long")).unwrap().is_some());
}

#[test]
fn a_caller_with_a_fast_clock_does_not_keep_a_full_store_from_sweeping_for_the_others() {
    let store = MemoryStore::builder().max_entries(1).grace(Duration::from_millis(10)).build();
    insert(&store, 1, "a", "k", until(2_000_000)).unwrap();
    insert(&store, 1_000_000, "b", "k", until(2_000_000)).unwrap_err();
    store.put(call(1), &user("a"), key("k"), until(100)).unwrap();
    assert_eq!(insert(&store, 200, "b", "k", until(10_000)).unwrap(), Outcome::Inserted);
}

#[test]
fn a_write_does_not_wait_for_all_that_other_users_have() {
    // Counted, not timed: a write takes a bounded number of steps, so what ended goes a few at a time.
    let store = MemoryStore::builder().grace(Duration::from_millis(10)).build();
    let changes = |from: usize| {
        let insert = |i: usize| crate::Change::Insert(key(&i.to_string()), until(100));
        Write::new(user("large"), EpochCheck::Is(None), (from..from + 1_000).map(insert).collect()).unwrap()
    };
    store.write(call(1), &[changes(0), changes(1_000)]);
    insert(&store, 1_000, "z", "k", until(10_000)).unwrap();
    assert!(slots(&store) > 1_990, "{}", slots(&store));
    for turn in 0..1_000 {
        insert(&store, 1_000, "z", &turn.to_string(), until(10_000)).unwrap();
    }
    assert_eq!(slots(&store), 1_001, "and all of it goes");
}

#[test]
fn a_mark_goes_by_itself_and_leaves_nothing() {
    let store = MemoryStore::builder().grace(Duration::from_millis(10)).build();
    let erase =
        Erase { subject: user("a"), epoch: crate::Epoch::random(), mark_until: UnixMillis::new(50).unwrap() };
    store.erase_one(call(1), erase).unwrap();
    assert!(store.load(call(49), &user("a")).unwrap().epoch().is_some());
    assert!(store.load(call(50), &user("a")).unwrap().epoch().is_none());
    store.sweep(call(61));
    assert!(store.state().has_no_user());
}

#[test]
fn debug_shows_no_user() {
    let store = MemoryStore::new();
    insert(&store, 1, "ann", "k", until(100)).unwrap();
    assert_eq!(format!("{store:?}"), "MemoryStore { .. }");
}
