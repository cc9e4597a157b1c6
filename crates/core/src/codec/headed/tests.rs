//! The text against its properties; golden files are the stores' that keep it.

use proptest::prelude::*;

use super::*;
use crate::entry::{ValueHash, Was};

fn ms(millis: u64) -> UnixMillis {
    UnixMillis::new(millis).unwrap()
}

#[test]
fn what_is_not_exactly_a_head_is_damage() {
    for text in [
        "",
        "1",
        "rubbish",
        "{\"v\":1}",
        "2 AAECAwQFBgc 0 1",
        "1 AAECAwQFBgd 0 1",
        "1 AAECAwQFBg 0 1",
        "1 AAECAwQFBgc 0",
        "1 AAECAwQFBgc 00 1",
        "1 AAECAwQFBgc -1 1",
        "1 AAECAwQFBgc 9007199254740992 1",
        "1 AAECAwQFBgc 0 ",
        "1 AAECAwQFBgc 0 nul",
        "1 AAECAwQFBgc 0 +9 {} 1",
        "1 AAECAwQFBgc 0 +2 {}1",
        "1 AAECAwQFBgc 0 +2 [] 1",
        "1 AAECAwQFBgc  0 1",
        "1 AAECAwQFBgc 0 +11 {\"was\":[1]} 1",
    ] {
        assert!(matches!(decode(text.as_bytes(), ms(1)), Headed::Damaged(_)), "{text}");
    }
    assert!(matches!(decode(b"1 AAECAwQFBgc 0 \"\xff\"", ms(1)), Headed::Damaged(_)));
}

#[test]
fn what_has_ended_is_not_looked_into() {
    assert_eq!(decode(b"1 AAECAwQFBgc 7 rubbish", ms(7)), Headed::Ended);
    assert!(matches!(decode(b"1 AAECAwQFBgc 7 rubbish", ms(6)), Headed::Damaged(_)));
}

proptest! {
    #[test]
    fn any_entry_comes_back(
        value in any::<String>(), revision in any::<[u8; 8]>(), expiry in proptest::option::of(2..=UnixMillis::MAX.get()),
        was in proptest::collection::vec((any::<String>(), 0..=UnixMillis::MAX.get()), 0..=Was::MAX),
        unknown in proptest::collection::btree_map("x[a-z]{3,8}", any::<String>(), 0..3),
    ) {
        let unknown = unknown.iter().map(|(name, text)| (name.as_str().into(), Value::string(text))).collect();
        let expiry = expiry.map_or(Expiry::Never, |at| Expiry::At(ms(at)));
        let was = was.iter().map(|(text, at)| (ValueHash::of(text), ms(*at))).collect();
        let entry = Entry::new(Value::string(&value), expiry).with_revision(Revision::from_bytes(revision))
            .with_was(Was::new(was)).with_unknown(Unknown::new(unknown).unwrap());
        prop_assert_eq!(super::expiry(encode(&entry).as_bytes()), Some(entry.expiry));
        prop_assert_eq!(decode(encode(&entry).as_bytes(), ms(1)), Headed::Live(entry));
    }

    #[test]
    fn rubbish_is_damage_and_never_a_panic(text in proptest::collection::vec(any::<u8>(), 0..40)) {
        prop_assert!(!matches!(decode(&text, ms(1)), Headed::Live(_)));
        prop_assert_eq!(decode_mark(&text), None);
    }

    #[test]
    fn every_text_is_read_as_slowly(
        version in prop::sample::select(vec!["1 ", "1 ", "1 ", "2 ", "1", ""]),
        revision in prop::sample::select(vec!["AAECAwQFBgc", "AAECAwQFBgd", "AAECAwQFBg", "AAECAw\u{e9}FBg", ""]),
        expiry in prop::sample::select(vec![
            " 0", " 1700000000000", " 5", " 00", " 01", " -1", " ", "", " 9007199254740991", " 9007199254740992", " 99999999999999999999",
        ]),
        body in prop::sample::select(vec![
            " 1", "", " ", "  1 ", " nul", " \"\u{e9}\"", " {\"a\":\"b\"}", " [\n1]", " +2 {} 1", " +2 {}1", " +9 {} 1", " +11 {\"x\":1.50} 2",
            " +13 {\"value\":1} 2", " +25 {\"was\":[[\"AAECAwQFBgc\",5]]} {}", " +12 {\"was\":[1]} 1", " + 1", " +x {} 1", " +2 [] 1",
        ]),
        at in 0..60_usize, byte in any::<u8>(),
    ) {
        let mut text = [version, revision, expiry, body].concat().into_bytes();
        for _ in 0..2 {
            let shown = String::from_utf8_lossy(&text).into_owned();
            for now in [ms(1), ms(5), ms(1_700_000_000_000)] {
                let slowly = slowly(&text, now);
                prop_assert_eq!(&decode(&text, now), &slowly, "{}", &shown);
                if let Some(head) = std::str::from_utf8(&text).ok().and_then(Head::parse_str) {
                    prop_assert_eq!(&head.decode(now), &slowly, "{}", &shown);
                }
            }
            // And with a byte that is another, where there are so many.
            if let Some(at) = text.get_mut(at) {
                *at = byte;
            }
        }
    }
}

/// What a text is, by its description and without haste.
fn slowly(text: &[u8], now: UnixMillis) -> Headed {
    let damaged = |what| Headed::Damaged(Damage::new(what));
    let no_head = damaged("does not begin as an entry of this layout");
    let Some(text) = text.strip_prefix(b"1 ") else { return no_head };
    let Some((revision, text)) = text.split_at_checked(11) else { return no_head };
    let Some(text) = text.strip_prefix(b" ") else { return no_head };
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (expiry, text) = text.split_at(digits);
    let (Ok(revision), Ok(expiry)) = (std::str::from_utf8(revision), std::str::from_utf8(expiry)) else {
        return no_head;
    };
    let Some(millis) = expiry.parse::<u64>().ok().filter(|millis| millis.to_string() == expiry) else {
        return no_head;
    };
    let Some(body) = text.strip_prefix(b" ") else { return damaged("has no value") };
    let Ok(revision) = Revision::parse(revision) else { return no_head };
    let expiry = match UnixMillis::new(millis) {
        Ok(UnixMillis::EPOCH) => Expiry::Never,
        Ok(at) => Expiry::At(at),
        Err(_) => return no_head,
    };
    if !expiry.is_live(now) {
        return Headed::Ended;
    }
    let Ok(body) = std::str::from_utf8(body) else { return damaged("is not UTF-8") };
    let mut extra = None;
    let mut value = body;
    if let Some(rest) = body.strip_prefix('+') {
        let parts =
            rest.split_once(' ').and_then(|(length, rest)| rest.split_at_checked(length.parse().ok()?));
        let Some((object, rest)) = parts else { return damaged("has members that do not end") };
        let Some(rest) = rest.strip_prefix(' ') else { return damaged("has members that do not end") };
        (extra, value) = (Some(object), rest);
    }
    if serde_json::from_str::<serde::de::IgnoredAny>(value).is_err() {
        return damaged("has a value that is not JSON");
    }
    let entry = Entry::stored(Value::new(value).unwrap(), expiry, revision);
    match extra.map(|extra| with_extra(entry.clone(), extra)) {
        None => Headed::Live(entry),
        Some(Some(entry)) => Headed::Live(entry),
        Some(None) => damaged("has members that are none"),
    }
}
