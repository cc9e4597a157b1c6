//! What stands in Cassandra: the table of layout version 1, and entries and marks as its rows. No I/O.
//!
//! A user is a partition, an entry a row of it, the erase mark its static columns. Nothing but `extra` is ever null in a
//! row that we wrote: no comparison but `=` and `!=` is true of null.

use std::time::Duration;

use scylla::DeserializeRow;
use stickystore_core::codec::{decode_was, encode_was};
use stickystore_core::json::{Members, ObjectWriter};
use stickystore_core::{Damage, Entry, Epoch, Expiry, Key, Mark, Revision, UnixMillis, Unknown, Value};

/// What the comment of our table begins with; the version follows.
pub(crate) const COMMENT: &str = "stickystore layout ";

/// The version of this layout.
pub(crate) const VERSION: &str = "1";

/// The columns: name, type, and what they are to the table.
pub(crate) const COLUMNS: [(&str, &str, &str); 9] = [
    ("namespace", "text", "partition_key"),
    ("user", "text", "partition_key"),
    ("key", "text", "clustering"),
    ("value", "text", "regular"),
    ("revision", "text", "regular"),
    ("expiry", "bigint", "regular"),
    ("extra", "text", "regular"),
    ("epoch", "text", "static"),
    ("epoch_until", "bigint", "static"),
];

/// The expiry of what does not end: it is after any `now`.
pub(crate) const NEVER: i64 = i64::MAX;

/// The last second at which a cell may end: servers of version 4 and before refuse later ones.
const LAST_SECOND: u64 = 2_147_483_646;

/// How far before that an end is not sent any more, so that a server whose clock is ahead does not refuse it.
const LAST_SECOND_MARGIN: u64 = 86_400;

/// The longest time to live that servers take: 20 years.
const LONGEST_TTL: u64 = 20 * 365 * 86_400;

/// A row as it is read: the columns in the order in which the statements name them.
#[derive(Debug, Clone, Default, PartialEq, Eq, DeserializeRow)]
#[scylla(flavor = "enforce_order", skip_name_checks)]
pub(crate) struct Row<'a> {
    /// Null in the one row of a user who has a mark and no entries.
    pub(crate) key: Option<&'a str>,
    pub(crate) value: Option<&'a str>,
    pub(crate) revision: Option<&'a str>,
    pub(crate) expiry: Option<i64>,
    pub(crate) extra: Option<&'a str>,
    pub(crate) epoch: Option<&'a str>,
    pub(crate) epoch_until: Option<i64>,
}

/// What a row is at a certain time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Slot {
    /// An entry that lives.
    Live(Entry),
    /// An entry that has ended; the rest of it is not looked at.
    Ended,
    /// Neither.
    Damaged(Damage),
    /// Nothing: no column is set that an entry has.
    Absent,
}

/// What the static columns of a user are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Stance {
    /// No mark, live or ended.
    #[default]
    Free,
    /// A mark.
    Marked(Mark),
    /// Something that is none: the user as a whole is not ours. Its text, for the condition under which it goes.
    Foreign(String),
}

impl Stance {
    /// What the columns are.
    pub(crate) fn of(epoch: Option<&str>, until: Option<i64>) -> Self {
        let Some(text) = epoch else { return Self::Free };
        let until = until.and_then(|until| u64::try_from(until).ok()).filter(|until| *until > 0);
        let until = until.and_then(|until| UnixMillis::new(until).ok());
        match (Epoch::parse(text), until) {
            (Ok(epoch), Some(until)) => Self::Marked(Mark::new(epoch, until)),
            _ => Self::Foreign(text.to_owned()),
        }
    }

    /// The mark, live or not.
    pub(crate) fn mark(&self) -> Option<Mark> {
        match self {
            Self::Marked(mark) => Some(*mark),
            Self::Free | Self::Foreign(_) => None,
        }
    }

    /// What the column `epoch` has.
    pub(crate) fn epoch(&self) -> Option<String> {
        match self {
            Self::Free => None,
            Self::Marked(mark) => Some(mark.epoch.to_string()),
            Self::Foreign(text) => Some(text.clone()),
        }
    }
}

