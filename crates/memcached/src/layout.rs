//! What stands in Memcached: keys and items of layout version 1. No I/O.
//!
//! A user is one item, an entry one line of it, in core's [`headed`] text. What an item is changed into is in `item`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use stickystore_core::codec::headed;
use stickystore_core::{Damage, Entry, Expiry, Key, MAX_ID_BYTES, Mark, Namespace, Subject, UserId};

/// What all keys begin with, and the first word of every item.
const PREFIX: &str = "stickystore";

/// The longest key that the server takes.
pub(crate) const MAX_KEY_BYTES: usize = 250;

/// The most that stands in an item beside one entry's value: three ids, each byte of them escaped, and what joins them.
pub(crate) const LONGEST_HEAD: usize = 3 * 3 * MAX_ID_BYTES + 1024;

/// The layout version, as the second word of every item.
const VERSION: &str = "1";

/// What stands for a line feed inside a line. JSON text has line feeds only as white space, and this nowhere.
const LINE_FEED: u8 = 0x0b;

/// The key of a user's item: `stickystore:<namespace>:<user>`, or `stickystore#<SHA-256>` where that is too long.
///
/// Ids are percent-encoded where they have to be, so that the key is injective and no command in itself. What is hashed is
/// the key that is too long; the item says whose it is.
pub(crate) fn storage_key(subject: &Subject) -> String {
    let mut key = format!("{PREFIX}:");
    push_escaped(&mut key, subject.namespace.as_str());
    key.push(':');
    push_escaped(&mut key, subject.user.as_str());
    if key.len() <= MAX_KEY_BYTES {
        return key;
    }
    let mut hashed = format!("{PREFIX}#");
    for byte in Sha256::digest(&key) {
        hashed.push_str(&format!("{byte:02x}"));
    }
    hashed
}

/// What an item is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// The user's.
    Item(Item<'a>),
    /// Another user's, whose key has the same hash.
    Others,
    /// Not ours.
    Foreign,
}

/// A user's item, line by line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Item<'a> {
    pub(crate) mark: Option<Mark>,
    /// What has a key.
    pub(crate) slots: BTreeMap<Key, Slot<'a>>,
    /// Lines without a key that can be read, kept as they are, under names that no slot has.
    pub(crate) strays: BTreeMap<Key, Vec<&'a [u8]>>,
}

/// What stands under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Slot<'a> {
    /// A line whose head is an entry's; whether the rest is one, [`headed::decode`] says.
    Line { text: Cow<'a, [u8]>, expiry: Expiry },
    /// Whole lines that are no entry, kept as they are.
    Damaged { lines: Vec<&'a [u8]>, damage: Damage },
}

/// Reads the item that stands under this user's key.
pub(crate) fn decode<'a>(text: &'a [u8], subject: &Subject) -> Found<'a> {
    let mut lines = text.strip_suffix(b"\n").unwrap_or(text).split(|byte| *byte == b'\n').peekable();
    match lines.next().and_then(owner_of) {
        Some(owner) if owner == *subject => {}
        Some(_) => return Found::Others,
        None => return Found::Foreign,
    }
    let mut item = Item::default();
    if let Some(line) = lines.next_if(|line| line.starts_with(b" ")) {
        let mark = line.get(1..).and_then(headed::decode_mark);
        // A mark that cannot be read may be one that lives.
        let Some(mark) = mark else { return Found::Foreign };
        item.mark = Some(mark);
    }
    let mut named = BTreeMap::<Key, Vec<&[u8]>>::new();
    let mut nameless = Vec::new();
    for line in lines {
        // A second mark: neither is known to be the right one.
        if line.starts_with(b" ") {
            return Found::Foreign;
        }
        match key_of(line) {
            Some(key) => named.entry(key).or_default().push(line),
            None => nameless.push(line),
        }
    }
    item.slots = named.into_iter().map(|(key, lines)| (key, slot(lines))).collect();
    for line in nameless {
        let name = item.stray_name(line);
        item.strays.entry(name).or_default().push(line);
    }
    Found::Item(item)
}

/// Writes a user's item.
pub(crate) fn encode(item: &Item<'_>, subject: &Subject) -> Vec<u8> {
    let (namespace, user) = (escaped(subject.namespace.as_str()), escaped(subject.user.as_str()));
    let mut text = format!("{PREFIX} {VERSION} {namespace} {user}\n").into_bytes();
    if let Some(mark) = item.mark {
        text.extend_from_slice(format!(" {}\n", headed::encode_mark(mark)).as_bytes());
    }
    for (key, slot) in &item.slots {
        match slot {
            Slot::Line { text: line, .. } => {
                text.extend_from_slice(escaped(key.as_str()).as_bytes());
                text.push(b' ');
                text.extend_from_slice(line);
                text.push(b'\n');
            }
            Slot::Damaged { lines, .. } => push_lines(&mut text, lines),
        }
    }
    item.strays.values().for_each(|lines| push_lines(&mut text, lines));
    text
}

