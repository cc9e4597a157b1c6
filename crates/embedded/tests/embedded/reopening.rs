//! What stands in the file, and what is there when it is opened again.

use std::time::Duration;

use redb::ReadableDatabase as _;
use stickystore_core::{
    Call, Entry, Epoch, EpochCheck, Erase, ErrorKind, Expiry, Outcome, Revision, StoreExt as _, UnixMillis,
    Unknown, Value, ValueHash, Was,
};
use stickystore_embedded::EmbeddedStore;

use crate::scratch::{Scratch, call, call_in, entry, key, user};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn everything_is_there_again() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let now = call().now;
    let full = Entry::new(
        Value::new("18446744073709551616.10").unwrap(),
        Expiry::At(now.saturating_add(60 * SECOND)),
    )
    .with_was(Was::new(vec![(ValueHash::of("old"), now)]))
    .with_unknown(Unknown::new(vec![("x".into(), Value::new("1e400").unwrap())]).unwrap());
    store.put(call(), &user("ann"), key("a\0\u{e9}"), full.clone()).unwrap();
    store.put(call(), &user("ann"), key("endless"), entry("v")).unwrap();
    store.plant(call(), &user("ann"), &key("bad"), b"{}").unwrap();
    let erase = Erase::new(user("bob"), now);
    store.erase_one(call(), erase.clone()).unwrap();
    drop(store);

    let store = scratch.open();
    let ann = store.load(call(), &user("ann")).unwrap();
    assert_eq!(ann.get("a\0\u{e9}"), Some(&full));
    assert_eq!((ann.len(), ann.damaged().len()), (2, 1));
    assert_eq!(store.load(call(), &user("bob")).unwrap().epoch(), Some(erase.epoch));
    let blind = store.insert(call(), &user("bob"), EpochCheck::Is(None), key("k"), entry("v")).unwrap();
    assert_eq!(blind, Outcome::Erased);
}

/// What the golden file says, as the file on disk holds it.
fn rows_of(scratch: &Scratch) -> Vec<String> {
    type Name = (&'static [u8], &'static [u8], &'static [u8]);
    let about = redb::TableDefinition::<&str, &str>::new("stickystore");
    let entries = redb::TableDefinition::<Name, &[u8]>::new("entries");
    let database = redb::Database::open(scratch.config().path).unwrap();
    let txn = database.begin_read().unwrap();
    let text = |bytes: &[u8]| format!("{:?}", std::str::from_utf8(bytes).unwrap());
    let mut lines = Vec::new();
    for row in redb::ReadableTable::iter(&txn.open_table(about).unwrap()).unwrap() {
        let (name, value) = row.unwrap();
        lines.push(format!("stickystore {:?} {:?}", name.value(), value.value()));
    }
    for row in redb::ReadableTable::iter(&txn.open_table(entries).unwrap()).unwrap() {
        let (name, value) = row.unwrap();
        let (namespace, user, key) = name.value();
        let value = std::str::from_utf8(value.value()).unwrap().to_owned();
        lines.push(format!("entries {} {} {} {value}", text(namespace), text(user), text(key)));
    }
    lines
}

#[test]
fn the_layout_is_frozen() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let at = |millis| UnixMillis::new(millis).unwrap();
    let now = Call::new(at(1_600_000_000_000), call().deadline);
    let revision = Revision::from_bytes([0, 1, 2, 3, 4, 5, 6, 7]);
    let full = Entry::new(Value::new("{\"a\":1.50}").unwrap(), Expiry::At(at(1_700_000_000_000)))
        .with_revision(revision)
        .with_was(Was::new(vec![(ValueHash::of("old"), at(1_690_000_000_000))]));
    let endless = Entry::new(Value::string("blue"), Expiry::Never).with_revision(revision);
    store.put(now, &user("ann"), key("button"), full).unwrap();
    store.put(now, &user("a:b\0"), key("\u{e9}"), endless).unwrap();
    let (epoch, mark_until) = (Epoch::from_bytes([7, 6, 5, 4, 3, 2, 1, 0]), at(1_600_000_900_000));
    store
        .erase_one(now, Erase::new(user("bob"), mark_until).with_epoch(epoch).with_mark_until(mark_until))
        .unwrap();
    drop(store);
    let golden = include_str!("../../golden/file-v1.txt");
    assert_eq!(rows_of(&scratch), golden.lines().collect::<Vec<_>>());
}

