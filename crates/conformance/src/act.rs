//! One thing done to the store of a case, and insisting that it is answered. Times are milliseconds after the
//! case began; what nobody checks is the epoch.
//!
//! What the answers look like in a failure is in `seen`.

use stickystore_core::AsyncStoreExt as _;
use stickystore_core::{
    Call, Change, Entry, EpochCheck, Expiry, Keys, Outcome, Profile, Read, Subject, Value, Write,
};

use crate::context::{Context, key};
use crate::seen::assert_entries;

/// Makes one change at time zero.
pub(crate) async fn change(cx: &Context, user: &Subject, change: Change) -> Outcome {
    change_at(cx, 0, user, change).await
}

/// Makes one change.
pub(crate) async fn change_at(cx: &Context, millis: u64, user: &Subject, change: Change) -> Outcome {
    change_in(cx, cx.at(millis), user, change).await
}

/// Makes one change in this call.
pub(crate) async fn change_in(cx: &Context, call: Call, user: &Subject, change: Change) -> Outcome {
    let shown = format!("{change:?}");
    let answer = cx.store().change(call, user, EpochCheck::Ignore, change).await;
    answer.unwrap_or_else(|error| panic!("{shown} is not answered: {error}"))
}

/// Puts an entry at time zero.
pub(crate) async fn put(cx: &Context, user: &Subject, at: &str, entry: &Entry) {
    let outcome = change(cx, user, Change::Put(key(at), entry.clone())).await;
    assert_eq!(outcome, Outcome::Written, "a put of {at:?} is written");
}

/// Puts entries into one user at time zero, in one write.
pub(crate) async fn put_all(cx: &Context, user: &Subject, entries: &[(&str, Entry)]) {
    let changes = entries.iter().map(|(at, entry)| Change::Put(key(at), entry.clone())).collect();
    let write = Write::new(user.clone(), EpochCheck::Ignore, changes).expect("the case names each key once");
    for answer in cx.store().write_one(cx.call(), write).await {
        assert_eq!(answer.expect("a put is answered"), Outcome::Written);
    }
}

/// Inserts an entry at time zero, for a writer that knows of these erasures.
pub(crate) async fn insert(
    cx: &Context,
    user: &Subject,
    check: EpochCheck,
    at: &str,
    entry: &Entry,
) -> Outcome {
    let answer = cx.store().insert(cx.call(), user, check, key(at), entry.clone()).await;
    answer.expect("an insert is answered")
}

/// Asserts that a user has exactly these entries at time zero, in every part, whatever was erased.
pub(crate) async fn assert_holds(cx: &Context, user: &Subject, wanted: &[(&str, &Entry)]) {
    assert_entries(&load(cx, user).await, wanted, "what a user holds");
}

/// All live entries of a user at time zero.
pub(crate) async fn load(cx: &Context, user: &Subject) -> Profile {
    load_at(cx, 0, user).await
}

/// All live entries of a user.
pub(crate) async fn load_at(cx: &Context, millis: u64, user: &Subject) -> Profile {
    cx.store().load(cx.at(millis), user).await.expect("a load is answered")
}

/// One live entry at time zero.
pub(crate) async fn get(cx: &Context, user: &Subject, at: &str) -> Option<Entry> {
    get_at(cx, 0, user, at).await
}

/// One live entry.
pub(crate) async fn get_at(cx: &Context, millis: u64, user: &Subject, at: &str) -> Option<Entry> {
    cx.store().get(cx.at(millis), user, &key(at)).await.expect("a get is answered")
}

/// Some live entries of a user.
pub(crate) async fn some_at(cx: &Context, millis: u64, user: &Subject, keys: &[&str]) -> Profile {
    let keys = Keys::only(keys.iter().map(|at| key(at))).expect("the case names few keys");
    let read = Read::some(user.clone(), keys);
    cx.store().read_one(cx.at(millis), read).await.expect("a read of some keys is answered")
}

/// An endless entry with this JSON text.
pub(crate) fn text(json: &str) -> Entry {
    Entry::new(Value::new(json).expect("the case names valid JSON"), Expiry::Never)
}

/// The same value under a new revision with this expiry.
pub(crate) fn anew(entry: &Entry, expiry: Expiry) -> Entry {
    Entry::new(entry.value.clone(), expiry)
}
