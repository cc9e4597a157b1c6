//! What stands in MongoDB: ids, member names and documents of layout version 1. No I/O.
//!
//! A user is one document, an entry one member of its `entries`. The pipelines judge the same members on the server; a
//! property test on the real server holds the two together.

use std::borrow::Cow;

use mongodb::bson::{Bson, Document, RawBsonRef, RawDocument, doc};
use stickystore_core::codec::{decode_was, encode_was};
use stickystore_core::decide::not_ours;
use stickystore_core::json::{Members, ObjectWriter};
use stickystore_core::{
    Damage, Entry, Epoch, Expiry, Key, Mark, Namespace, Result, Revision, Subject, UnixMillis, Unknown,
    UserId, Value,
};

/// The layout version, in the member `v` of every document.
pub(crate) const VERSION: i32 = 1;

/// The expiry of an entry that does not end: above every time that can be said.
pub(crate) const NEVER: i64 = i64::MAX;

/// What a user's document says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct User<'a> {
    pub(crate) mark: Option<Mark>,
    /// Each with its member's name, in the order of the names, each name once.
    pub(crate) slots: Vec<(&'a str, Slot)>,
}

/// What an entry's member is at a certain time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Slot {
    /// An entry that lives.
    Live(Entry),
    /// An entry that has ended; the rest of it is not looked at.
    Ended,
    /// Neither. The revision is there if only what the pipelines do not look at is wrong.
    Damaged(Damage, Option<Revision>),
}

/// How much of a document an answer shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// All of it.
    Whole,
    /// What a [`projection`] leaves.
    Part,
}

/// The `_id` of a user's document: `<namespace>:<user>`.
///
/// Both are percent-encoded where they have to be, so that the id is injective, and readable.
pub(crate) fn id(subject: &Subject) -> String {
    let mut id = namespace_prefix(&subject.namespace);
    push_escaped(&mut id, subject.user.as_str());
    id
}

/// What the ids of this namespace begin with, and what comes after all of them.
pub(crate) fn id_range(namespace: &Namespace) -> (String, String) {
    let start = namespace_prefix(namespace);
    let mut end = start.trim_end_matches(SEPARATOR).to_owned();
    end.push(AFTER_SEPARATOR);
    (start, end)
}

/// Whether a scan of this namespace can have come to this id, whoever wrote it.
pub(crate) fn is_between(id: &str, namespace: &Namespace) -> bool {
    let (first, end) = id_range(namespace);
    first.as_str() < id && id < end.as_str()
}

/// The user whose id in this namespace it is; nothing if it is nobody's.
pub(crate) fn user_of(id: &str, namespace: &Namespace) -> Option<UserId> {
    let escaped = id.strip_prefix(&namespace_prefix(namespace))?;
    let user = percent_encoding::percent_decode_str(escaped).decode_utf8().ok()?;
    let user = UserId::new(user.as_ref()).ok()?;
    // Only what we would have written ourselves.
    let mut again = String::new();
    push_escaped(&mut again, user.as_str());
    (again == escaped).then_some(user)
}

/// The name of an entry's member: the key, with `%25` for `%` and `%00` for the NUL that ends a name in BSON.
pub(crate) fn field(key: &Key) -> Cow<'_, str> {
    let key = key.as_str();
    if key.contains(['%', '\0']) { key.replace('%', "%25").replace('\0', "%00").into() } else { key.into() }
}

/// The key that a member's name stands for; nothing if it is no key's.
pub(crate) fn key_of(field: &str) -> Option<Key> {
    if !field.contains('%') {
        return Key::new(field).ok();
    }
    let key = Key::new(field.replace("%00", "\0").replace("%25", "%")).ok()?;
    (self::field(&key) == field).then_some(key)
}

/// Whether a path can name this member: dots separate members, and a dollar at the beginning means something else.
pub(crate) fn is_plain(field: &str) -> bool {
    !field.contains('.') && !field.starts_with('$')
}

/// What a question about these entries alone has to be told of a document; nothing if it has to be told everything.
pub(crate) fn projection<'a>(fields: impl IntoIterator<Item = &'a str>) -> Option<Document> {
    let mut projection = doc! { "v": 1, "mark": 1, "bare": { "$eq": ["$$ROOT", { "_id": "$_id" }] } };
    // An object without members is an object too.
    projection.insert("entries.%", 1);
    for field in fields {
        if !is_plain(field) {
            return None;
        }
        projection.insert(format!("entries.{field}"), 1);
    }
    Some(projection)
}

