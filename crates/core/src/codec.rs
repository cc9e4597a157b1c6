//! One entry as JSON text, for stores that keep an entry as one text, for journals and for exports.
//!
//! Layout version 1:
//! `{"v":1,"revision":"AAECAwQFBgc","expiry":1700000000000,"was":[["AAECAwQFBgc",1690000000000]],"value":"blue"}`.
//! `expiry` and `was` are left out when there is none. Members that are not named here are kept and written
//! back. A layout that an old reader must not touch gets another `v`; to this reader it is damaged.

pub mod headed;

use std::fmt;

use crate::entry::{Entry, Unknown, ValueHash, Was};
use crate::json::{self, Members, ObjectWriter};
use crate::revision::{ID64_TEXT_LEN, Revision, decode64};
use crate::time::{Expiry, UnixMillis};
use crate::value::Value;

/// The layout version that [`encode`] writes.
pub const VERSION: u64 = 1;

/// What [`encode`] begins with, up to the revision's text.
const BEGINNING: &str = "{\"v\":1,\"revision\":\"";

/// The members that this version knows.
pub const MEMBERS: [&str; 5] = ["v", "revision", "expiry", "was", "value"];

/// Writes an entry as JSON text.
///
/// ```
/// use stickystore_core::{Entry, Expiry, Revision, Value, codec};
///
/// let entry = Entry::new(Value::new("1.50")?, Expiry::Never).with_revision(Revision::from_bytes([0; 8]));
/// assert_eq!(codec::encode(&entry), r#"{"v":1,"revision":"AAAAAAAAAAA","value":1.50}"#);
/// assert_eq!(codec::decode(&codec::encode(&entry)), Ok(entry));
/// # Ok::<(), stickystore_core::Error>(())
/// ```
pub fn encode(entry: &Entry) -> String {
    let mut object = ObjectWriter::new();
    object.number("v", VERSION);
    object.string("revision", &entry.revision.to_string());
    if let Expiry::At(at) = entry.expiry {
        object.number("expiry", at.get());
    }
    if !entry.was.is_empty() {
        object.raw("was", &encode_was(&entry.was));
    }
    object.raw("value", entry.value.as_str());
    for (name, value) in entry.unknown.iter() {
        object.raw(name, value.as_str());
    }
    object.finish()
}

/// Reads what [`encode`] wrote, or a newer version 1 wrote.
///
/// # Errors
/// What is wrong with the text; then it is damaged and nothing of it may be used.
pub fn decode(text: &str) -> Result<Entry, Damage> {
    decode_plain(text).map_or_else(|| decode_any(text), Ok)
}

/// The entry, if the text is to the byte as [`encode`] writes one that replaced nothing and has no members of a newer version.
///
/// Nothing says nothing: [`decode_any`] has to look.
fn decode_plain(text: &str) -> Option<Entry> {
    let (revision, rest) = text.strip_prefix(BEGINNING)?.split_at_checked(ID64_TEXT_LEN)?;
    let revision = Revision::from_bytes(decode64(revision)?);
    let rest = rest.strip_prefix('"')?;
    let (expiry, rest) = match rest.strip_prefix(",\"expiry\":") {
        Some(rest) => {
            let (millis, after) = headed::split_number(rest.as_bytes())?;
            let at = UnixMillis::new(millis).ok().filter(|at| at.get() > 0)?;
            (Expiry::At(at), rest.get(rest.len() - after.len()..)?)
        }
        None => (Expiry::Never, rest),
    };
    let value = rest.strip_prefix(",\"value\":")?.strip_suffix('}')?;
    Some(Entry::stored(Value::new(value).ok()?, expiry, revision))
}

