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
}
