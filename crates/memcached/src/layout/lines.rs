//! An item as its lines: whose it is, its mark, and every line looked at only as far as somebody asks.

use stickystore_core::codec::headed::{self, Head, Headed};
use stickystore_core::{Damage, Mark, Subject, UnixMillis};

use super::escape::{escaped, is_escaped_id};
use super::{PREFIX, VERSION, decode_entry};

/// What follows an item's first line, and its mark.
#[derive(Debug)]
pub(crate) enum Body<'a> {
    /// The item is the user's.
    Own { mark: Option<Mark>, lines: Lines<'a> },
    /// Another user's, whose key has the same hash.
    Others,
    /// Not ours.
    Foreign,
}

/// The lines behind the mark, one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Lines<'a>(Option<&'a [u8]>);

/// One line, without its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    pub(crate) whole: &'a [u8],
    /// How long its first word is.
    word: usize,
}

/// The lines of an item that is UTF-8, which is looked at once and not line by line.
#[derive(Debug, Clone)]
pub(crate) struct TextLines<'a> {
    lines: Lines<'a>,
    /// What is left of them.
    text: &'a str,
}

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TextLine<'a> {
    pub(crate) word: &'a str,
    text: Option<&'a str>,
}

/// What is wrong with a line whose word is a key's.
const NO_ENTRY: Damage = Damage::new("does not begin as an entry of this layout");

/// Opens the item that stands under this user's key.
pub(crate) fn body_of<'a>(text: &'a [u8], subject: &Subject) -> Body<'a> {
    let mut lines = Lines(Some(text.strip_suffix(b"\n").unwrap_or(text)));
    let head = lines.next().map_or(&b""[..], |line| line.whole);
    if !is_head_of(head, subject) {
        return if is_head(head) { Body::Others } else { Body::Foreign };
    }
    let mut behind = lines.clone();
    let Some(line) = behind.next().filter(Line::is_mark) else { return Body::Own { mark: None, lines } };
    match line.text().and_then(headed::decode_mark) {
        Some(mark) => Body::Own { mark: Some(mark), lines: behind },
        // A mark that cannot be read may be one that lives.
        None => Body::Foreign,
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let text = self.0?;
        let (whole, rest) = match memchr::memchr(b'\n', text) {
            Some(end) => (text.get(..end)?, text.get(end + 1..)),
            None => (text, None),
        };
        self.0 = rest;
        let word = whole.iter().position(|byte| *byte == b' ').unwrap_or(whole.len());
        Some(Line { whole, word })
    }
}

impl<'a> Line<'a> {
    /// Whether it says that it is a mark.
    pub(crate) fn is_mark(&self) -> bool {
        self.whole.starts_with(b" ")
    }

    /// Its first word.
    pub(crate) fn word(&self) -> &'a [u8] {
        self.whole.get(..self.word).unwrap_or_default()
    }

    /// Its first word, if it is a key's that we would have written so.
    pub(crate) fn key_word(&self) -> Option<&'a str> {
        std::str::from_utf8(self.word()).ok().filter(|word| is_escaped_id(word))
    }

    /// What follows the first word and a space.
    pub(crate) fn text(&self) -> Option<&'a [u8]> {
        self.whole.get(self.word + 1..)
    }

    /// What follows the key, and its head; if it is no entry, how it is damaged.
    pub(crate) fn head(&self) -> Result<(&'a [u8], Head<'a>), Damage> {
        let head = self.text().and_then(|text| Some((text, Head::parse(text)?)));
        head.ok_or(NO_ENTRY)
    }

    /// What it is, as the only line of its key.
    pub(crate) fn decode(&self, now: UnixMillis) -> Headed {
        match self.head() {
            Ok((text, head)) => decode_entry(text, &head, now),
            Err(damage) => Headed::Damaged(damage),
        }
    }
}

impl<'a> Lines<'a> {
    /// How many there are.
    pub(crate) fn how_many(&self) -> usize {
        self.0.map_or(0, |text| memchr::memchr_iter(b'\n', text).count() + 1)
    }

    /// The same as text; nothing if it is none.
    pub(crate) fn as_text(&self) -> Option<TextLines<'a>> {
        let text = std::str::from_utf8(self.0.unwrap_or_default()).ok()?;
        Some(TextLines { lines: self.clone(), text })
    }
}

impl<'a> Iterator for TextLines<'a> {
    type Item = TextLine<'a>;

    fn next(&mut self) -> Option<TextLine<'a>> {
        let line = self.lines.next()?;
        let (whole, rest) = self.text.split_at_checked(line.whole.len())?;
        self.text = rest.get(1..).unwrap_or_default();
        Some(TextLine { word: whole.get(..line.word)?, text: whole.get(line.word + 1..) })
    }
}

impl TextLine<'_> {
    /// What it is, as the only line of its key.
    pub(crate) fn decode(&self, now: UnixMillis) -> Headed {
        match self.text.and_then(|text| Some((text, Head::parse_str(text)?))) {
            Some((text, head)) => decode_entry(text.as_bytes(), &head, now),
            None => Headed::Damaged(NO_ENTRY),
        }
    }
}

fn is_head_of(head: &[u8], subject: &Subject) -> bool {
    let ids = [subject.namespace.as_str(), subject.user.as_str()];
    words_of(head).is_some_and(|words| words == ids.map(escaped).each_ref().map(|id| id.as_bytes()))
}

/// Whether an item of anybody begins with this line.
fn is_head(head: &[u8]) -> bool {
    words_of(head)
        .is_some_and(|words| words.iter().all(|word| std::str::from_utf8(word).is_ok_and(is_escaped_id)))
}

/// Namespace and user, as they are written.
fn words_of(head: &[u8]) -> Option<[&[u8]; 2]> {
    let mut words = head.split(|byte| *byte == b' ');
    let (prefix, version) = (words.next()?, words.next()?);
    let ids = [words.next()?, words.next()?];
    let is_head = prefix == PREFIX.as_bytes() && version == VERSION.as_bytes() && words.next().is_none();
    is_head.then_some(ids)
}
