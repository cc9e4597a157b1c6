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
    Some(Mark::new(Epoch::parse(&epoch).ok()?, UnixMillis::new(until).ok()?))
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// The byte string right after this one: nothing sorts between them.
fn next(bytes: &[u8]) -> Vec<u8> {
    [bytes, &[0]].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn subject(namespace: &str, user: &str) -> Subject {
        Subject::new(Namespace::new(namespace).unwrap(), UserId::new(user).unwrap())
    }

    fn is_in(row: RowRef<'_>, start: RowRef<'_>, end: RowRef<'_>) -> bool {
        start <= row && row < end
    }

    #[test]
    fn a_mark_is_written_as_documented_and_read_back() {
        let until = UnixMillis::new(1_700_000_000_000).unwrap();
        let mark = Mark::new(Epoch::from_bytes([0, 1, 2, 3, 4, 5, 6, 7]), until);
        let text = r#"{"v":1,"epoch":"AAECAwQFBgc","until":1700000000000}"#;
        assert_eq!(std::str::from_utf8(&encode_mark(mark)).unwrap(), text);
        assert_eq!(decode_mark(text.as_bytes()), Some(mark));
        let newer = r#"{"until":1700000000000, "v":1, "by":"x", "epoch":"AAECAwQFBgc"}"#;
        assert_eq!(decode_mark(newer.as_bytes()), Some(mark), "members of a newer version do not matter");
    }

    #[test]
    fn what_is_no_mark_is_none() {
        for text in [
            "",
            "null",
            r#"{"epoch":"AAECAwQFBgc","until":1}"#,
            r#"{"v":2,"epoch":"AAECAwQFBgc","until":1}"#,
            r#"{"v":1,"epoch":"AAECAwQFBg","until":1}"#,
            r#"{"v":1,"epoch":"AAECAwQFBgc"}"#,
            r#"{"v":1,"epoch":"AAECAwQFBgc","until":9007199254740992}"#,
        ] {
            assert_eq!(decode_mark(text.as_bytes()), None, "{text}");
        }
        assert_eq!(decode_mark(b"\xff"), None);
    }

    proptest! {
        #[test]
        fn rows_are_as_different_as_their_ids(a in any::<[String; 3]>(), b in any::<[String; 3]>()) {
            let row = |[namespace, user, key]: &[String; 3]| {
                let key = Key::new(format!("k{key}")).unwrap();
                Row::entry(&subject(&format!("n{namespace}"), &format!("u{user}")), &key)
            };
            prop_assert_eq!(row(&a) == row(&b), a == b);
        }

        #[test]
        fn a_users_range_holds_its_rows_and_no_others(
            mine in "\\PC{1,3}|[\0-\u{2}]{1,3}", others in "\\PC{1,3}|[\0-\u{2}]{1,3}", key in "\\PC{1,3}|[\0-\u{2}]{1,3}",
        ) {
            let (mine, others, key) = (subject("n", &mine), subject("n", &others), Key::new(key).unwrap());
            let end = user_end(&mine);
            for of in [&mine, &others] {
                for row in [mark_row(of), entry_row(of, &key)] {
                    prop_assert_eq!(is_in(row, mark_row(&mine), end.as_ref()), *of == mine);
                }
            }
            let (start, end) = namespace_rows(&mine.namespace);
            prop_assert!(is_in(entry_row(&mine, &key), start.as_ref(), end.as_ref()));
            prop_assert!(!is_in(entry_row(&subject("n\0", "u"), &key), start.as_ref(), end.as_ref()));
        }

        #[test]
        fn bytes_that_nobody_wrote_are_damage_and_never_a_panic(bytes in any::<Vec<u8>>()) {
            prop_assert!(decode_entry(&bytes).is_err());
            prop_assert_eq!(decode_mark(&bytes), None);
        }
    }
}