/// An entry's member.
pub(crate) fn encode(entry: &Entry) -> Document {
    let expiry = match entry.expiry {
        Expiry::Never => NEVER,
        Expiry::At(at) => signed(at.get()),
    };
    let mut member =
        doc! { "revision": entry.revision.to_string(), "expiry": expiry, "value": entry.value.as_str() };
    if !entry.was.is_empty() || !entry.unknown.is_empty() {
        let mut extra = ObjectWriter::new();
        if !entry.was.is_empty() {
            extra.raw("was", &encode_was(&entry.was));
        }
        for (name, value) in entry.unknown.iter() {
            extra.raw(name, value.as_str());
        }
        member.insert("extra", extra.finish());
    }
    member
}

/// A mark's member, which pipelines write; this is for what reads along.
#[cfg(test)]
pub(crate) fn encode_mark(mark: Mark) -> Document {
    doc! { "epoch": mark.epoch.to_string(), "until": signed(mark.until.get()) }
}

/// Times are below 2^53.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(NEVER)
}

/// Reads a document. One that is not there, and one that has nothing but its id, is a user without entries: so a server
/// begins a document.
///
/// # Errors
/// [`not_ours`] if it is no document of this layout.
pub(crate) fn decode(document: Option<&RawDocument>, shown: Shown, now: UnixMillis) -> Result<User<'_>> {
    let Some(document) = document else { return Ok(User::default()) };
    let [version, mark, entries, bare] = members(document, ["v", "mark", "entries", "bare"]);
    let is_bare = match shown {
        Shown::Part => matches!(bare, Ok(Some(RawBsonRef::Boolean(true)))),
        Shown::Whole => document.iter().all(|member| member.is_ok_and(|(name, _)| as_text(name) == "_id")),
    };
    if is_bare {
        return Ok(User::default());
    }
    user(version, mark, entries, now).ok_or_else(not_ours)
}

fn user<'a>(version: Member<'a>, mark: Member<'a>, entries: Member<'a>, now: UnixMillis) -> Option<User<'a>> {
    let Ok(Some(RawBsonRef::Int32(VERSION))) = version else { return None };
    let mark = match mark.ok()? {
        None => None,
        Some(mark) => Some(decode_mark(mark)?),
    };
    let Ok(Some(RawBsonRef::Document(entries))) = entries else { return None };
    let mut slots = Vec::new();
    for member in entries.iter_elements() {
        let member = member.ok()?;
        // What is not text where text should be is an error of its own, of this entry alone.
        let slot = match member.value() {
            Ok(value) => decode_slot(value, now),
            Err(_) => damaged("is not whole", None),
        };
        slots.push((as_text(member.key()), slot));
    }
    if !slots.is_sorted_by(|(one, _), (next, _)| one < next) {
        slots.sort_by_key(|(name, _)| *name);
        slots.dedup_by(|(again, _), (name, slot)| again == name && is_doubled(slot));
    }
    Some(User { mark, slots })
}

/// Pipelines see the first one of a name.
fn is_doubled(slot: &mut Slot) -> bool {
    let revision = match slot {
        Slot::Live(entry) => Some(entry.revision),
        Slot::Damaged(_, revision) => *revision,
        Slot::Ended => None,
    };
    *slot = damaged("stands there twice", revision);
    true
}

/// The `_id` of a document.
pub(crate) fn id_of(document: &RawDocument) -> Option<&str> {
    let [id] = members(document, ["_id"]);
    text(id)
}

fn decode_mark(mark: RawBsonRef<'_>) -> Option<Mark> {
    let RawBsonRef::Document(mark) = mark else { return None };
    let [epoch, until] = members(mark, ["epoch", "until"]);
    let (Ok(Some(RawBsonRef::String(epoch))), Ok(Some(RawBsonRef::Int64(until)))) = (epoch, until) else {
        return None;
    };
    Some(Mark::new(Epoch::parse(epoch).ok()?, time(until)?))
}

