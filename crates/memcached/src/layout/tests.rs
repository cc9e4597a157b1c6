//! The layout against its golden file, and its properties.

use proptest::prelude::*;
use stickystore_core::Keys;
use stickystore_core::{Epoch, Namespace, Revision, Unknown, UserId, Value, ValueHash, Was};

use super::*;
use crate::item;

mod slowly;

fn ms(millis: u64) -> UnixMillis {
    UnixMillis::new(millis).unwrap()
}

fn subject(namespace: &str, user: &str) -> Subject {
    Subject::new(Namespace::new(namespace).unwrap(), UserId::new(user).unwrap())
}

fn key(key: &str) -> Key {
    Key::new(key).unwrap()
}

fn entry(value: &str) -> Entry {
    Entry::new(Value::new(value).unwrap(), Expiry::At(ms(1_700_000_000_000)))
        .with_revision(Revision::from_bytes([0, 1, 2, 3, 4, 5, 6, 7]))
}

fn item(entries: &[(&str, Entry)]) -> Item<'static> {
    let slots = entries.iter().map(|(name, entry)| (key(name), encode_entry(entry))).collect();
    Item { slots, ..Item::default() }
}

/// The item of ann in the shop with these lines.
fn read(lines: &str) -> Found<'_> {
    decode(lines.as_bytes(), &subject("shop", "ann"))
}