/// What a row is, from its columns.
pub(crate) fn decode(row: &Row<'_>, now: UnixMillis) -> Slot {
    if row.value.is_none() && row.revision.is_none() && row.expiry.is_none() {
        return Slot::Absent;
    }
    let (Some(revision), Some(expiry)) = (row.revision, row.expiry) else {
        return Slot::Damaged(Damage::new("lacks a column"));
    };
    let (Ok(revision), Some(expiry)) = (Revision::parse(revision), expiry_of(expiry)) else {
        return Slot::Damaged(Damage::new("has a revision or an expiry that is none"));
    };
    if !expiry.is_live(now) {
        return Slot::Ended;
    }
    let Some(value) = row.value else { return Slot::Damaged(Damage::new("has no value")) };
    let Ok(value) = Value::new(value) else {
        return Slot::Damaged(Damage::new("has a value that is not JSON"));
    };
    let entry = Entry::stored(value, expiry, revision);
    match row.extra.filter(|extra| !extra.is_empty()) {
        None => Slot::Live(entry),
        Some(extra) => match with_extra(entry, extra) {
            Some(entry) => Slot::Live(entry),
            None => Slot::Damaged(Damage::new("has members that are none")),
        },
    }
}

/// The key of a row, and whether it is one: what nobody could have written is told apart as well as it can be.
pub(crate) fn key_of(text: &str) -> stickystore_core::Result<(Key, bool)> {
    match Key::new(text) {
        Ok(key) => Ok((key, true)),
        Err(_) => Ok((Key::new("?")?, false)),
    }
}

/// The column `expiry` of an entry.
pub(crate) fn expiry(expiry: Expiry) -> i64 {
    match expiry {
        Expiry::Never => NEVER,
        Expiry::At(at) => millis(at),
    }
}

/// A time as a bigint; times are below 2^53.
pub(crate) fn millis(at: UnixMillis) -> i64 {
    i64::try_from(at.get()).unwrap_or(NEVER)
}

/// The column `extra` of an entry: a JSON object, or nothing.
pub(crate) fn extra(entry: &Entry) -> String {
    if entry.was.is_empty() && entry.unknown.is_empty() {
        return String::new();
    }
    let mut extra = ObjectWriter::new();
    if !entry.was.is_empty() {
        extra.raw("was", &encode_was(&entry.was));
    }
    for (name, value) in entry.unknown.iter() {
        extra.raw(name, value.as_str());
    }
    extra.finish()
}

/// The time to live, in seconds, of what ends then: the server's own expiry only sweeps, so that it comes after the end,
/// the grace and a second, since a cell lives up to a second less than its time. 0 is for ever: for what does not end, and
/// for what ends after the last second that servers know; that is never swept rather than ever cut short.
pub(crate) fn ttl(expiry: Expiry, now: UnixMillis, grace: Duration) -> i32 {
    let Expiry::At(at) = expiry else { return 0 };
    let seconds = at.since(now).saturating_add(grace).as_millis().div_ceil(1_000).saturating_add(1);
    let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
    let ends = (now.get() / 1_000).saturating_add(seconds);
    if seconds > LONGEST_TTL || ends > LAST_SECOND - LAST_SECOND_MARGIN {
        return 0;
    }
    i32::try_from(seconds).unwrap_or(0)
}

fn expiry_of(expiry: i64) -> Option<Expiry> {
    if expiry == NEVER {
        return Some(Expiry::Never);
    }
    let millis = u64::try_from(expiry).ok().filter(|millis| *millis > 0)?;
    UnixMillis::new(millis).ok().map(Expiry::At)
}

fn with_extra(entry: Entry, extra: &str) -> Option<Entry> {
    let members = Members::parse(extra).ok()?;
    let was = members.get("was").map_or(Some(entry.was.clone()), decode_was)?;
    let unknown = members.iter().filter(|(name, _)| *name != "was");
    let unknown = unknown.filter_map(|(name, text)| Some((name.into(), Value::new(text).ok()?))).collect();
    Some(entry.with_was(was).with_unknown(Unknown::new(unknown).ok()?))
}

#[cfg(test)]
mod tests;
