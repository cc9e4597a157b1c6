//! One queued write as a record of the journal: JSON text, and back. No I/O.
//!
//! Version 1, as `docs/layout.md` has it:
//! `{"v":1,"namespace":"shop","user":"ann","epoch":null,"at":1700000000000,"changes":{"button":{"insert":{..}}}}`.

use stickystore_core::json::{self, Members, ObjectWriter};
use stickystore_core::{
    Change, Damage, Epoch, EpochCheck, Key, Namespace, Revision, Subject, UnixMillis, UserId, Value, Write,
    codec,
};

const VERSION: &str = "1";

/// Writes a queued write down, with when it was queued. Only what may be queued can be written.
pub(super) fn encode(write: &Write, at: UnixMillis) -> Option<Value> {
    let mut changes = ObjectWriter::new();
    for change in write.changes() {
        let mut object = ObjectWriter::new();
        match change {
            Change::Insert(_, entry) => object.raw("insert", &codec::encode(entry)),
            Change::Replace(_, read, entry) => {
                object.string("read", &read.to_string());
                object.raw("replace", &codec::encode(entry));
            }
            Change::RemoveIf(_, read) => object.string("remove_if", &read.to_string()),
            _ => return None,
        }
        changes.raw(change.key().as_str(), &object.finish());
    }
    let subject = write.subject();
    let mut object = ObjectWriter::new();
    object.raw("v", VERSION);
    object.string("namespace", subject.namespace.as_str());
    object.string("user", subject.user.as_str());
    match write.epoch() {
        EpochCheck::Ignore => {}
        EpochCheck::Is(None) => object.raw("epoch", "null"),
        EpochCheck::Is(Some(epoch)) => object.string("epoch", &epoch.to_string()),
    }
    object.number("at", at.get());
    object.raw("changes", &changes.finish());
    Value::new(object.finish()).ok()
}

/// Reads what [`encode`] wrote.
pub(super) fn decode(text: &str) -> Result<(Write, UnixMillis), Damage> {
    let members = Members::parse(text).map_err(|_| Damage::new("is not a JSON object"))?;
    if members.get("v") != Some(VERSION) {
        return Err(Damage::new("has a layout version that this program does not know"));
    }
    let text_of = |name| members.get(name).and_then(json::as_string);
    let namespace = text_of("namespace").and_then(|text| Namespace::new(text.as_ref()).ok());
    let user = text_of("user").and_then(|text| UserId::new(text.as_ref()).ok());
    let (Some(namespace), Some(user)) = (namespace, user) else {
        return Err(Damage::new("names no user"));
    };
    let epoch = match members.get("epoch") {
        None => EpochCheck::Ignore,
        Some("null") => EpochCheck::Is(None),
        Some(text) => {
            let epoch = json::as_string(text).and_then(|text| Epoch::parse(&text).ok());
            EpochCheck::Is(Some(epoch.ok_or(Damage::new("has an epoch that is none"))?))
        }
    };
    let at = members.get("at").and_then(|text| text.parse().ok()).and_then(|at| UnixMillis::new(at).ok());
    let at = at.ok_or(Damage::new("does not say when it was queued"))?;
    let changes = Members::parse(members.get("changes").unwrap_or_default());
    let changes = changes.map_err(|_| Damage::new("has no changes"))?;
    let changes: Option<Vec<_>> = changes.iter().map(|(key, text)| change(key, text)).collect();
    let changes = changes.ok_or(Damage::new("has a change that is none"))?;
    let write = Write::new(Subject::new(namespace, user), epoch, changes);
    let write = write.map_err(|_| Damage::new("has changes that are no write"))?;
    match super::enqueue::check_changes(&write) {
        Ok(()) => Ok((write, at)),
        Err(_) => Err(Damage::new("has a change that is never queued")),
    }
}

fn change(key: &str, text: &str) -> Option<Change> {
    let key = Key::new(key).ok()?;
    let members = Members::parse(text).ok()?;
    let revision =
        |name| members.get(name).and_then(json::as_string).and_then(|text| Revision::parse(&text).ok());
    if let Some(entry) = members.get("insert") {
        return Some(Change::Insert(key, codec::decode(entry).ok()?));
    }
    if let Some(entry) = members.get("replace") {
        return Some(Change::Replace(key, revision("read")?, codec::decode(entry).ok()?));
    }
    Some(Change::RemoveIf(key, revision("remove_if")?))
}

#[cfg(test)]
mod tests {
    use stickystore_core::{Entry, Expiry};

    use super::*;

    fn write() -> Write {
        let revision = |byte| Revision::from_bytes([byte; 8]);
        let entry = |value, byte| {
            let expiry = Expiry::At(UnixMillis::new(1_700_000_000_000).unwrap());
            Entry::new(Value::string(value), expiry).with_revision(revision(byte))
        };
        let subject = Subject::new(Namespace::new("shop").unwrap(), UserId::new("ann \"a\"").unwrap());
        let key = |text: &str| Key::new(text).unwrap();
        let changes = vec![
            Change::Insert(key("button"), entry("red", 1)),
            Change::Replace(key("menu"), revision(2), entry("long", 3)),
            Change::RemoveIf(key("old"), revision(4)),
        ];
        Write::new(subject, EpochCheck::Is(None), changes).unwrap()
    }

    fn at() -> UnixMillis {
        UnixMillis::new(1_600_000_000_000).unwrap()
    }

    #[test]
    fn the_layout_is_frozen() {
        let golden = include_str!("../../golden/journal-v1.json").trim_end();
        assert_eq!(encode(&write(), at()).unwrap().as_str(), golden);
        assert_eq!(decode(golden).unwrap(), (write(), at()));
    }

    #[test]
    fn each_epoch_check_is_read_back() {
        let removal = write().filtered(|place, _| place == 2);
        for epoch in
            [EpochCheck::Ignore, EpochCheck::Is(None), EpochCheck::Is(Some(Epoch::from_bytes([7; 8])))]
        {
            let write = Write::new(removal.subject().clone(), epoch, removal.changes().to_vec()).unwrap();
            let text = encode(&write, at()).unwrap();
            assert_eq!(decode(text.as_str()).unwrap().0, write);
        }
    }

    #[test]
    fn every_part_that_is_off_is_damage() {
        let golden = include_str!("../../golden/journal-v1.json").trim_end();
        for (part, other) in [
            ("\"v\":1", "\"v\":2"),
            ("\"v\":1,", ""),
            ("\"shop\"", "\"\""),
            ("\"user\"", "\"usr\""),
            ("\"epoch\":null", "\"epoch\":5"),
            // An insert that asks for no epoch could bring erased data back.
            ("\"epoch\":null,", ""),
            ("1600000000000", "-1"),
            ("\"at\":1600000000000,", ""),
            ("\"insert\"", "\"put\""),
            ("\"read\"", "\"red\""),
            ("\"changes\"", "\"change\""),
        ] {
            let text = golden.replacen(part, other, 1);
            assert_ne!(text, golden, "{part}");
            assert!(decode(&text).is_err(), "{text}");
        }
        assert!(decode("").is_err() && decode("[]").is_err());
    }
}
