//! The layout against its golden file, and the properties of its keys.

use proptest::prelude::*;
use stickystore_core::codec::headed::{Headed, decode, decode_mark, encode, encode_mark};
use stickystore_core::{Entry, Epoch, Expiry, Mark, Revision, UnixMillis, Unknown, Value, ValueHash, Was};

use super::*;

fn ms(millis: u64) -> UnixMillis {
    UnixMillis::new(millis).unwrap()
}

fn subject(namespace: &str, user: &str) -> Subject {
    Subject::new(Namespace::new(namespace).unwrap(), UserId::new(user).unwrap())
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
    assert_eq!(decode(encode(&more).as_bytes(), ms(1)), Headed::Live(more));
    assert_eq!(decode_mark(encode_mark(mark).as_bytes()), Some(mark));
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
    fn keys_are_injective_and_come_back(a in ("\\PC{1,4}|[:%{}a ]{1,4}", "\\PC{1,4}|[:%{}a ]{1,4}"), b in ("[:%{}a ]{1,4}", "[:%{}a ]{1,4}")) {
        let (a, b) = (subject(&a.0, &a.1), subject(&b.0, &b.1));
        prop_assert_eq!(storage_key(&a) == storage_key(&b), a == b);
        prop_assert_eq!(user_of(storage_key(&a).as_bytes(), &a.namespace), Some(a.user.clone()));
        if a.namespace != b.namespace {
            prop_assert_eq!(user_of(storage_key(&a).as_bytes(), &b.namespace), None);
        }
    }
}
