//! The layout against its golden file, and its properties.

use proptest::prelude::*;
use stickystore_core::{ValueHash, Was};

use super::*;

fn ms(millis: u64) -> UnixMillis {
    UnixMillis::new(millis).unwrap()
}

fn subject(namespace: &str, user: &str) -> Subject {
    Subject::new(Namespace::new(namespace).unwrap(), UserId::new(user).unwrap())
}

fn encode(entry: &Entry) -> String {
    encode_head(entry) + entry.value.as_str()
}

fn entry() -> Entry {
    Entry::new(Value::new("{\"a\":1}").unwrap(), Expiry::At(ms(1_700_000_000_000)))
        .with_revision(Revision::from_bytes([0, 1, 2, 3, 4, 5, 6, 7]))
}

#[test]
fn the_layout_is_frozen() {
    let more = entry()
        .with_was(Was::new(vec![(ValueHash::of("old"), ms(5))]))
        .with_unknown(Unknown::new(vec![("x".into(), Value::new("1.50").unwrap())]).unwrap());
    let mut never = entry();
    never.expiry = Expiry::Never;
    let mark = Mark::new(Epoch::from_bytes([0, 1, 2, 3, 4, 5, 6, 7]), ms(1_700_000_000_000));
    let lines = [
        storage_key(&subject("shop", "ann")),
        storage_key(&subject("a:b{}", "50% *\n\u{e9}")),
        encode(&entry()),
        encode(&never),
        encode(&more),
        encode_mark(mark),
    ];
    assert_eq!(lines.join("\n"), include_str!("../../golden/layout-v1.txt").trim_end());
    assert_eq!(decode(encode(&more).as_bytes(), ms(1)), Field::Live(more));
    assert_eq!(decode_mark(encode_mark(mark).as_bytes()), Some(mark));
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
        assert!(matches!(decode(text.as_bytes(), ms(1)), Field::Damaged(_)), "{text}");
    }
    assert!(matches!(decode(b"1 AAECAwQFBgc 0 \"\xff\"", ms(1)), Field::Damaged(_)));
}

#[test]
fn what_has_ended_is_not_looked_into() {
    assert_eq!(decode(b"1 AAECAwQFBgc 7 rubbish", ms(7)), Field::Ended);
    assert!(matches!(decode(b"1 AAECAwQFBgc 7 rubbish", ms(6)), Field::Damaged(_)));
}

#[test]
fn a_key_that_we_would_not_have_written_is_nobodys() {
    let namespace = Namespace::new("n").unwrap();
    for key in [
        "stickystore:n:",
        "stickystore:n:%41",
        "stickystore:n:a:b",
        "stickystore:m:a",
        "n:a",
        "stickystore:n:%ff",
    ] {
        assert_eq!(user_of(key.as_bytes(), &namespace), None, "{key}");
    }
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
        prop_assert_eq!(decode(encode(&entry).as_bytes(), ms(1)), Field::Live(entry));
    }

    #[test]
    fn keys_are_injective_and_come_back(a in ("\\PC{1,4}|[:%{}a ]{1,4}", "\\PC{1,4}|[:%{}a ]{1,4}"), b in ("[:%{}a ]{1,4}", "[:%{}a ]{1,4}")) {
        let (a, b) = (subject(&a.0, &a.1), subject(&b.0, &b.1));
        prop_assert_eq!(storage_key(&a) == storage_key(&b), a == b);
        prop_assert_eq!(user_of(storage_key(&a).as_bytes(), &a.namespace), Some(a.user.clone()));
        if a.namespace != b.namespace {
            prop_assert_eq!(user_of(storage_key(&a).as_bytes(), &b.namespace), None);
        }
    }

    #[test]
    fn rubbish_is_damage_and_never_a_panic(text in proptest::collection::vec(any::<u8>(), 0..40)) {
        prop_assert!(!matches!(decode(&text, ms(1)), Field::Live(_)));
        prop_assert_eq!(decode_mark(&text), None);
    }
}
