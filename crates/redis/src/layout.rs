//! What stands in Redis: keys, field names and field texts of layout version 1. No I/O.
//!
//! A user is one hash, an entry one field of it. The scripts read the same heads; a property test on the real server
//! holds the two together.

use stickystore_core::codec::{decode_was, encode_was};
use stickystore_core::json::{Members, ObjectWriter};
use stickystore_core::{
    Damage, Entry, Epoch, Expiry, Mark, Namespace, Revision, Subject, UnixMillis, Unknown, UserId, Value,
};

/// What all keys begin with: the `~stickystore:*` of an access list.
pub(crate) const PREFIX: &str = "stickystore:";

/// The field of the erase mark; keys are never empty.
pub(crate) const MARK_FIELD: &str = "";

/// The layout version, and the space after it.
const VERSION: &str = "1 ";

/// The first character of an extra part; no JSON text begins with it.
const EXTRA: u8 = b'+';

/// What a field's text is at a certain time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field {
    /// An entry that lives.
    Live(Entry),
    /// An entry that has ended; the rest of it is not looked at.
    Ended,
    /// Neither.
    Damaged(Damage),
}

/// The key of a user's hash: `stickystore:<namespace>:<user>`.
///
/// Both are percent-encoded where they have to be, so that the key is injective, has no hash tag of its own and means
/// nothing to a pattern. It is at most three times as long as the ids, far below what Redis takes.
pub(crate) fn storage_key(subject: &Subject) -> String {
    let mut key = namespace_prefix(&subject.namespace);
    push_escaped(&mut key, subject.user.as_str());
    key
}

/// The pattern that exactly the keys of this namespace match.
pub(crate) fn pattern(namespace: &Namespace) -> String {
    namespace_prefix(namespace) + "*"
}

/// The user whose key in this namespace it is; nothing if it is nobody's.
pub(crate) fn user_of(key: &[u8], namespace: &Namespace) -> Option<UserId> {
    let escaped = std::str::from_utf8(key).ok()?.strip_prefix(&namespace_prefix(namespace))?;
    let user = percent_encoding::percent_decode_str(escaped).decode_utf8().ok()?;
    let user = UserId::new(user.as_ref()).ok()?;
    // Only what we would have written ourselves.
    let mut again = String::new();
    push_escaped(&mut again, user.as_str());
    (again == escaped).then_some(user)
}

/// What stands before an entry's value: `1 <revision> <expiry> `, and `+<bytes> <object> ` where there is more to keep.
pub(crate) fn encode_head(entry: &Entry) -> String {
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

/// What a field's text is.
pub(crate) fn decode(text: &[u8], now: UnixMillis) -> Field {
    let Some((revision, expiry, rest)) = split_head(text) else {
        return Field::Damaged(Damage::new("does not begin as an entry of this layout"));
    };
    let Some((&b' ', body)) = rest.split_first() else {
        return Field::Damaged(Damage::new("has no value"));
    };
    let (Ok(revision), Ok(expiry)) = (Revision::parse(revision), expiry_of(expiry)) else {
        return Field::Damaged(Damage::new("does not begin as an entry of this layout"));
    };
    if !expiry.is_live(now) {
        return Field::Ended;
    }
    match decode_body(body) {
        Ok((value, extra)) => {
            let mut entry = Entry::stored(value, expiry, revision);
            if let Some(extra) = extra {
                entry = match with_extra(entry, extra) {
                    Some(entry) => entry,
                    None => return Field::Damaged(Damage::new("has members that are none")),
                };
            }
            Field::Live(entry)
        }
        Err(damage) => Field::Damaged(damage),
    }
}

/// The text of a mark: `1 <epoch> <end>`. The scripts write it; this is for what reads along.
#[cfg(test)]
pub(crate) fn encode_mark(mark: Mark) -> String {
    format!("{VERSION}{} {}", mark.epoch, mark.until)
}

/// Reads a mark; nothing if it is none.
pub(crate) fn decode_mark(text: &[u8]) -> Option<Mark> {
    let (epoch, until, rest) = split_head(text)?;
    let until = UnixMillis::new(until).ok().filter(|until| until.get() > 0)?;
    rest.is_empty().then_some(Mark::new(Epoch::parse(epoch).ok()?, until))
}

fn namespace_prefix(namespace: &Namespace) -> String {
    let mut prefix = String::from(PREFIX);
    push_escaped(&mut prefix, namespace.as_str());
    prefix.push(':');
    prefix
}

/// Escapes what separates (`:`), what escapes (`%`), hash tags, patterns, and what terminals and logs choke on.
fn push_escaped(out: &mut String, id: &str) {
    for char in id.chars() {
        if char <= ' ' || matches!(char, '\x7f' | ':' | '%' | '{' | '}' | '*' | '?' | '[' | ']' | '\\' | '"')
        {
            out.push_str(&format!("%{:02X}", u32::from(char)));
        } else {
            out.push(char);
        }
    }
}

/// The name, the time and what follows.
fn split_head(text: &[u8]) -> Option<(&str, u64, &[u8])> {
    let text = text.strip_prefix(VERSION.as_bytes())?;
    let (name, text) = text.split_at_checked(stickystore_core::ID64_TEXT_LEN)?;
    let text = text.strip_prefix(b" ")?;
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(digits)?;
    if digits.len() > 1 && digits.starts_with(b"0") {
        return None;
    }
    let time = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((std::str::from_utf8(name).ok()?, time, rest))
}

fn expiry_of(millis: u64) -> stickystore_core::Result<Expiry> {
    if millis == 0 { Ok(Expiry::Never) } else { UnixMillis::new(millis).map(Expiry::At) }
}

fn decode_body(body: &[u8]) -> Result<(Value, Option<&str>), Damage> {
    let body = std::str::from_utf8(body).map_err(|_| Damage::new("is not UTF-8"))?;
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
