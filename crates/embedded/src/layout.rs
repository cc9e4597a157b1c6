//! Ids and entries as rows of the file, and back; no I/O.
//!
//! Layout version 1: the table `entries` has a row for each entry, keyed (namespace, user, key), three byte strings in
//! that order, and its value is the entry as the core's [`codec`] writes it. The erase mark of a user is the row under
//! the empty key, which is nobody's: keys are never empty. The table `stickystore` says the version.

use redb::TableDefinition;
use stickystore_core::json::{Members, ObjectWriter, as_string};
use stickystore_core::{Damage, Entry, Epoch, Key, Mark, Namespace, Subject, UnixMillis, UserId, codec};

/// The row key as redb sees it.
pub(crate) type RowKey = (&'static [u8], &'static [u8], &'static [u8]);

/// A borrowed row key: namespace, user, key.
pub(crate) type RowRef<'a> = (&'a [u8], &'a [u8], &'a [u8]);

/// Every entry and every erase mark.
pub(crate) const ENTRIES: TableDefinition<'_, RowKey, &[u8]> = TableDefinition::new("entries");

/// What the file says about itself.
pub(crate) const ABOUT: TableDefinition<'_, &str, &str> = TableDefinition::new("stickystore");

/// The row of [`ABOUT`] that says the layout's version.
pub(crate) const VERSION_KEY: &str = "layout";

/// The layout version that this program writes, and the only one that it reads.
pub(crate) const VERSION: &str = "1";

/// What every redb file begins with.
pub(crate) const MAGIC: [u8; 9] = *b"redb\x1A\x0A\xA9\x0D\x0A";

/// The key of an erase mark's row.
const MARK_KEY: &[u8] = b"";

/// The version of the erase mark's text.
const MARK_VERSION: u64 = 1;

/// An owned row key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    namespace: Vec<u8>,
    user: Vec<u8>,
    key: Vec<u8>,
}

impl Row {
    /// The row of an entry.
    pub(crate) fn entry(subject: &Subject, key: &Key) -> Self {
        Self::of(entry_row(subject, key))
    }

    /// The row of a user's erase mark.
    pub(crate) fn mark(subject: &Subject) -> Self {
        Self::of(mark_row(subject))
    }

    /// A copy of a borrowed row key.
    pub(crate) fn of((namespace, user, key): RowRef<'_>) -> Self {
        Self { namespace: namespace.to_vec(), user: user.to_vec(), key: key.to_vec() }
    }

    /// The first row that the next user of this namespace could have.
    pub(crate) fn next_user(&self) -> Self {
        Self { namespace: self.namespace.clone(), user: next(&self.user), key: Vec::new() }
    }

    /// Borrowed, as redb wants it.
    pub(crate) fn as_ref(&self) -> RowRef<'_> {
        (&self.namespace, &self.user, &self.key)
    }
}

/// The row of an entry.
pub(crate) fn entry_row<'a>(subject: &'a Subject, key: &'a Key) -> RowRef<'a> {
    (subject.namespace.as_str().as_bytes(), subject.user.as_str().as_bytes(), key.as_str().as_bytes())
}

/// The row of a user's erase mark: the first of the user's rows.
pub(crate) fn mark_row(subject: &Subject) -> RowRef<'_> {
    (subject.namespace.as_str().as_bytes(), subject.user.as_str().as_bytes(), MARK_KEY)
}

/// Where a user's rows end: the first row that the next user could have.
pub(crate) fn user_end(subject: &Subject) -> Row {
    let (namespace, user, _) = mark_row(subject);
    Row { namespace: namespace.to_vec(), user: next(user), key: Vec::new() }
}

/// Where a namespace's rows begin and end.
pub(crate) fn namespace_rows(namespace: &Namespace) -> (Row, Row) {
    let namespace = namespace.as_str().as_bytes();
    let row = |namespace: Vec<u8>| Row { namespace, user: Vec::new(), key: Vec::new() };
    (row(namespace.to_vec()), row(next(namespace)))
}

/// What stands in a row, by its key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RowName {
    /// A user's erase mark.
    Mark,
    /// A user's entry.
    Entry(Key),
    /// Nothing that this store could have written.
    Foreign,
}

/// What a row's key says about what stands there.
pub(crate) fn row_name(key: &[u8]) -> RowName {
    if key == MARK_KEY {
        return RowName::Mark;
    }
    match text(key).and_then(|key| Key::new(key).ok()) {
        Some(key) => RowName::Entry(key),
        None => RowName::Foreign,
    }
}

/// The user whose row it is, unless nobody's of ours.
pub(crate) fn row_user(user: &[u8]) -> Option<UserId> {
    text(user).and_then(|user| UserId::new(user).ok())
}

/// An entry's value in the file.
pub(crate) fn encode_entry(entry: &Entry) -> Vec<u8> {
    codec::encode(entry).into_bytes()
}

/// Reads what [`encode_entry`] wrote.
pub(crate) fn decode_entry(bytes: &[u8]) -> Result<Entry, Damage> {
    codec::decode(text(bytes).ok_or(Damage::new("is not UTF-8"))?)
}

/// An erase mark's value in the file: `{"v":1,"epoch":"AAECAwQFBgc","until":1700000000000}`.
pub(crate) fn encode_mark(mark: Mark) -> Vec<u8> {
    let mut object = ObjectWriter::new();
    object.number("v", MARK_VERSION);
    object.string("epoch", &mark.epoch.to_string());
    object.number("until", mark.until.get());
    object.finish().into_bytes()
}

/// Reads what [`encode_mark`] wrote; nothing if it is no mark of this version.
pub(crate) fn decode_mark(bytes: &[u8]) -> Option<Mark> {
    let members = Members::parse(text(bytes)?).ok()?;
    if members.get("v")?.parse() != Ok(MARK_VERSION) {
        return None;
    }
    let epoch = as_string(members.get("epoch")?)?;
    let until = members.get("until")?.parse().ok()?;
    Some(Mark { epoch: Epoch::parse(&epoch).ok()?, until: UnixMillis::new(until).ok()? })
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// The byte string right after this one: nothing sorts between them.
fn next(bytes: &[u8]) -> Vec<u8> {
    [bytes, &[0]].concat()
}
