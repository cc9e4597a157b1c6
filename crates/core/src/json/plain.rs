//! JSON as SDKs write it, known for what it is at the first glance: nearly all that is ever stored.

/// How deep arrays and objects may be nested.
const DEPTH: usize = 8;

/// A byte in each of eight.
const ONES: u64 = u64::MAX / 255;

/// Whether this is one JSON value for sure: without white space, escapes and fractions. If not, it may be one all the same.
pub(super) fn is_plain(text: &str) -> bool {
    value(text.as_bytes(), DEPTH).is_some_and(<[u8]>::is_empty)
}

/// What follows the value at the beginning.
fn value(text: &[u8], depth: usize) -> Option<&[u8]> {
    let (first, rest) = text.split_first()?;
    match first {
        b'"' => string(rest),
        b'{' => object(rest, depth.checked_sub(1)?),
        b'[' => array(rest, depth.checked_sub(1)?),
        b'0' => Some(rest),
        b'1'..=b'9' => Some(digits(rest)),
        b'-' => match rest.split_first()? {
            (b'0', rest) => Some(rest),
            (b'1'..=b'9', rest) => Some(digits(rest)),
            _ => None,
        },
        b't' => rest.strip_prefix(b"rue"),
        b'f' => rest.strip_prefix(b"alse"),
        b'n' => rest.strip_prefix(b"ull"),
        _ => None,
    }
}

/// What follows the object whose bracket was before this.
fn object(text: &[u8], depth: usize) -> Option<&[u8]> {
    if let Some(rest) = text.strip_prefix(b"}") {
        return Some(rest);
    }
    let mut text = text;
    loop {
        let rest = string(text.strip_prefix(b"\"")?)?;
        match value(rest.strip_prefix(b":")?, depth)?.split_first()? {
            (b',', rest) => text = rest,
            (b'}', rest) => return Some(rest),
            _ => return None,
        }
    }
}

/// What follows the array whose bracket was before this.
fn array(text: &[u8], depth: usize) -> Option<&[u8]> {
    if let Some(rest) = text.strip_prefix(b"]") {
        return Some(rest);
    }
    let mut text = text;
    loop {
        match value(text, depth)?.split_first()? {
            (b',', rest) => text = rest,
            (b']', rest) => return Some(rest),
            _ => return None,
        }
    }
}

fn digits(text: &[u8]) -> &[u8] {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    text.get(digits..).unwrap_or_default()
}

/// What follows the string whose first quote was before this; nothing if it has what is escaped, or should be.
fn string(text: &[u8]) -> Option<&[u8]> {
    let (eights, last) = text.as_chunks::<8>();
    let mut passed = 0;
    for eight in eights {
        let eight = u64::from_le_bytes(*eight);
        let found = has_less(eight, b' ') | has(eight, b'"') | has(eight, b'\\');
        if found != 0 {
            let place = passed + found.trailing_zeros() as usize / 8;
            return text.get(place..)?.strip_prefix(b"\"");
        }
        passed += 8;
    }
    let place = last.iter().position(|byte| *byte < b' ' || matches!(byte, b'"' | b'\\'))?;
    last.get(place..)?.strip_prefix(b"\"")
}

/// The high bit of every byte that is this one; behind the first, perhaps of others too.
fn has(eight: u64, byte: u8) -> u64 {
    has_less(eight ^ (ONES * u64::from(byte)), 1)
}

/// The high bit of every byte that is less than this one, which is at most 128; behind the first, perhaps of others too.
fn has_less(eight: u64, byte: u8) -> u64 {
    eight.wrapping_sub(ONES * u64::from(byte)) & !eight & (ONES << 7)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    fn is_json(text: &str) -> bool {
        serde_json::from_str::<IgnoredAny>(text).is_ok()
    }

    #[test]
    fn what_sdks_write_is_plain() {
        for text in [
            "\"blue\"",
            "{\"variation_id\":\"18446744073709551616\"}",
            "{\"a\":[1,-2,0,true,false,null,{}],\"\u{e9}\":[]}",
            "1700000000000",
        ] {
            assert!(is_plain(text) && is_json(text), "{text}");
        }
    }

    #[test]
    fn what_is_not_json_is_not_plain() {
        for text in [
            "",
            "nul",
            "1 2",
            "01",
            "-",
            "-01",
            "{\"a\":}",
            "{\"a\"}",
            "{\"a\":1,}",
            "[1,]",
            "[,1]",
            "{,}",
            "'a'",
            "\"\n\"",
            "\"a",
            "\"aaaaaaaa",
            "\"aaaaaaa\u{1f}\"",
            "{\"a\":1]",
            "[1}",
            "{1:1}",
            "[[]",
            "1,2",
            "\"a\"b",
            "truefalse",
        ] {
            assert!(!is_plain(text) && !is_json(text), "{text}");
        }
    }

    #[test]
    fn a_string_ends_wherever_its_quote_is() {
        for before in 0..40 {
            for (char, is) in
                [('\u{1}', false), ('\u{1f}', false), (' ', true), ('\u{e9}', true), ('\u{7f}', true)]
            {
                let text = format!("\"{}{char}\"", "x".repeat(before));
                assert_eq!((is_plain(&text), is_json(&text)), (is, is), "{text:?}");
            }
            assert!(!is_plain(&format!("\"{}\\n\"", "x".repeat(before))));
        }
    }

    proptest! {
        #[test]
        fn what_is_plain_is_json(
            text in "[\\[\\]{},:\"a0-9 \\\\\n.e-]{0,12}|(\"[a-z\u{1}\u{e9}\"\\\\]{0,20}\"|[\\[\\]{},:]|-?[0-9]{1,3}|true|null){0,9}",
        ) {
            prop_assert!(!is_plain(&text) || is_json(&text), "{}", text);
        }

        #[test]
        fn json_with_a_byte_less_or_another_is_no_other_json(at in 0..60_usize, char in any::<char>(), goes in any::<bool>()) {
            let mut text: Vec<char> = "{\"variation_id\":\"184467440\",\"x\":[1,{\"y\":-20},null]}".chars().collect();
            if let Some(old) = text.get_mut(at) {
                *old = char;
                if goes {
                    text.remove(at);
                }
            }
            let text: String = text.into_iter().collect();
            prop_assert!(!is_plain(&text) || is_json(&text), "{}", text);
        }
    }
}
