//! Entries whose parts all say the same number, so that one made of two writes gives itself away.

use std::time::Duration;

use stickystore_core::{Entry, Expiry, Revision, UnixMillis, Value, ValueHash, Was};

/// Long enough that a store which writes in pieces writes several.
const DIGITS: usize = 40;

/// The entry of this number; it ends more than a hundred hours after `start`.
pub(crate) fn stamped(start: UnixMillis, number: u64) -> Entry {
    let later = |millis| start.saturating_add(Duration::from_millis(millis));
    let text = format!("{number:0DIGITS$}");
    let value = Value::new(format!(r#"{{"first":"{text}","last":"{text}"}}"#)).expect("it is JSON");
    Entry::new(value, Expiry::At(later(360_000_000 + number)))
        .with_revision(Revision::from_bytes(number.to_be_bytes()))
        .with_was(Was::new(vec![(ValueHash::of(&text), later(number))]))
}

/// The number of an entry; panics if its parts do not agree.
pub(crate) fn number(start: UnixMillis, entry: &Entry) -> u64 {
    let number = u64::from_be_bytes(entry.revision.to_bytes());
    let whole = stamped(start, number);
    assert_eq!(entry.value.as_str(), whole.value.as_str(), "the value belongs to the revision");
    assert_eq!(*entry, whole, "expiry and history belong to the revision");
    number
}