/// Reads any text of the layout: members in any order, white space, escapes.
fn decode_any(text: &str) -> Result<Entry, Damage> {
    let members = Members::parse(text).map_err(|_| Damage("is not a JSON object"))?;
    match members.get("v").map(number) {
        Some(Some(VERSION)) => {}
        Some(Some(_)) => return Err(Damage("has a layout version that this program does not know")),
        Some(None) | None => return Err(Damage("has no layout version")),
    }
    let revision = members.get("revision").and_then(json::as_string);
    let revision = revision.and_then(|revision| Revision::parse(&revision).ok());
    let expiry = match members.get("expiry") {
        None => Some(Expiry::Never),
        Some(millis) => time(millis).map(Expiry::At),
    };
    let was = members.get("was").map_or(Some(Was::default()), decode_was);
    let value = members.get("value").ok_or(Damage("has no value"))?;
    let unknown = members
        .iter()
        .filter(|(name, _)| !MEMBERS.contains(name))
        .filter_map(|(name, text)| Some((name.into(), Value::new(text).ok()?)))
        .collect();
    Ok(Entry {
        value: Value::new(value).map_err(|_| Damage("has a value that is not JSON"))?,
        expiry: expiry.ok_or(Damage("has an expiry that is not a time"))?,
        revision: revision.ok_or(Damage("has no revision"))?,
        was: was.ok_or(Damage("has a history that is none"))?,
        unknown: Unknown::new(unknown).map_err(|_| Damage("has a member twice"))?,
    })
}

/// What is wrong with a stored entry, in words that follow "the stored entry".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage(&'static str);

