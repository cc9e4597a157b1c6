//! Reading entries out of an item without taking all of it apart.
//!
//! An item that is as we write it is gone through once: of one key, every other line is passed over. What is not so (lines out of
//! order, two of one key, lines without one) is left to the general way, [`profile`], and so are all its answers.

use std::borrow::Cow;

use stickystore_core::codec::headed::Headed;
use stickystore_core::decide::not_ours;
use stickystore_core::{Damaged, Entry, Key, KeySet, Keys, Profile, Result, Subject, UnixMillis};

use super::{live, profile};
use crate::layout::{self, Body, Line, Lines};

/// The entries that are asked for, from the text of this user's item.
///
/// # Errors
/// `Corrupt` if the item is not this user's.
pub(crate) fn read(text: &[u8], subject: &Subject, keys: &Keys, now: UnixMillis) -> Result<Profile> {
    let Body::Own { mark, lines } = layout::body_of(text, subject) else { return Err(not_ours()) };
    let taken = match keys {
        Keys::Only(keys) => some(&lines, keys, now),
        _ => all(&lines, now),
    };
    match taken {
        Some(Taken { entries, damaged }) => Ok(Profile::new(live(mark, now), entries, damaged, now)),
        None => profile(&layout::decode(text, subject), keys, now),
    }
}

/// What was found.
#[derive(Default)]
struct Taken {
    entries: Vec<(Key, Entry)>,
    damaged: Vec<Damaged>,
}

impl Taken {
    fn take(&mut self, key: Key, stands: Headed) {
        match stands {
            Headed::Live(entry) => self.entries.push((key, entry)),
            Headed::Damaged(damage) => self.damaged.push(Damaged::new(key, damage)),
            Headed::Ended => {}
        }
    }
}

/// All of them; nothing unless all is text, every line has a key, and they are in order.
fn all(lines: &Lines<'_>, now: UnixMillis) -> Option<Taken> {
    let mut taken = Taken { entries: Vec::with_capacity(lines.how_many()), damaged: Vec::new() };
    let (mut before, mut room) = ("", String::new());
    for line in lines.as_text()? {
        // A second mark has no key either.
        let key = layout::unescaped(line.word, &mut room)?;
        if layout::order(before, line.word).is_ge() {
            return None;
        }
        taken.take(Key::new(key).ok()?, line.decode(now));
        before = line.word;
    }
    Some(taken)
}

/// Those under these keys; nothing if there is a second mark, if one of them stands there twice, or if one is not there and may
/// be the name of a line without a key.
fn some(lines: &Lines<'_>, keys: &KeySet, now: UnixMillis) -> Option<Taken> {
    let want = |key| Wanted { key, word: layout::escaped(key.as_str()), line: None };
    let mut wanted: Vec<_> = keys.iter().map(want).collect();
    wanted.sort_unstable_by(|a, b| a.word.cmp(&b.word));
    for line in lines.clone() {
        if line.is_mark() {
            return None;
        }
        let place = wanted.binary_search_by(|wanted| wanted.word.as_bytes().cmp(line.word()));
        let Some(wanted) = place.ok().and_then(|place| wanted.get_mut(place)) else { continue };
        if wanted.line.replace(line).is_some() {
            return None;
        }
    }
    if wanted.iter().any(|wanted| wanted.line.is_none())
        && lines.clone().any(|line| line.key_word().is_none())
    {
        return None;
    }
    wanted.sort_unstable_by_key(|wanted| wanted.key);
    let mut taken = Taken::default();
    for Wanted { key, line, .. } in wanted {
        line.iter().for_each(|line| taken.take(key.clone(), line.decode(now)));
    }
    Some(taken)
}

/// A key, how its line begins, and its line.
struct Wanted<'k, 'a> {
    key: &'k Key,
    word: Cow<'k, str>,
    line: Option<Line<'a>>,
}
