//! The layout against its golden file, and its properties.

use mongodb::bson::RawDocumentBuf;
use proptest::prelude::*;
use stickystore_core::{ValueHash, Was};

use super::*;

fn ms(millis: u64) -> UnixMillis {
    UnixMillis::new(millis).unwrap()
}

fn subject(namespace: &str, user: &str) -> Subject {
    Subject::new(Namespace::new(namespace).unwrap(), UserId::new(user).unwrap())
}

fn key(key: &str) -> Key {
    Key::new(key).unwrap()
}

fn entry() -> Entry {
    Entry::new(Value::new("{\"a\":1}").unwrap(), Expiry::At(ms(1_700_000_000_000)))
        .with_revision(Revision::from_bytes([0, 1, 2, 3, 4, 5, 6, 7]))
}

fn mark() -> Mark {
    Mark::new(Epoch::from_bytes([7, 6, 5, 4, 3, 2, 1, 0]), ms(1_600_000_900_000))
}

/// As the server would give it.
fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).unwrap()
}

fn whole(document: &RawDocument, now: u64) -> Result<User<'_>> {
    decode(Some(document), Shown::Whole, ms(now))
}

fn slot(member: impl Into<Bson>, now: u64) -> Slot {
    let document = doc! { "_id": "n:u", "v": VERSION, "entries": { "k": member.into() } };
    whole(&raw(&document), now).unwrap().slots.remove(0).1
}

#[test]
fn the_layout_is_frozen() {
    let more = entry()
        .with_was(Was::new(vec![(ValueHash::of("old"), ms(5))]))
        .with_unknown(Unknown::new(vec![("x".into(), Value::new("1.50").unwrap())]).unwrap());
    let mut never = entry();
    never.expiry = Expiry::Never;
    let (nasty, dotted) = (key("50%\0"), key("$a.b"));
    let document = doc! {
        "_id": id(&subject("a:b", "50% \u{e9}\n")),
        "v": VERSION,
        "mark": encode_mark(mark()),
        "entries": {
            "button": encode(&entry()),
            (field(&nasty)): encode(&never),
            (field(&dotted)): encode(&more),
        },
        "sweep": mongodb::bson::DateTime::from_millis(1_700_000_060_000),
    };
    let golden = include_str!("../../golden/document-v1.json").trim_end();
    let shown = Bson::Document(document.clone()).into_canonical_extjson();
    assert_eq!(format!("{shown}"), golden.lines().map(str::trim).collect::<String>());
    let raw = raw(&document);
    let user = whole(&raw, 1).unwrap();
    assert_eq!(user.mark, Some(mark()));
    let keys: Vec<_> = user.slots.iter().map(|(name, _)| key_of(name).unwrap()).collect();
    assert_eq!(keys, [dotted, nasty, key("button")]);
    let slots: Vec<_> = user.slots.into_iter().map(|(_, slot)| slot).collect();
    assert_eq!(slots, [Slot::Live(more), Slot::Live(never), Slot::Live(entry())]);
}

#[test]
fn what_is_not_exactly_an_entry_is_damage() {
    let good = || encode(&entry());
    let with = |name: &str, value: Bson| {
        let mut member = good();
        member.insert(name, value);
        member
    };
    let head = [
        Bson::Null,
        Bson::Int64(5),
        "text".into(),
        vec![Bson::Document(good())].into(),
        Document::new().into(),
        with("expiry", Bson::Null).into(),
        with("expiry", Bson::Int32(1_700_000)).into(),
        with("expiry", Bson::Double(1.7e12)).into(),
        with("expiry", "1700000000000".into()).into(),
        with("expiry", Bson::Int64(0)).into(),
        with("expiry", Bson::Int64(-1)).into(),
        with("expiry", Bson::Int64(1 << 53)).into(),
        with("expiry", Bson::Int64(i64::MAX - 1)).into(),
        with("revision", Bson::Null).into(),
        with("revision", "AAECAwQFBgd".into()).into(),
        with("revision", "AAECAwQFBg".into()).into(),
    ];
    for member in head {
        assert!(matches!(slot(member.clone(), 1), Slot::Damaged(_, None)), "{member}");
    }
    let body = [
        with("value", Bson::Null),
        with("value", "nul".into()),
        with("value", "".into()),
        with("value", " 1".into()),
        with("value", doc! { "a": 1 }.into()),
        with("extra", Bson::Null),
        with("extra", "[]".into()),
        with("extra", "{".into()),
        with("extra", "{\"was\":[1]}".into()),
        with("extra", "{\"value\":1}".into()),
        with("extra", doc! { "was": 1 }.into()),
    ];
    for member in body {
        assert!(matches!(slot(member.clone(), 1), Slot::Damaged(_, Some(_))), "{member}");
    }
    for name in ["revision", "expiry", "value"] {
        let mut member = good();
        member.remove(name);
        assert!(matches!(slot(member, 1), Slot::Damaged(..)), "without {name}");
    }
}

#[test]
fn what_a_newer_version_added_beside_it_does_not_matter() {
    let mut member = encode(&entry());
    member.insert("note", doc! { "x": 1 });
    assert_eq!(slot(member, 1), Slot::Live(entry()));
    let document = doc! { "_id": "n:u", "v": VERSION, "note": 1, "entries": {} };
    assert_eq!(whole(&raw(&document), 1).unwrap(), User::default());
}

#[test]
fn what_has_ended_is_not_looked_into() {
    assert_eq!(slot(doc! { "expiry": 7_i64 }, 7), Slot::Ended);
    assert!(matches!(slot(doc! { "expiry": 7_i64 }, 6), Slot::Damaged(..)));
}

