//! Users, keys, entries and calls, the same for every backend.

use std::sync::Arc;
use std::time::Duration;

use stickystore_core::{
    Call, Change, Entry, EpochCheck, Expiry, Key, Namespace, Revision, Subject, SystemClock, Ttl, UserId,
    Value, Write,
};

/// A value as an SDK keeps it.
pub(crate) const VALUE: &str = "{\"variation_id\":\"18446744073709551616\"}";

/// How long entries live.
pub(crate) const LIFE: Duration = Duration::from_secs(90 * 86_400);

/// How long a call may take: far longer than it does, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn within() -> Call {
    Call::within(&SystemClock, PATIENCE)
}

pub(crate) fn users(count: usize) -> Arc<Vec<Subject>> {
    Arc::new((0..count).map(|_| subject()).collect())
}

/// Somebody new.
pub(crate) fn subject() -> Subject {
    let namespace = Namespace::new("figures").expect("it is short");
    Subject::new(namespace, UserId::new(Revision::random().to_string()).expect("it is short"))
}

/// The user of this call: all of them in turn, in an order that no cache knows.
pub(crate) fn nth(users: &[Subject], i: usize) -> &Subject {
    let place = i.wrapping_mul(2_654_435_761) % users.len();
    users.get(place).expect("a remainder is in the list")
}

pub(crate) fn key(place: usize) -> Key {
    Key::new(format!("experiment {place}")).expect("it is short")
}

/// With a life of [`LIFE`] from now.
pub(crate) fn entry(call: Call) -> Entry {
    let life = Ttl::new(LIFE).expect("it is not zero");
    let expiry = Expiry::after(call.now, life).expect("it ends in time");
    Entry::new(Value::new(VALUE).expect("it is JSON"), expiry)
}

/// Puts so many entries.
pub(crate) fn filling(subject: &Subject, entries: usize) -> Write {
    let changes = (0..entries).map(|place| Change::Put(key(place), entry(within()))).collect();
    Write::new(subject.clone(), EpochCheck::Ignore, changes).expect("keys differ")
}