/// How many bytes [`encode`] gives for what stands under this key.
pub(crate) fn slot_bytes(key: &Key, slot: &Slot<'_>) -> usize {
    match slot {
        Slot::Line { text, .. } => escaped(key.as_str()).len() + " \n".len() + text.len(),
        Slot::Damaged { lines, .. } => lines.iter().map(|line| line.len() + 1).sum(),
    }
}

/// The line of an entry, without its key.
pub(crate) fn encode_entry(entry: &Entry) -> Slot<'static> {
    let text = swapped(headed::encode(entry).into_bytes(), b'\n', LINE_FEED);
    Slot::Line { text: text.into(), expiry: entry.expiry }
}

/// The text of an entry, from its line.
pub(crate) fn entry_text(line: &[u8]) -> Cow<'_, [u8]> {
    if line.contains(&LINE_FEED) { swapped(line.to_vec(), LINE_FEED, b'\n').into() } else { line.into() }
}

impl Item<'_> {
    /// The name of a line without a key that can be read: its first word as well as it can be said, and never a slot's.
    fn stray_name(&self, line: &[u8]) -> Key {
        let mut name = String::from_utf8_lossy(first_word(line)).into_owned();
        loop {
            match Key::new(name.as_str()) {
                Ok(key) if !self.slots.contains_key(&key) => return key,
                Ok(_) if name.len() < MAX_ID_BYTES => name.push('?'),
                _ => name = "?".to_owned(),
            }
        }
    }
}

/// What these lines, all of one key, are. Two are both damaged: neither is known to be the right one.
fn slot(lines: Vec<&[u8]>) -> Slot<'_> {
    let damage = match lines.as_slice() {
        [line] => match text_of(line).and_then(|text| Some((text, headed::expiry(text)?))) {
            Some((text, expiry)) => return Slot::Line { text: text.into(), expiry },
            None => "does not begin as an entry of this layout",
        },
        _ => "stands there more than once",
    };
    Slot::Damaged { lines, damage: Damage::new(damage) }
}

/// Whose item begins with this line.
fn owner_of(head: &[u8]) -> Option<Subject> {
    let mut words = std::str::from_utf8(head).ok()?.split(' ');
    let (prefix, version) = (words.next()?, words.next()?);
    let (namespace, user) = (unescaped(words.next()?)?, unescaped(words.next()?)?);
    let is_head = prefix == PREFIX && version == VERSION && words.next().is_none();
    is_head.then_some(Subject::new(Namespace::new(namespace).ok()?, UserId::new(user).ok()?))
}

/// The key of a line, if it is one that we would have written.
fn key_of(line: &[u8]) -> Option<Key> {
    let word = std::str::from_utf8(first_word(line)).ok()?;
    Key::new(unescaped(word)?).ok()
}

fn text_of(line: &[u8]) -> Option<&[u8]> {
    line.get(first_word(line).len() + 1..)
}

fn first_word(line: &[u8]) -> &[u8] {
    line.split(|byte| *byte == b' ').next().unwrap_or_default()
}

/// Escapes what separates (space, line feed, `:`), what escapes (`%`), and what terminals and logs choke on.
fn push_escaped(out: &mut String, id: &str) {
    for char in id.chars() {
        if char <= ' ' || matches!(char, '\x7f' | ':' | '%') {
            out.push_str(&format!("%{:02X}", u32::from(char)));
        } else {
            out.push(char);
        }
    }
}

fn escaped(id: &str) -> String {
    let mut out = String::with_capacity(id.len());
    push_escaped(&mut out, id);
    out
}

/// What was escaped to this; nothing if we would have escaped it otherwise.
fn unescaped(word: &str) -> Option<String> {
    let id = percent_encoding::percent_decode_str(word).decode_utf8().ok()?;
    (escaped(&id) == word).then(|| id.into_owned())
}

fn swapped(mut text: Vec<u8>, this: u8, by: u8) -> Vec<u8> {
    text.iter_mut().filter(|byte| **byte == this).for_each(|byte| *byte = by);
    text
}

fn push_lines(out: &mut Vec<u8>, lines: &[&[u8]]) {
    for line in lines {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests;