#[test]
fn rows_that_cannot_be_read_are_damaged_and_never_absent() {
    let scratch = Scratch::new();
    let store = scratch.open();
    for (name, bytes) in [("empty", &b""[..]), ("bytes", b"\xff\xfe"), ("newer", b"{\"v\":2}")] {
        store.plant(call(), &user("ann"), &key(name), bytes).unwrap();
        let error = store.get(call(), &user("ann"), &key(name)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}");
    }
    assert_eq!(store.load(call(), &user("ann")).unwrap().damaged().len(), 3);
    assert_eq!(store.sweep(call()).unwrap(), 0, "a sweep takes nothing that it cannot read");
    assert_eq!(store.load(call(), &user("ann")).unwrap().damaged().len(), 3);
}

#[test]
fn a_mark_that_cannot_be_read_makes_the_user_not_ours_until_it_is_erased() {
    let scratch = Scratch::new();
    let store = scratch.open();
    store.put(call(), &user("ann"), key("k"), entry("v")).unwrap();
    store.plant_mark(call(), &user("ann"), b"{\"v\":2}").unwrap();
    assert_eq!(store.load(call(), &user("ann")).unwrap_err().kind(), ErrorKind::Corrupt);
    let error = store.put(call(), &user("ann"), key("k"), entry("v")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(store.erase_one(call(), Erase::new(user("ann"), call().now)).unwrap());
    assert!(store.load(call(), &user("ann")).unwrap().is_empty());
}

/// How many rows the sweep leaves, counted where they stand.
fn rows_left(store: EmbeddedStore, scratch: &Scratch) -> usize {
    drop(store);
    rows_of(scratch).iter().filter(|line| line.starts_with("entries")).count()
}

#[test]
fn writes_sweep_what_ended_longer_than_the_grace_ago_marks_too() {
    let scratch = Scratch::new();
    let store = EmbeddedStore::open(scratch.config().with_grace(SECOND)).unwrap();
    let short = Entry::new(Value::string("v"), Expiry::At(call().now.saturating_add(10 * SECOND)));
    for name in ["a", "b", "c", "d", "e"] {
        store.put(call(), &user(name), key("short"), short.clone()).unwrap();
    }
    let mark_until = call().now.saturating_add(10 * SECOND);
    store.erase_one(call(), Erase::new(user("f"), mark_until).with_mark_until(mark_until)).unwrap();
    store.put(call(), &user("a"), key("long"), entry("v")).unwrap();
    for turn in 0..8 {
        store.put(call_in(10 * SECOND), &user("z"), key(&turn.to_string()), entry("v")).unwrap();
    }
    for turn in 0..8 {
        store.put(call_in(30 * SECOND), &user("z"), key(&turn.to_string()), entry("w")).unwrap();
    }
    assert!(store.get(call_in(30 * SECOND), &user("a"), &key("long")).unwrap().is_some());
    assert_eq!(rows_left(store, &scratch), 9, "what lives: one long entry and eight of z");
}

#[test]
fn a_sweep_on_demand_keeps_the_grace() {
    let scratch = Scratch::new();
    let store = EmbeddedStore::open(scratch.config().with_grace(10 * SECOND)).unwrap();
    let short = Entry::new(Value::string("v"), Expiry::At(call().now.saturating_add(SECOND)));
    store.put(call(), &user("a"), key("short"), short).unwrap();
    assert_eq!(store.sweep(call_in(5 * SECOND)).unwrap(), 0);
    assert_eq!(store.sweep(call_in(20 * SECOND)).unwrap(), 1);
    assert_eq!(rows_left(store, &scratch), 0);
}