impl Damage {
    /// For layouts of other shapes; the words follow "the stored entry".
    pub const fn new(what: &'static str) -> Self {
        Self(what)
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Damage {}

/// Writes a history as JSON text: `[["<hash>",<ms>],..]`, newest first.
pub fn encode_was(was: &Was) -> String {
    let items: Vec<_> = was.iter().map(|(hash, at)| format!("[\"{hash}\",{at}]")).collect();
    format!("[{}]", items.join(","))
}

/// Reads what [`encode_was`] wrote.
pub fn decode_was(text: &str) -> Option<Was> {
    let items: Vec<(String, u64)> = serde_json::from_str(text).ok()?;
    if items.len() > Was::MAX {
        return None;
    }
    let items: Option<Vec<_>> = items
        .into_iter()
        .map(|(hash, millis)| Some((ValueHash::parse(&hash)?, UnixMillis::new(millis).ok()?)))
        .collect();
    items.map(Was::new)
}

fn number(text: &str) -> Option<u64> {
    serde_json::from_str(text).ok()
}

/// A stored time; 0 means nothing that is written, so it is damage and not the year 1970.
fn time(text: &str) -> Option<UnixMillis> {
    number(text).filter(|&millis| millis > 0).and_then(|millis| UnixMillis::new(millis).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry() -> Entry {
        Entry::new(Value::new("{\"a\":1}").unwrap(), Expiry::At(UnixMillis::new(1_700_000_000_000).unwrap()))
            .with_revision(Revision::from_bytes([0, 1, 2, 3, 4, 5, 6, 7]))
            .with_was(Was::new(vec![(ValueHash::of("old"), UnixMillis::new(5).unwrap())]))
    }

    #[test]
    fn what_encode_writes_is_read_quickly() {
        for expiry in [Expiry::Never, Expiry::At(UnixMillis::MAX)] {
            let entry = Entry::new(Value::string("\u{e9} \"blue\""), expiry);
            assert_eq!(decode_plain(&encode(&entry)), Some(entry));
        }
    }

    #[test]
    fn the_layout_is_frozen() {
        let golden = include_str!("../golden/entry-v1.json").trim_end();
        assert_eq!(encode(&entry()), golden);
        assert_eq!(decode(golden).unwrap(), entry());
    }

    #[test]
    fn members_of_a_newer_version_survive_with_their_numbers() {
        let text =
            r#"{"v":1,"revision":"AAECAwQFBgc","value":18446744073709551616.10,"x":1e400,"y":{"z":[]}}"#;
        assert_eq!(encode(&decode(text).unwrap()), text);
    }

    #[test]
    fn white_space_and_order_do_not_matter() {
        let text = "{ \"value\" : \"blue\", \"v\" : 1,\n \"revision\" : \"AAECAwQFBgc\" }";
        assert_eq!(decode(text).unwrap().value.as_str(), "\"blue\"");
    }

    #[test]
    fn every_member_that_is_off_is_damage() {
        for text in [
            "",
            "null",
            r#"{"revision":"AAECAwQFBgc","value":1}"#,
            r#"{"v":2,"revision":"AAECAwQFBgc","value":1}"#,
            r#"{"v":"1","revision":"AAECAwQFBgc","value":1}"#,
            r#"{"v":1,"value":1}"#,
            r#"{"v":1,"revision":7,"value":1}"#,
            r#"{"v":1,"revision":"AAECAwQFBg","value":1}"#,
            r#"{"v":1,"revision":"AAECAwQFBgc"}"#,
            r#"{"v":1,"revision":"AAECAwQFBgc","expiry":0,"value":1}"#,
            r#"{"v":1,"revision":"AAECAwQFBgc","expiry":-1,"value":1}"#,
            r#"{"v":1,"revision":"AAECAwQFBgc","expiry":1.5,"value":1}"#,
            r#"{"v":1,"revision":"AAECAwQFBgc","expiry":null,"value":1}"#,
            r#"{"v":1,"revision":"AAECAwQFBgc","expiry":9007199254740992,"value":1}"#,
            r#"{"v":1,"revision":"AAECAwQFBgc","was":[["x",1]],"value":1}"#,
            r#"{"v":1,"revision":"AAECAwQFBgc","was":{},"value":1}"#,
        ] {
            assert!(decode(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_back(
            value in any::<String>(), revision in any::<[u8; 8]>(), expiry in proptest::option::of(1..=UnixMillis::MAX.get()),
            was in proptest::collection::vec((any::<String>(), 0..=UnixMillis::MAX.get()), 0..=Was::MAX),
        ) {
            let expiry = expiry.map_or(Expiry::Never, |at| Expiry::At(UnixMillis::new(at).unwrap()));
            let was = was.iter().map(|(text, at)| (ValueHash::of(text), UnixMillis::new(*at).unwrap())).collect();
            let entry = Entry::new(Value::string(&value), expiry)
                .with_revision(Revision::from_bytes(revision)).with_was(Was::new(was));
            prop_assert_eq!(decode(&encode(&entry)).unwrap(), entry);
        }

        #[test]
        fn rubbish_is_damage_and_never_a_panic(text in any::<String>()) {
            prop_assert!(decode(&text).is_err());
        }

        #[test]
        fn what_is_read_quickly_is_read_as_ever(
            parts in (
                prop::sample::select(vec!["{\"v\":1,", "{\"v\":2,", "{ \"v\":1,", "{\"v\":01,", "{"]),
                prop::sample::select(vec![
                    "\"revision\":\"AAECAwQFBgc\"", "\"revision\":\"AAECAwQFBgd\"", "\"revision\":\"\\u0041AECAwQFBgc\"", "",
                ]),
                prop::sample::select(vec![
                    "", ",\"expiry\":1700000000000", ",\"expiry\":0", ",\"expiry\":07", ",\"expiry\": 7", ",\"expiry\":7.0",
                    ",\"expiry\":9007199254740992", ",\"expiry\":99999999999999999999", ",\"expiry\":7,\"expiry\":8",
                ]),
                prop::sample::select(vec!["", ",\"was\":[[\"AAECAwQFBgc\",5]]", ",\"was\":[]", ",\"was\":1"]),
                prop::sample::select(vec![
                    ",\"value\":\"blue\"", ",\"value\": {\"a\" : 1.50} ", ",\"value\":nul", ",\"value\":", ",\"value\":1,\"value\":2",
                    ",\"value\":1,\"v\":2", ",\"value\":{\"a\":[{}]},\"x\":1e400", "",
                ]),
                prop::sample::select(vec!["}", "}", "}", "} ", "}}", ""]),
            ),
            at in 0..300_usize, char in any::<char>(),
        ) {
            let (v, revision, expiry, was, value, end) = parts;
            let text = [v, revision, expiry, was, value, end].concat();
            // And with a character that is another, where there are so many.
            let other: String = text.chars().enumerate().map(|(i, old)| if i == at { char } else { old }).collect();
            for text in [text, other] {
                prop_assert_eq!(decode(&text), decode_any(&text), "{}", text);
            }
        }
    }
}
