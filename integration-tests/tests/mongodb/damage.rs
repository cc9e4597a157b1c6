//! Documents that no driver of ours would write: ids of others, ids of another type, members twice.

use mongodb::Collection;
use mongodb::bson::{Bson, RawDocumentBuf, doc};
use stickystore_core::{
    AsyncStoreExt as _, Clock as _, EpochCheck, Erase, ErrorKind, Outcome, Revision, SystemClock, UserId,
};
use stickystore_mongodb::MongodbStore;

use crate::bench::{behind, call, entry, key, server, store, user};

#[tokio::test]
async fn a_scan_goes_past_ids_that_are_nobodys_however_many_there_are() {
    let Some(server) = server(&[]) else { return };
    let (store, behind) = (store(&server.url()), behind(&server.url()).await);
    let mut found = Vec::new();
    let ann = user("ann");
    let namespace = &ann.namespace;
    let subject = |id: &str| stickystore_core::Subject::new(namespace.clone(), UserId::new(id).unwrap());
    for id in ["a", "z"] {
        store.put(call(), &subject(id), key("k"), entry("v")).await.unwrap();
    }
    for i in 0..20 {
        // We would have written the letter itself.
        behind.insert_one(doc! { "_id": format!("{namespace}:%4{i}"), "v": 1, "entries": {} }).await.unwrap();
    }
    let mut cursor = None;
    for _ in 0..100 {
        let page = store.scan_users(call(), namespace, cursor.as_ref(), 3).await.unwrap();
        found.extend(page.users.into_iter().map(|(user, _)| user.as_str().to_owned()));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, ["a", "z"]);
    for wrong in ["", "ann", "other:ann", &format!("{namespace}:"), &format!("{namespace};")] {
        let wrong = stickystore_core::Cursor::new(wrong);
        let error = store.scan_users(call(), namespace, Some(&wrong), 3).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{wrong:?}");
    }
}

#[tokio::test]
async fn an_id_that_is_a_symbol_is_the_same_to_us_as_to_the_server() {
    let Some(server) = server(&[]) else { return };
    let (store, behind) = (store(&server.url()), behind(&server.url()).await);
    let (subject, other) = (user("ann"), user("ann"));
    for (subject, document) in [
        (
            &subject,
            doc! { "v": 1, "entries": { "k": { "revision": "AAAAAAAAAAA", "expiry": i64::MAX, "value": "1" } } },
        ),
        (&other, doc! { "x": 1 }),
    ] {
        let mut document = document;
        document.insert("_id", Bson::Symbol(MongodbStore::document_id(subject)));
        behind.insert_one(document).await.unwrap();
    }
    assert_eq!(store.load(call(), &subject).await.unwrap().len(), 1);
    assert_eq!(store.scan_users(call(), &subject.namespace, None, 3).await.unwrap().users.len(), 1);
    let kept = store.insert(call(), &subject, EpochCheck::Is(None), key("k"), entry("v")).await.unwrap();
    assert!(matches!(kept, Outcome::Kept(_)), "{kept:?}");
    assert_eq!(store.load(call(), &other).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(store.erase_one(call(), Erase::new(other.clone(), SystemClock.now())).await.unwrap());
    assert!(store.load(call(), &other).await.unwrap().epoch().is_some());
}

/// What the server makes of a write to such a document, it does not say; some end it.
#[tokio::test]
async fn a_member_that_stands_there_twice_is_damaged() {
    let Some(server) = server(&[]) else { return };
    let (store, behind) = (store(&server.url()), behind(&server.url()).await);
    let raw: Collection<RawDocumentBuf> = behind.clone_with_type();
    let member = |byte, value: &str| {
        let revision = Revision::from_bytes([byte; 8]).to_string();
        RawDocumentBuf::try_from(&doc! { "revision": revision, "expiry": i64::MAX, "value": value }).unwrap()
    };
    let subject = user("ann");
    let (mut entries, mut document) = (RawDocumentBuf::new(), RawDocumentBuf::new());
    entries.append("k", member(1, "1"));
    entries.append("other", member(2, "2"));
    entries.append("k", member(3, "3"));
    document.append("_id", MongodbStore::document_id(&subject));
    document.append("v", 1);
    document.append("entries", entries);
    raw.insert_one(document).await.unwrap();
    let profile = store.load(call(), &subject).await.unwrap();
    assert_eq!((profile.len(), profile.damaged().len()), (1, 1));
    let error = store.get(call(), &subject, &key("k")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}