fn entry_in(item: &Item<'_>, name: &str) -> Headed {
    match item.slots.get(&escaped(name)) {
        Some(Slot::Line { text, .. }) => headed::decode(&entry_text(text), ms(1)),
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn the_layout_is_frozen() {
    let more = entry("{\"a\":\n 1}")
        .with_was(Was::new(vec![(ValueHash::of("old"), ms(5))]))
        .with_unknown(Unknown::new(vec![("x".into(), Value::new("1.50").unwrap())]).unwrap());
    let mut never = entry("\"red\"");
    never.expiry = Expiry::Never;
    let mut item = item(&[("button", entry("{\"a\":1}")), ("a b:%\n\u{e9}", more.clone()), ("never", never)]);
    item.mark = Some(Mark::new(Epoch::from_bytes([0, 1, 2, 3, 4, 5, 6, 7]), ms(1_700_000_000_000)));
    let odd = subject("a:b", "50% \n\u{e9}");
    let text = encode(&item, &odd);
    let keys = [subject("shop", "ann"), odd.clone(), subject("shop", &"x".repeat(250))];
    let keys = keys.each_ref().map(storage_key).join("\n");
    let text_shown = String::from_utf8(text.clone()).unwrap();
    assert_eq!(format!("{keys}\n{text_shown}"), include_str!("../../golden/layout-v1.txt"));
    assert_eq!(decode(&text, &odd), Found::Item(item.clone()));
    assert_eq!(entry_in(&item, "a b:%\n\u{e9}"), Headed::Live(more));
}

#[test]
fn what_does_not_begin_as_an_item_is_foreign() {
    for text in [
        "",
        "written by another program",
        "stickystore",
        "stickystore 1 shop",
        "stickystore 2 shop ann",
        "stickystore 1 shop ann more",
        "stickystore 1  shop ann",
        "stickystore 1 shop %41nn",
        "stickystore 1 shop %ff",
        " stickystore 1 shop ann",
        "stickystore 1 shop ann\r\n",
        "stickystore 1 shop ann\n 1 rubbish",
        "stickystore 1 shop ann\n ",
        "stickystore 1 shop ann\n 1 AAECAwQFBgc 7\n 1 AAECAwQFBgc 8\n",
    ] {
        assert_eq!(read(text), Found::Foreign, "{text}");
    }
    assert_eq!(read("stickystore 1 shop ann\n"), Found::Item(Item::default()));
    assert_eq!(read("stickystore 1 shop ann"), Found::Item(Item::default()));
}

#[test]
fn another_users_item_is_known_as_such() {
    for head in ["stickystore 1 shop bob", "stickystore 1 ann shop\nk 1 AAECAwQFBgc 0 1\n"] {
        assert_eq!(read(head), Found::Others, "{head}");
    }
}

#[test]
fn a_line_that_is_no_entry_is_damaged_and_the_others_are_whole() {
    for line in ["b", "b ", "b rubbish", "b 2 AAECAwQFBgc 0 1", "b  1 AAECAwQFBgc 0 1", "b 1 AAECAwQFBgc 0"] {
        let text = format!("stickystore 1 shop ann\na 1 AAECAwQFBgc 0 1\n{line}\nc 1 AAECAwQFBgc 0 2\n");
        let Found::Item(item) = read(&text) else { panic!("{line}") };
        assert!(matches!(item.slots.get("b"), Some(Slot::Damaged { .. })), "{line}");
        assert!(matches!((entry_in(&item, "a"), entry_in(&item, "c")), (Headed::Live(_), Headed::Live(_))));
        assert_eq!(encode(&item, &subject("shop", "ann")), text.as_bytes(), "it stays as it was");
    }
}

#[test]
fn a_key_that_stands_there_twice_is_damaged() {
    let text = "stickystore 1 shop ann\na 1 AAECAwQFBgc 0 1\na 1 AAECAwQFBgc 0 2\n";
    let Found::Item(item) = read(text) else { panic!() };
    assert!(matches!(item.slots.get("a"), Some(Slot::Damaged { lines, .. }) if lines.len() == 2));
    assert_eq!(encode(&item, &subject("shop", "ann")), text.as_bytes());
}

#[test]
fn lines_without_a_key_have_names_that_no_entry_has() {
    let text = b"stickystore 1 shop ann\n%41 x\n\n\xff x\n? 1 AAECAwQFBgc 0 1\n%2541 1 AAECAwQFBgc 0 1\n";
    let Found::Item(item) = decode(text, &subject("shop", "ann")) else { panic!() };
    assert_eq!(item.slots.keys().collect::<Vec<_>>(), [key("%41"), key("?")]);
    assert_eq!(item.strays.keys().map(Key::as_str).collect::<Vec<_>>(), ["%41?", "??", "\u{fffd}"]);
    assert_eq!(item.strays.values().map(Vec::len).sum::<usize>(), 3);
}

#[test]
fn a_line_feed_in_a_value_is_no_end_of_a_line() {
    let slot = encode_entry(&entry("[\n1,\r\n\t2]"));
    let Slot::Line { text, .. } = &slot else { panic!() };
    assert!(!text.contains(&b'\n'));
    assert_eq!(headed::decode(&entry_text(text), ms(1)), Headed::Live(entry("[\n1,\r\n\t2]")));
}

proptest! {
    #[test]
    fn any_item_comes_back(
        ids in (".{1,20}", ".{1,20}"), values in proptest::collection::btree_map("(?s).{1,9}", "(?s).{0,9}", 0..5),
        mark in proptest::option::of((any::<[u8; 8]>(), 1..=UnixMillis::MAX.get())),
    ) {
        let subject = subject(&ids.0, &ids.1);
        let entries: Vec<_> = values.iter()
            .map(|(name, value)| (name.as_str(), entry(&format!("[\n{}\r]", Value::string(value).as_str())))).collect();
        let mut item = item(&entries);
        item.mark = mark.map(|(epoch, until)| Mark::new(Epoch::from_bytes(epoch), ms(until)));
        let text = encode(&item, &subject);
        prop_assert_eq!(decode(&text, &subject), Found::Item(item.clone()));
        for (name, entry) in entries {
            prop_assert_eq!(entry_in(&item, name), Headed::Live(entry));
        }
    }

    #[test]
    fn keys_are_injective_and_keys_to_the_server(
        a in ("(?s).{1,9}|[:%#a ]{1,9}", "(?s).{1,9}|[:%#a ]{1,3}|x{240,260}"), b in ("[:%#a ]{1,9}", "[:%#a ]{1,3}|x{240,260}"),
    ) {
        let (a, b) = (subject(&a.0, &a.1), subject(&b.0, &b.1));
        prop_assert_eq!(storage_key(&a) == storage_key(&b), a == b);
        let key = storage_key(&a);
        prop_assert!(key.len() <= MAX_KEY_BYTES && key.bytes().all(|byte| byte > b' ' && byte != 0x7f), "{}", key);
    }

    #[test]
    fn rubbish_stays_as_it_was_or_is_foreign(lines in proptest::collection::vec("[a%0-9 \u{e9}]{0,9}", 0..6)) {
        let subject = subject("shop", "ann");
        let mut text = b"stickystore 1 shop ann\n".to_vec();
        lines.iter().for_each(|line| text.extend_from_slice(format!("{line}\n").as_bytes()));
        if let Found::Item(item) = decode(&text, &subject) {
            let again = encode(&item, &subject);
            let sorted = |text: &[u8]| {
                let mut lines: Vec<_> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
                lines.sort();
                lines
            };
            prop_assert_eq!(sorted(&again), sorted(&text));
        }
    }

    #[test]
    fn every_item_is_read_as_slowly(lines in lines(), cut in 0..400_usize, byte in any::<u8>(), now in 1..4_u64) {
        let mut text = format!("stickystore 1 shop ann\n{}", lines.concat()).into_bytes();
        // Half of them have a byte that is another.
        if cut % 2 == 0 && let Some(at) = text.get_mut(cut) {
            *at = byte;
        }
        let subject = subject("shop", "ann");
        let found = decode(&text, &subject);
        prop_assert_eq!(slowly::told(&found), slowly::decode(&text, &subject));
        let names = ["a", "b", "a b", "%41", "?", "\u{e9}", "c:", "none"];
        let asked = (0..names.len()).map(|one| Keys::only(names[one..].iter().step_by(2).map(|name| key(name))).unwrap());
        for keys in asked.chain([Keys::All, Keys::only(names.map(key)).unwrap()]) {
            let quickly = item::read(&text, &subject, &keys, ms(now)).map_err(|error| error.kind());
            let slowly = item::profile(&found, &keys, ms(now)).map_err(|error| error.kind());
            prop_assert_eq!(quickly, slowly, "{:?} of {}", keys, String::from_utf8_lossy(&text));
        }
    }

    #[test]
    fn words_are_in_the_order_of_their_ids(a in "[ %:\u{7f}\u{1}\u{e9}!$/;AZ09]{0,4}", b in "[ %:\u{7f}\u{1}\u{e9}!$/;AZ09]{0,4}") {
        prop_assert_eq!(order(&escaped(&a), &escaped(&b)), a.cmp(&b));
    }

    #[test]
    fn ids_are_escaped_as_slowly(id in "(?s).{0,9}|[ :%A-F0-9\u{7f}\u{e9}]{0,9}", word in "(%[0-9A-Fa-f]{0,2}|.|%C3%A9){0,4}") {
        let written = escaped(&id);
        prop_assert_eq!(&written, &slowly::escaped(&id));
        let mut room = String::new();
        prop_assert_eq!(unescaped(&written, &mut room), Some(id.as_str()).filter(|id| !id.is_empty()));
        let read = slowly::unescaped(&word).filter(|id| !id.is_empty());
        prop_assert_eq!(escape::is_escaped_id(&word), read.is_some());
        prop_assert_eq!(unescaped(&word, &mut room), read.as_deref());
    }
}

/// Lines of an item, most of them as we write them, often in order.
fn lines() -> impl Strategy<Value = Vec<String>> {
    let key = prop_oneof![
        6 => prop::sample::select(vec!["a", "b", "a%20b", "c%3A", "%2541", "\u{e9}", "?"]),
        1 => prop::sample::select(vec!["", "%41", "c:", "%4", "%zz", " ", "\u{b}", "%C3%A9", "??"]),
    ];
    let rest = prop_oneof![
        5 => prop::sample::select(vec!["1 AAECAwQFBgc 0 1", "1 AAECAwQFBgc 2 {\"a\":\"b\"}", "1 AAECAwQFBgc 3 [1,\u{b}2]"]),
        1 => prop::sample::select(vec![
            "1 AAECAwQFBgc 0 +11 {\"x\": 1.50} \"\u{e9}\"", "1 AAECAwQFBgc 0 +26 {\"was\":[[\"AAECAwQFBgc\",5]]} 1",
            "", "1", "rubbish", "2 AAECAwQFBgc 0 1", "1 AAECAwQFBgd 0 1", "1 AAECAwQFBgc 0", "1 AAECAwQFBgc 0 ",
            "1 AAECAwQFBgc 0 nul", "1 AAECAwQFBgc 2 nul", "1 AAECAwQFBgc 00 1", "1 AAECAwQFBgc 0 \u{b}1", "1 AAECAwQFBgc 7",
            "1 AAECAwQFBgc 9007199254740992 1", "1 AAECAwQFBgc 0 +2 {} 1", "1 AAECAwQFBgc 0 +2 {}1",
        ]),
    ];
    let space = prop_oneof![9 => Just(" "), 1 => Just("")];
    let line = (key, space, rest).prop_map(|(key, space, rest)| format!("{key}{space}{rest}\n"));
    let mark = prop::sample::select(vec!["", "", "", " 1 AAECAwQFBgc 2\n", " 1 AAECAwQFBgc 0\n", " \n"]);
    (mark, prop::collection::vec(line, 0..7), any::<bool>()).prop_map(|(mark, mut lines, in_order)| {
        if in_order {
            lines.sort();
            lines.dedup();
        }
        lines.insert(0, mark.to_owned());
        lines
    })
}
