//! Ids as they stand in keys and lines: without what separates there, or means something.

use std::borrow::Cow;

/// What stands before the two digits of a byte.
const ESCAPE: u8 = b'%';

/// The base of the digits.
const BASE: u32 = 16;

/// This id, with what [`is_special`] in it as `%` and two digits.
pub(crate) fn escaped(id: &str) -> Cow<'_, str> {
    let mut rest = id;
    let mut out = String::new();
    while let Some((plain, byte, after)) = split_special(rest) {
        out.push_str(plain);
        out.push(char::from(ESCAPE));
        for digit in [byte >> 4, byte & 0xf] {
            out.extend(char::from_digit(u32::from(digit), BASE).map(|digit| digit.to_ascii_uppercase()));
        }
        rest = after;
    }
    if rest.len() == id.len() {
        return Cow::Borrowed(id);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// What was escaped to this; nothing if we would have escaped it otherwise.
pub(super) fn unescaped(word: &[u8]) -> Option<Cow<'_, str>> {
    let mut rest = word;
    let mut id = Vec::new();
    while let Some(place) = rest.iter().position(|byte| is_special(*byte)) {
        let (plain, escape) = rest.split_at_checked(place)?;
        let (&[ESCAPE, high, low], after) = escape.split_first_chunk()? else { return None };
        let byte = sixteenth(high)? << 4 | sixteenth(low)?;
        if !is_special(byte) {
            return None;
        }
        id.extend_from_slice(plain);
        id.push(byte);
        rest = after;
    }
    if rest.len() == word.len() {
        return std::str::from_utf8(word).ok().map(Cow::Borrowed);
    }
    id.extend_from_slice(rest);
    String::from_utf8(id).ok().map(Cow::Owned)
}

/// What separates (space, line feed, `:`), what escapes (`%`), and what terminals and logs choke on.
fn is_special(byte: u8) -> bool {
    byte <= b' ' || matches!(byte, 0x7f | b':' | ESCAPE)
}

/// What stands before the first special byte, the byte, and what stands behind it.
fn split_special(id: &str) -> Option<(&str, u8, &str)> {
    let place = id.bytes().position(is_special)?;
    let (plain, rest) = id.split_at_checked(place)?;
    Some((plain, *rest.as_bytes().first()?, rest.get(1..)?))
}

fn sixteenth(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
