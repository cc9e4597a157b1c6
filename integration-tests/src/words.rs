//! Short words of the tests: calls, users, keys and entries.

use std::time::Duration;

use stickystore_core::{
    AsyncStore, AsyncStoreExt as _, Call, Entry, EpochCheck, Expiry, Key, Namespace, Outcome, Result,
    Revision, Subject, SystemClock, UserId, Value,
};

/// A call of so many milliseconds.
pub fn within(millis: u64) -> Call {
    Call::within(&SystemClock, Duration::from_millis(millis))
}

/// A call that has all the time that a healthy server can need, also on a busy machine.
pub fn call() -> Call {
    within(60_000)
}

/// This user in a namespace that no other test has.
pub fn user(id: &str) -> Subject {
    Subject::new(Namespace::new(Revision::random().to_string()).unwrap(), UserId::new(id).unwrap())
}

/// A key.
pub fn key(key: &str) -> Key {
    Key::new(key).unwrap()
}

/// An entry that never expires, with a string for its value.
pub fn entry(value: &str) -> Entry {
    Entry::new(Value::string(value), Expiry::Never)
}

/// Inserts an entry whose value is the name of its key.
///
/// # Errors
/// Those of the store.
pub async fn insert(store: &impl AsyncStore, call: Call, subject: &Subject, name: &str) -> Result<Outcome> {
    store.insert(call, subject, EpochCheck::Is(None), key(name), entry(name)).await
}
