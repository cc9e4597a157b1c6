//! Users, keys, entries and calls, the same for every backend.

use std::ops::Range;
use std::time::Duration;

use stickystore_core::{
    Call, Change, Entry, EpochCheck, Expiry, Key, Namespace, Revision, Subject, SystemClock, Ttl, UserId,
    Value, Write,
};

/// Whose users they are.
pub(crate) const NAMESPACE: &str = "figures";

/// A variation, and the value as an SDK keeps it.
pub(crate) const VARIATION: &str = "18446744073709551616";
pub(crate) const VALUE: &str = "{\"variation_id\":\"18446744073709551616\"}";

/// How long entries live.
pub(crate) const LIFE: Duration = Duration::from_secs(90 * 86_400);

/// How long a call may take: far longer than it does, also on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn within() -> Call {
    Call::within(&SystemClock, PATIENCE)
}

/// Somebody new.
pub(crate) fn subject() -> Subject {
    let namespace = Namespace::new(NAMESPACE).expect("it is short");
    Subject::new(namespace, UserId::new(Revision::random().to_string()).expect("it is short"))
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

/// Puts the first so many entries.
pub(crate) fn filling(subject: &Subject, entries: usize) -> Write {
    putting(subject, 0..entries)
}

/// Puts these entries.
pub(crate) fn putting(subject: &Subject, places: Range<usize>) -> Write {
    write(subject, EpochCheck::Ignore, places, Change::Put)
}

/// Inserts these entries, unless the user was erased.
#[cfg(feature = "mongodb")]
pub(crate) fn saving(subject: &Subject, places: Range<usize>) -> Write {
    write(subject, EpochCheck::Is(None), places, Change::Insert)
}

fn write(
    subject: &Subject,
    check: EpochCheck,
    places: Range<usize>,
    change: impl Fn(Key, Entry) -> Change,
) -> Write {
    let call = within();
    let changes = places.map(|place| change(key(place), entry(call))).collect();
    Write::new(subject.clone(), check, changes).expect("keys differ")
}
