//! An entry as text with a fixed head, for stores whose server, or whose reader, looks only at the beginning.
//!
//! Layout version 1: `1 <revision> <expiry, 0 = never> <value>`, and before the value `+<bytes> <object> ` where there is more
//! to keep. No JSON text begins with `+`. An erase mark is `1 <epoch> <end>`.

use crate::call::Mark;
use crate::codec::{Damage, decode_was, encode_was};
use crate::entry::{Entry, Unknown};
use crate::json::{Members, ObjectWriter};
use crate::revision::{Epoch, ID64_TEXT_LEN, Revision, decode64};
use crate::time::{Expiry, UnixMillis};
use crate::value::Value;

/// The layout version, and the space after it.
const VERSION: &str = "1 ";

/// The first character of an extra part; no JSON text begins with it.
const EXTRA: u8 = b'+';

/// What a text is at a certain time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Headed {
    /// An entry that lives.
    Live(Entry),
    /// An entry that has ended; the rest of it is not looked at.
    Ended,
    /// Neither.
    Damaged(Damage),
}

/// What stands before an entry's value: `1 <revision> <expiry> `, and `+<bytes> <object> ` where there is more to keep.
pub fn encode_head(entry: &Entry) -> String {
    let expiry = match entry.expiry {
        Expiry::Never => 0,
        Expiry::At(at) => at.get(),
    };
    let mut head = format!("{VERSION}{} {expiry} ", entry.revision);
    if !entry.was.is_empty() || !entry.unknown.is_empty() {
        let mut extra = ObjectWriter::new();
        if !entry.was.is_empty() {
            extra.raw("was", &encode_was(&entry.was));
        }
        for (name, value) in entry.unknown.iter() {
            extra.raw(name, value.as_str());
        }
        let extra = extra.finish();
        head.push_str(&format!("+{} {extra} ", extra.len()));
    }
    head
}

/// Writes an entry.
///
/// ```
/// use stickystore_core::codec::headed::{self, Headed};
/// use stickystore_core::{Entry, Expiry, Revision, UnixMillis, Value};
///
/// let entry = Entry::new(Value::new("1.50")?, Expiry::Never).with_revision(Revision::from_bytes([0; 8]));
/// assert_eq!(headed::encode(&entry), "1 AAAAAAAAAAA 0 1.50");
/// assert_eq!(headed::decode(b"1 AAAAAAAAAAA 0 1.50", UnixMillis::EPOCH), Headed::Live(entry));
/// # Ok::<(), stickystore_core::Error>(())
/// ```
pub fn encode(entry: &Entry) -> String {
    encode_head(entry) + entry.value.as_str()
}

/// When the entry with this text ends, by its head alone; nothing if that is none.
pub fn expiry(text: &[u8]) -> Option<Expiry> {
    Head::parse(text).map(|head| head.expiry)
}

/// What this text is.
pub fn decode(text: &[u8], now: UnixMillis) -> Headed {
    match Head::parse(text) {
        Some(head) => head.decode(now),
        None if lacks_value(text) => Headed::Damaged(Damage::new("has no value")),
        None => Headed::Damaged(Damage::new("does not begin as an entry of this layout")),
    }
}