fn decode_slot(member: RawBsonRef<'_>, now: UnixMillis) -> Slot {
    let RawBsonRef::Document(member) = member else { return damaged("is no object", None) };
    let [expiry, revision, value, extra] = members(member, ["expiry", "revision", "value", "extra"]);
    let expiry = match expiry {
        Ok(Some(RawBsonRef::Int64(NEVER))) => Expiry::Never,
        Ok(Some(RawBsonRef::Int64(at))) => match time(at) {
            Some(at) => Expiry::At(at),
            None => return damaged("has an expiry that is no time", None),
        },
        _ => return damaged("has no expiry, or not as a 64-bit integer", None),
    };
    if !expiry.is_live(now) {
        return Slot::Ended;
    }
    let Some(revision) = text(revision).and_then(|text| Revision::parse(text).ok()) else {
        return damaged("has no revision", None);
    };
    let Some(value) = text(value) else { return damaged("has no value", Some(revision)) };
    let Some(value) = Value::new(value).ok().filter(|kept| kept.as_str() == value) else {
        return damaged("has a value that is not JSON", Some(revision));
    };
    let entry = Entry::stored(value, expiry, revision);
    match extra {
        Ok(None) => Slot::Live(entry),
        Ok(Some(RawBsonRef::String(extra))) => with_extra(entry, extra)
            .map_or_else(|| damaged("has members that are none", Some(revision)), Slot::Live),
        _ => damaged("has members that are none", Some(revision)),
    }
}

fn damaged(what: &'static str, revision: Option<Revision>) -> Slot {
    Slot::Damaged(Damage::new(what), revision)
}

/// The name of a member is text in both versions of BSON that the driver can be built with, by different types.
fn as_text<T: AsRef<str> + ?Sized>(name: &T) -> &str {
    name.as_ref()
}

/// A member of a document, if it is there.
type Member<'a> = std::result::Result<Option<RawBsonRef<'a>>, NotWhole>;

/// A member that is not whole, or that stands behind one at which the document breaks off.
#[derive(Debug, Clone, Copy)]
struct NotWhole;

/// The first member of each of these names, in one go through the document.
fn members<'a, const N: usize>(document: &'a RawDocument, names: [&str; N]) -> [Member<'a>; N] {
    let mut members = [Ok(None); N];
    for element in document.iter_elements() {
        let Ok(element) = element else {
            for member in members.iter_mut().filter(|member| matches!(member, Ok(None))) {
                *member = Err(NotWhole);
            }
            break;
        };
        let name = as_text(element.key());
        let mut wanted = members.iter_mut().zip(names);
        if let Some((member, _)) =
            wanted.find(|(member, wanted)| *wanted == name && matches!(member, Ok(None)))
        {
            *member = element.value().map(Some).map_err(|_| NotWhole);
        }
    }
    members
}

/// The server compares symbols with strings as if they were the same, and so do we.
fn text(member: Member<'_>) -> Option<&str> {
    match member {
        Ok(Some(RawBsonRef::String(text) | RawBsonRef::Symbol(text))) => Some(text),
        _ => None,
    }
}

fn time(millis: i64) -> Option<UnixMillis> {
    let millis = u64::try_from(millis).ok().filter(|millis| *millis > 0)?;
    UnixMillis::new(millis).ok()
}

fn with_extra(entry: Entry, extra: &str) -> Option<Entry> {
    let members = Members::parse(extra).ok()?;
    let was = members.get("was").map_or(Some(entry.was.clone()), decode_was)?;
    let unknown = members.iter().filter(|(name, _)| *name != "was");
    let unknown = unknown.filter_map(|(name, text)| Some((name.into(), Value::new(text).ok()?))).collect();
    Some(entry.with_was(was).with_unknown(Unknown::new(unknown).ok()?))
}

/// Between namespace and user, and the character after it.
const SEPARATOR: char = ':';
const AFTER_SEPARATOR: char = ';';

fn namespace_prefix(namespace: &Namespace) -> String {
    let mut prefix = String::new();
    push_escaped(&mut prefix, namespace.as_str());
    prefix.push(SEPARATOR);
    prefix
}

/// Escapes what separates, what escapes, and what terminals and logs choke on.
fn push_escaped(out: &mut String, id: &str) {
    let is_escaped = |char| char <= ' ' || matches!(char, '\x7f' | SEPARATOR | '%' | '"' | '\\');
    let mut rest = id;
    while let Some(plain) = rest.find(is_escaped) {
        let (before, from) = rest.split_at(plain);
        out.push_str(before);
        let mut chars = from.chars();
        if let Some(char) = chars.next() {
            out.push_str(&format!("%{:02X}", u32::from(char)));
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
}

/// A number as the pipelines compare it.
pub(crate) fn millis(at: UnixMillis) -> Bson {
    Bson::Int64(signed(at.get()))
}

#[cfg(test)]
mod tests;