#[test]
fn a_document_that_is_not_ours_is_never_taken_for_an_absent_user() {
    let ours = || doc! { "_id": "n:u", "v": VERSION, "mark": encode_mark(mark()), "entries": {} };
    whole(&raw(&ours()), 1).unwrap();
    let with = |name: &str, value: Bson| {
        let mut document = ours();
        document.insert(name, value);
        document
    };
    let mark_with = |name: &str, value: Bson| {
        let mut mark = encode_mark(mark());
        mark.insert(name, value);
        with("mark", mark.into())
    };
    let mut wrong = vec![
        with("v", Bson::Int32(2)),
        with("v", Bson::Int64(1)),
        with("v", Bson::Double(1.0)),
        with("v", "1".into()),
        with("entries", Bson::Null),
        with("entries", Vec::<Bson>::new().into()),
        with("entries", "x".into()),
        with("mark", Bson::Null),
        with("mark", "x".into()),
        with("mark", vec![Bson::Document(encode_mark(mark()))].into()),
        mark_with("epoch", Bson::Null),
        mark_with("epoch", "BwYFBAMCAQ".into()),
        mark_with("epoch", "BwYFBAMCAQB".into()),
        mark_with("until", Bson::Null),
        mark_with("until", Bson::Int32(5)),
        mark_with("until", Bson::Int64(0)),
        mark_with("until", Bson::Int64(1 << 53)),
        doc! { "_id": "n:u", "other": 1 },
        doc! { "_id": "n:u", "bare": true },
    ];
    for name in ["v", "entries"] {
        let mut document = ours();
        document.remove(name);
        wrong.push(document);
    }
    for document in wrong {
        assert_eq!(
            whole(&raw(&document), 1).unwrap_err().kind(),
            stickystore_core::ErrorKind::Corrupt,
            "{document}"
        );
    }
    assert_eq!(whole(&raw(&doc! { "_id": "n:u" }), 1).unwrap(), User::default());
}

#[test]
fn a_name_that_stands_there_twice_is_damage_under_the_revision_of_the_first() {
    let twice = |first: &Document, second: &Document| {
        let entries =
            doc! { "b": first.clone(), "a": first.clone(), "c": second.clone(), "d": first.clone() };
        let document = raw(&doc! { "v": VERSION, "entries": entries }).into_bytes();
        // The third and the fourth object get the name of the first.
        const OBJECT: u8 = 3;
        let renamed = document.iter().scan(0, |before, byte| {
            let is_name = *before == OBJECT && matches!(byte, b'c' | b'd');
            *before = *byte;
            Some(if is_name { b'b' } else { *byte })
        });
        let document = RawDocumentBuf::from_bytes(renamed.collect()).unwrap();
        let slots = whole(&document, 1).unwrap().slots;
        let names: Vec<_> = slots.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["a", "b"]);
        slots.into_iter().map(|(_, slot)| slot).next_back().unwrap()
    };
    let (good, ended) = (encode(&entry()), doc! { "expiry": 1_i64 });
    assert_eq!(twice(&good, &ended), damaged("stands there twice", Some(entry().revision)));
    assert_eq!(twice(&ended, &good), damaged("stands there twice", None));
}

#[test]
fn what_stands_behind_the_place_where_a_document_breaks_off_is_not_whole() {
    let mut bytes = raw(&doc! { "a": 1, "b": 2 }).into_bytes();
    // The type of the second member, which is none.
    *bytes.get_mut(11).unwrap() = 0x42;
    let document = RawDocument::from_bytes(&bytes).unwrap();
    let [behind, before] = members(document, ["b", "a"]);
    assert!(matches!(before, Ok(Some(RawBsonRef::Int32(1)))), "{before:?}");
    assert!(behind.is_err(), "{behind:?}");
}

#[test]
fn an_id_that_we_would_not_have_written_is_nobodys() {
    let namespace = Namespace::new("n").unwrap();
    for id in ["n:", "n:%41", "n:a:b", "m:a", "na", "n:%ff", "n:%zz", "nn:a"] {
        assert_eq!(user_of(id, &namespace), None, "{id}");
    }
}

#[test]
fn a_name_that_we_would_not_have_written_is_no_key() {
    for field in ["", "%", "%2", "%01", "a%2f", "%2500%"] {
        assert_eq!(key_of(field), None, "{field}");
    }
}

const SOME: &str = "\\PC{1,4}|[:;%{}a\\.\\$\\x00\\x01 ]{1,4}";

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
        prop_assert_eq!(slot(encode(&entry), 1), Slot::Live(entry));
    }

    #[test]
    fn ids_are_injective_and_come_back(a in (SOME, SOME), b in ("[:;%{}a ]{1,4}", "[:;%{}a ]{1,4}")) {
        let (a, b) = (subject(&a.0, &a.1), subject(&b.0, &b.1));
        prop_assert_eq!(id(&a) == id(&b), a == b);
        prop_assert_eq!(user_of(&id(&a), &a.namespace), Some(a.user.clone()));
        let (start, end) = id_range(&a.namespace);
        prop_assert!(start < id(&a) && id(&a) < end);
        if a.namespace != b.namespace {
            prop_assert_eq!(user_of(&id(&a), &b.namespace), None);
            prop_assert!(!(start < id(&b) && id(&b) < end));
        }
    }

    #[test]
    fn names_are_injective_and_come_back(a in SOME, b in SOME) {
        let (a, b) = (key(&a), key(&b));
        prop_assert_eq!(field(&a) == field(&b), a == b);
        prop_assert!(!field(&a).contains('\0'));
        prop_assert_eq!(is_plain(&field(&a)), is_plain(a.as_str()));
        prop_assert_eq!(key_of(&field(&a)), Some(a));
    }
}