/// The head of an entry that has one, and what follows it, at which nobody has looked.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    revision: Revision,
    expiry: Expiry,
    body: Body<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Body<'a> {
    Bytes(&'a [u8]),
    Text(&'a str),
}

impl<'a> Head<'a> {
    /// The head of this text; nothing if that is none.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let (name, millis, rest) = split_head(text)?;
        let body = rest.strip_prefix(b" ")?;
        let revision = Revision::from_bytes(decode64(name)?);
        Some(Self { revision, expiry: expiry_of(millis)?, body: Body::Bytes(body) })
    }

    /// The same, of a text that is known to be UTF-8.
    pub fn parse_str(text: &'a str) -> Option<Self> {
        let head = Self::parse(text.as_bytes())?;
        let body = text.get(text.len() - head.body().len()..)?;
        Some(Self { body: Body::Text(body), ..head })
    }

    /// When the entry ends.
    pub fn expiry(&self) -> Expiry {
        self.expiry
    }

    /// What follows.
    pub fn body(&self) -> &'a [u8] {
        match self.body {
            Body::Bytes(bytes) => bytes,
            Body::Text(text) => text.as_bytes(),
        }
    }

    /// What the text is whose head this is.
    pub fn decode(&self, now: UnixMillis) -> Headed {
        if !self.expiry.is_live(now) {
            return Headed::Ended;
        }
        match decode_body(self.body) {
            Ok((value, extra)) => {
                let mut entry = Entry::stored(value, self.expiry, self.revision);
                if let Some(extra) = extra {
                    entry = match with_extra(entry, extra) {
                        Some(entry) => entry,
                        None => return Headed::Damaged(Damage::new("has members that are none")),
                    };
                }
                Headed::Live(entry)
            }
            Err(damage) => Headed::Damaged(damage),
        }
    }
}

/// Writes a mark: `1 <epoch> <end>`.
pub fn encode_mark(mark: Mark) -> String {
    format!("{VERSION}{} {}", mark.epoch, mark.until)
}

/// Reads a mark; nothing if it is none.
pub fn decode_mark(text: &[u8]) -> Option<Mark> {
    let (epoch, until, rest) = split_head(text)?;
    let until = UnixMillis::new(until).ok().filter(|until| until.get() > 0)?;
    rest.is_empty().then_some(Mark::new(Epoch::from_bytes(decode64(epoch)?), until))
}

/// The name, the time and what follows.
fn split_head(text: &[u8]) -> Option<(&[u8], u64, &[u8])> {
    let text = text.strip_prefix(VERSION.as_bytes())?;
    let (name, text) = text.split_at_checked(ID64_TEXT_LEN)?;
    let (time, rest) = split_number(text.strip_prefix(b" ")?)?;
    Some((name, time, rest))
}

/// Whether there is nothing behind what could be a head.
fn lacks_value(text: &[u8]) -> bool {
    let is_so =
        |(name, _, rest): (&[u8], u64, &[u8])| std::str::from_utf8(name).is_ok() && !rest.starts_with(b" ");
    split_head(text).is_some_and(is_so)
}

/// A whole number as we write it, and what follows.
pub(super) fn split_number(text: &[u8]) -> Option<(u64, &[u8])> {
    let (mut number, mut rest) = (0_u64, text);
    while let Some((digit @ b'0'..=b'9', after)) = rest.split_first() {
        number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        rest = after;
    }
    let digits = text.len() - rest.len();
    (digits == 1 || digits > 1 && !text.starts_with(b"0")).then_some((number, rest))
}

fn expiry_of(millis: u64) -> Option<Expiry> {
    if millis == 0 { Some(Expiry::Never) } else { UnixMillis::new(millis).ok().map(Expiry::At) }
}

fn decode_body(body: Body<'_>) -> Result<(Value, Option<&str>), Damage> {
    let body = match body {
        Body::Bytes(bytes) => std::str::from_utf8(bytes).map_err(|_| Damage::new("is not UTF-8"))?,
        Body::Text(text) => text,
    };
    let (extra, value) = match body.as_bytes().first() {
        Some(&EXTRA) => split_extra(body).ok_or(Damage::new("has members that do not end"))?,
        _ => (None, body),
    };
    let value = Value::new(value).map_err(|_| Damage::new("has a value that is not JSON"))?;
    Ok((value, extra))
}

fn split_extra(body: &str) -> Option<(Option<&str>, &str)> {
    let (length, rest) = body.get(1..)?.split_once(' ')?;
    let (extra, rest) = rest.split_at_checked(length.parse().ok()?)?;
    Some((Some(extra), rest.strip_prefix(' ')?))
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
