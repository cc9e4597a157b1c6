//! What stands in Memcached: keys and items of layout version 1. No I/O.
//!
//! A user is one item, an entry one line of it, in core's [`headed`] text. What an item is changed into is in `item`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use stickystore_core::codec::headed::{self, Head, Headed};
use stickystore_core::{Damage, Entry, Expiry, Key, MAX_ID_BYTES, Mark, Subject, UnixMillis};

mod escape;
mod lines;
mod slots;

pub(crate) use escape::{escaped, order, unescaped};
pub(crate) use lines::{Body, Line, Lines, body_of};
pub(crate) use slots::Slots;

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
    let (namespace, user) = (escaped(subject.namespace.as_str()), escaped(subject.user.as_str()));
    let key = [PREFIX, ":", &namespace, ":", &user].concat();
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
    pub(crate) slots: Slots<'a>,
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
    let (mark, lines) = match body_of(text, subject) {
        Body::Own { mark, lines } => (mark, lines),
        Body::Others => return Found::Others,
        Body::Foreign => return Found::Foreign,
    };
    let (mut named, mut nameless) = (Vec::with_capacity(lines.how_many()), Vec::new());
    for line in lines {
        // A second mark: neither is known to be the right one.
        if line.is_mark() {
            return Found::Foreign;
        }
        match line.key_word() {
            Some(word) => named.push((word, line)),
            None => nameless.push(line),
        }
    }
    let mut item = Item { mark, slots: Slots::of_lines(named), strays: BTreeMap::new() };
    for line in nameless {
        let name = item.stray_name(line.word());
        item.strays.entry(name).or_default().push(line.whole);
    }
    Found::Item(item)
}

/// Writes a user's item.
pub(crate) fn encode(item: &Item<'_>, subject: &Subject) -> Vec<u8> {
    let mut text = Vec::with_capacity(encoded_len(item, subject));
    text.extend_from_slice(head_of(item, subject).as_bytes());
    for (word, slot) in item.slots.iter() {
        match slot {
            Slot::Line { text: line, .. } => {
                for part in [word.as_bytes(), b" ", line, b"\n"] {
                    text.extend_from_slice(part);
                }
            }
            Slot::Damaged { lines, .. } => push_lines(&mut text, lines),
        }
    }
    item.strays.values().for_each(|lines| push_lines(&mut text, lines));
    text
}

/// How many bytes [`encode`] gives.
pub(crate) fn encoded_len(item: &Item<'_>, subject: &Subject) -> usize {
    let slots: usize = item.slots.iter().map(|(word, slot)| slot_bytes(word, slot)).sum();
    head_of(item, subject).len() + slots + item.strays.values().map(|lines| lines_bytes(lines)).sum::<usize>()
}

/// How many bytes [`encode`] gives for what stands under the key with this word.
pub(crate) fn slot_bytes(word: &str, slot: &Slot<'_>) -> usize {
    match slot {
        Slot::Line { text, .. } => word.len() + " \n".len() + text.len(),
        Slot::Damaged { lines, .. } => lines_bytes(lines),
    }
}

/// How many bytes these lines have, with their ends.
pub(crate) fn lines_bytes(lines: &[&[u8]]) -> usize {
    lines.iter().map(|line| line.len() + "\n".len()).sum()
}

/// The line of an item's owner, and that of its mark.
fn head_of(item: &Item<'_>, subject: &Subject) -> String {
    let (namespace, user) = (escaped(subject.namespace.as_str()), escaped(subject.user.as_str()));
    let mut head = format!("{PREFIX} {VERSION} {namespace} {user}\n");
    if let Some(mark) = item.mark {
        head.push_str(&format!(" {}\n", headed::encode_mark(mark)));
    }
    head
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

/// What this text of a line is now, whose head this is.
pub(crate) fn decode_entry(text: &[u8], head: &Head<'_>, now: UnixMillis) -> Headed {
    match head.decode(now) {
        // What stands for a line feed is nothing that an entry could have.
        Headed::Damaged(_) if head.body().contains(&LINE_FEED) => headed::decode(&entry_text(text), now),
        decoded => decoded,
    }
}

impl Item<'_> {
    /// The name of a line without a key that can be read: its first word as well as it can be said, and never a slot's.
    fn stray_name(&self, word: &[u8]) -> Key {
        let mut name = String::from_utf8_lossy(word).into_owned();
        loop {
            match Key::new(name.as_str()) {
                Ok(key) if self.slots.get(&escaped(key.as_str())).is_none() => return key,
                Ok(_) if name.len() < MAX_ID_BYTES => name.push('?'),
                _ => name = "?".to_owned(),
            }
        }
    }
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
