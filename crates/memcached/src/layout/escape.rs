//! Ids as they stand in keys and lines: without what separates there, or means something.

use std::borrow::Cow;
use std::cmp::Ordering;

use stickystore_core::MAX_ID_BYTES;

/// What stands before the two digits of a byte.
const ESCAPE: u8 = b'%';

/// How long it is with them.
const ESCAPED_LEN: usize = 3;

/// The base of the digits.
const BASE: u32 = 16;

/// This id, with what [`is_special`] in it as `%` and two digits.
pub(crate) fn escaped(id: &str) -> Cow<'_, str> {
    let mut rest = id;
    let mut out = String::new();
    while let Some((plain, byte, special)) = split_special(rest) {
        out.push_str(plain);
        out.push(char::from(ESCAPE));
        for digit in [byte >> 4, byte & 0xf] {
            out.extend(char::from_digit(u32::from(digit), BASE).map(|digit| digit.to_ascii_uppercase()));
        }
        rest = special.get(1..).unwrap_or_default();
    }
    if rest.len() == id.len() {
        return Cow::Borrowed(id);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// What was escaped to this; nothing if we would have escaped it otherwise, or if it is no id.
///
/// `room` is for what is not as it stands in the word.
pub(crate) fn unescaped<'a>(word: &'a str, room: &'a mut String) -> Option<&'a str> {
    room.clear();
    let last = each_part(word, |plain, byte| {
        room.push_str(plain);
        room.push(char::from(byte));
    })?;
    let id = if last.len() == word.len() {
        word
    } else {
        room.push_str(last);
        room
    };
    is_id_length(id.len()).then_some(id)
}

/// Whether an id was escaped to this.
pub(super) fn is_escaped_id(word: &str) -> bool {
    let mut escapes = 0;
    let is_whole = each_part(word, |_, _| escapes += 1).is_some();
    is_whole && is_id_length(word.len() - escapes * (ESCAPED_LEN - 1))
}

/// The order of the ids that were escaped to these.
pub(crate) fn order(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    match a.iter().zip(b).position(|(a, b)| a != b) {
        // Where both are amid an escape, its digits are in the order of what they say.
        Some(place) => byte_at(a, place).cmp(&byte_at(b, place)),
        None => a.len().cmp(&b.len()),
    }
}

/// Gives what stands before each escape and what is escaped; what stands behind the last one. Nothing if we would not have
/// written it so.
fn each_part<'a>(word: &'a str, mut part: impl FnMut(&'a str, u8)) -> Option<&'a str> {
    let mut rest = word;
    while let Some((plain, _, escape)) = split_special(rest) {
        part(plain, escaped_byte(escape.as_bytes())?);
        rest = escape.get(ESCAPED_LEN..)?;
    }
    Some(rest)
}

/// The byte that an id has where this place of its word is.
fn byte_at(word: &[u8], place: usize) -> Option<u8> {
    let rest = word.get(place..)?;
    escaped_byte(rest).or(rest.first().copied())
}

/// The byte that is escaped here.
fn escaped_byte(rest: &[u8]) -> Option<u8> {
    let &[ESCAPE, high, low] = rest.first_chunk()? else { return None };
    Some(sixteenth(high)? << 4 | sixteenth(low)?).filter(|byte| is_special(*byte))
}

fn is_id_length(bytes: usize) -> bool {
    (1..=MAX_ID_BYTES).contains(&bytes)
}

/// What separates (space, line feed, `:`), what escapes (`%`), and what terminals and logs choke on.
fn is_special(byte: u8) -> bool {
    byte <= b' ' || matches!(byte, 0x7f | b':' | ESCAPE)
}

/// What stands before the first special byte, the byte, and what begins with it.
fn split_special(id: &str) -> Option<(&str, u8, &str)> {
    let place = id.bytes().position(is_special)?;
    let (plain, rest) = id.split_at_checked(place)?;
    Some((plain, *rest.as_bytes().first()?, rest))
}

fn sixteenth(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
