//! What stands under the keys of an item, in their order.

use std::borrow::Cow;
use std::collections::BTreeMap;

use stickystore_core::{Damage, Key};

use super::Slot;
use super::escape::{escaped, order, unescaped};
use super::lines::Line;

/// Slots under their keys' words: the keys as they are written. It is a list in order and not a map: that is how items are
/// written, and so reading one compares each word once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Slots<'a>(Vec<(Cow<'a, str>, Slot<'a>)>);

impl<'a> Slots<'a> {
    /// What these lines are, under the words of their keys.
    pub(super) fn of_lines(mut lines: Vec<(&'a str, Line<'a>)>) -> Self {
        if lines.is_sorted_by(|(a, _), (b, _)| order(a, b).is_lt()) {
            return Self(lines.into_iter().map(|(word, line)| (word.into(), slot(line))).collect());
        }
        lines.sort_by(|(a, _), (b, _)| order(a, b));
        let one_key = |lines: &[(&'a str, Line<'a>)]| {
            let (word, line) = lines.first()?;
            Some(((*word).into(), if lines.len() == 1 { slot(*line) } else { several(lines) }))
        };
        Self(lines.chunk_by(|(a, _), (b, _)| a == b).filter_map(one_key).collect())
    }

    /// What stands under the key with this word.
    pub(crate) fn get(&self, word: &str) -> Option<&Slot<'a>> {
        let place = self.0.binary_search_by(|(at, _)| order(at, word)).ok()?;
        self.0.get(place).map(|(_, slot)| slot)
    }

    /// All of them, under the words of their keys and in the order of the keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Slot<'a>)> {
        self.0.iter().map(|(word, slot)| (word.as_ref(), slot))
    }

    /// All keys, in order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Key> {
        let mut room = String::new();
        let mut key = move |word: &str| Key::new(unescaped(word, &mut room)?).ok();
        self.0.iter().filter_map(move |(word, _)| key(word))
    }

    /// Keeps those that pass.
    pub(crate) fn retain(&mut self, mut pass: impl FnMut(&Slot<'a>) -> bool) {
        self.0.retain(|(_, slot)| pass(slot));
    }

    /// The same with other slots under some keys, or none.
    pub(crate) fn with(self, changes: BTreeMap<Key, Option<Slot<'a>>>) -> Self {
        let mut slots = Vec::with_capacity(self.0.len() + changes.len());
        let mut old = self.0.into_iter().peekable();
        for (key, new) in changes {
            let word = escaped(key.as_str());
            while let Some(slot) = old.next_if(|(at, _)| order(at, &word).is_lt()) {
                slots.push(slot);
            }
            old.next_if(|(at, _)| *at == word);
            slots.extend(new.map(|slot| (Cow::Owned(word.into_owned()), slot)));
        }
        slots.extend(old);
        Self(slots)
    }
}

impl<'a> FromIterator<(Key, Slot<'a>)> for Slots<'a> {
    fn from_iter<I: IntoIterator<Item = (Key, Slot<'a>)>>(slots: I) -> Self {
        Self::default().with(slots.into_iter().map(|(key, slot)| (key, Some(slot))).collect())
    }
}

/// What a key's only line is.
fn slot(line: Line<'_>) -> Slot<'_> {
    match line.head() {
        Ok((text, head)) => Slot::Line { text: text.into(), expiry: head.expiry() },
        Err(damage) => Slot::Damaged { lines: vec![line.whole], damage },
    }
}

/// Several lines of one key: none is known to be the right one.
fn several<'a>(lines: &[(&'a str, Line<'a>)]) -> Slot<'a> {
    let lines = lines.iter().map(|(_, line)| line.whole).collect();
    Slot::Damaged { lines, damage: Damage::new("stands there more than once") }
}
