//! What only a real server does: rights, limits, damage, majorities that are missing, sweeping.

use std::time::{Duration, Instant};

use mongodb::Collection;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Change, Clock as _, Effect, Entry, EpochCheck, Erase, ErrorKind,
    Expiry, Outcome, Read, SystemClock, Ttl, Write,
};
use stickystore_integration_tests::failing::{MACHINE, OVERRUN};
use stickystore_integration_tests::server::mongodb::MongoDb;
use stickystore_mongodb::{Config, MongodbStore};

use crate::bench::{behind, call, entry, key, or_skip, server, store, user, within};

/// A server with users, of whom `root` may everything.
fn with_users() -> Option<MongoDb> {
    let folder = stickystore_integration_tests::server::Folder::new("mongodb-key");
    let key_file = folder.path().join("key");
    std::fs::write(&key_file, "only for these tests").unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&key_file, private).unwrap();
    let server = server(&["--keyFile", key_file.to_str().unwrap()])?;
    // Who is on the same machine may make the first user.
    server.admin(doc! { "createUser": "root", "pwd": "right", "roles": ["root"] });
    Some(server)
}

fn as_user(server: &MongoDb, user: &str, password: &str) -> String {
    server.url().replace("mongodb://", &format!("mongodb://{user}:{password}@")) + "&authSource=admin"
}

async fn admin(url: &str, command: Document) {
    let client = mongodb::Client::with_uri_str(url).await.unwrap();
    client.database("admin").run_command(command).await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_is_denied_and_a_right_one_later_needs_no_new_handle() {
    let Some(server) = with_users() else { return };
    let root = as_user(&server, "root", "right");
    let subject = user("ann");
    store(&root).put(call(), &subject, key("k"), entry("v")).await.unwrap();
    let wrong = store(&as_user(&server, "root", "wr0ng"));
    let error = wrong.put(call(), &subject, key("k"), entry("v")).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Denied, Effect::NotApplied), "{error}");
    assert!(!format!("{error:?}").contains("wr0ng"));
    let error = wrong.load(call(), &subject).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    admin(&root, doc! { "updateUser": "root", "pwd": "wr0ng" }).await;
    assert_eq!(wrong.load(call(), &subject).await.unwrap().len(), 1);
    let nobody = store(&server.url()).put(call(), &subject, key("k"), entry("v")).await.unwrap_err();
    assert_eq!((nobody.kind(), nobody.effect()), (ErrorKind::Denied, Effect::NotApplied), "{nobody}");
}

#[tokio::test]
async fn the_rights_that_are_documented_are_enough_and_the_index_is_another_matter() {
    let Some(server) = with_users() else { return };
    let root = as_user(&server, "root", "right");
    let resource = doc! { "db": "stickystore", "collection": "assignments" };
    let role = |name: &str, actions: &[&str]| {
        let privileges = doc! { "resource": &resource, "actions": actions.to_vec() };
        doc! { "createRole": name, "privileges": [privileges], "roles": [] }
    };
    admin(&root, role("writes", &["find", "insert", "update"])).await;
    admin(&root, role("reads", &["find"])).await;
    for name in ["writes", "reads"] {
        admin(&root, doc! { "createUser": name, "pwd": "pw", "roles": [name] }).await;
    }
    let writes_url = as_user(&server, "writes", "pw");
    let (writes, reads, subject) = (store(&writes_url), store(&as_user(&server, "reads", "pw")), user("ann"));
    assert_eq!(writes.put(call(), &subject, key("k"), entry("v")).await.unwrap(), Outcome::Written);
    assert_eq!(writes.load(call(), &subject).await.unwrap().len(), 1);
    assert!(writes.erase_one(call(), Erase::new(subject.clone(), SystemClock.now())).await.unwrap());
    assert_eq!(writes.scan_users(call(), &subject.namespace, None, 10).await.unwrap().users.len(), 0);
    let error =
        MongodbStore::apply_schema(&Config::from_url(&writes_url).unwrap(), call()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(reads.load(call(), &subject).await.unwrap().is_empty(), "who may not write can read");
    let rights = async |store: &MongodbStore| {
        let findings = store.diagnose(call()).await.into_iter();
        findings
            .filter(|finding| finding.name == "rights-missing")
            .map(|finding| finding.evidence)
            .collect::<Vec<_>>()
    };
    assert_eq!(rights(&writes).await, Vec::<String>::new());
    assert_eq!(rights(&reads).await, ["missing: insert, update"]);
    let error = reads.put(call(), &subject, key("k"), entry("v")).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Denied, Effect::NotApplied), "{error}");
}

#[tokio::test]
async fn a_majority_that_is_missing_is_an_unknown_outcome() {
    let Some(mut set) = or_skip(MongoDb::replica_set(3, &[])) else { return };
    let (store, subject) = (store(&set.url()), user("ann"));
    store.put(call(), &subject, key("a"), entry("v")).await.unwrap();
    let primary = set.wait_for_primary();
    let others: Vec<_> = (0..3).filter(|member| *member != primary).collect();
    for other in &others {
        set.pause(*other);
    }
    let began = Instant::now();
    let answer = store.put(within(500), &subject, key("b"), entry("v")).await;
    // It steps down in the end.
    let error = answer.unwrap_err();
    assert_eq!(error.effect(), Effect::Unknown, "{error}");
    assert!(began.elapsed() < Duration::from_millis(500) + OVERRUN + MACHINE);
    let read = store.get(within(500), &subject, &key("b")).await;
    assert!(read.is_err() || read.unwrap().is_none(), "what no majority has is not served");
    for other in others {
        set.resume(other);
    }
    set.wait_for_primary();
    let again = store.put(call(), &subject, key("c"), entry("v")).await;
    assert_eq!(again.unwrap(), Outcome::Written);
    set.kill(0);
}

#[tokio::test]
async fn a_user_that_outgrows_a_document_is_too_large_and_keeps_what_it_has() {
    let Some(server) = server(&[]) else { return };
    let (store, subject) = (store(&server.url()), user("ann"));
    let filler = entry(&"x".repeat(1_000_000));
    for i in 0..16 {
        let put = store.put(call(), &subject, key(&i.to_string()), filler.clone()).await;
        assert_eq!(put.unwrap(), Outcome::Written, "{i}");
    }
    let error = store.put(call(), &subject, key("16"), filler.clone()).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::TooLarge, Effect::NotApplied), "{error}");
    assert_eq!(store.load(call(), &subject).await.unwrap().len(), 16);
    assert_eq!(store.remove(call(), &subject, key("3")).await.unwrap(), Outcome::Removed);
    assert_eq!(store.put(call(), &subject, key("16"), filler.clone()).await.unwrap(), Outcome::Written);
    let changes = |count: usize| {
        (0..count)
            .map(|i| Change::Insert(key(&i.to_string()), Entry::new(filler.value.clone(), Expiry::Never)))
    };
    let fresh = user("bob");
    let write = Write::new(fresh.clone(), EpochCheck::Is(None), changes(40).collect()).unwrap();
    let answers = store.write_one(call(), write).await;
    let (fit, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((fit.len(), refused.len()), (16, 24), "as many as a document holds");
    for error in refused.into_iter().map(Result::unwrap_err) {
        assert_eq!((error.kind(), error.effect()), (ErrorKind::TooLarge, Effect::NotApplied), "{error}");
    }
    assert_eq!(store.load(call(), &fresh).await.unwrap().len(), 16);
}

#[tokio::test]
async fn a_thousand_large_entries_and_ids_of_the_longest_kind_are_no_matter() {
    let Some(server) = server(&[]) else { return };
    let store = store(&server.url());
    let long = |first: &str| first.to_owned() + &":".repeat(4_096 - first.len());
    let subject = stickystore_core::Subject::new(
        stickystore_core::Namespace::new(long("n")).unwrap(),
        stickystore_core::UserId::new(long("u")).unwrap(),
    );
    let name = |i: usize| key(&format!("{i:04}{}", ".$\0%".repeat(300)));
    let changes: Vec<_> = (0..1_024).map(|i| Change::Insert(name(i), entry(&"x".repeat(5_000)))).collect();
    let write = Write::new(subject.clone(), EpochCheck::Is(None), changes).unwrap();
    for answer in store.write_one(call(), write.clone()).await {
        assert_eq!(answer.unwrap(), Outcome::Inserted);
    }
    for answer in store.write_one(call(), write).await {
        assert_eq!(answer.unwrap(), Outcome::Inserted, "a retry finds itself");
    }
    assert_eq!(store.load(call(), &subject).await.unwrap().len(), 1_024);
    assert!(store.get(call(), &subject, &name(7)).await.unwrap().is_some());
    let page = store.scan_users(call(), &subject.namespace, None, 10).await.unwrap();
    assert_eq!((page.users.len(), page.users[0].0.clone()), (1, subject.user.clone()));
}

#[tokio::test]
async fn users_of_a_collection_that_folds_case_are_never_mixed() {
    let Some(server) = server(&[]) else { return };
    let collation = doc! { "locale": "en", "strength": 1 };
    let create = doc! { "create": "assignments", "collation": collation };
    behind(&server.url()).await.client().database("stickystore").run_command(create).await.unwrap();
    let (store, ann) = (store(&server.url()), user("ann"));
    let other =
        stickystore_core::Subject::new(ann.namespace.clone(), stickystore_core::UserId::new("ANN").unwrap());
    store.put(call(), &ann, key("k"), entry("v")).await.unwrap();
    assert!(store.load(call(), &other).await.unwrap().is_empty());
    let error = store.put(call(), &other, key("k"), entry("w")).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Config, Effect::NotApplied), "{error}");
    assert!(error.context().contains("collation"), "{error}");
    assert_eq!(store.get(call(), &ann, &key("k")).await.unwrap().unwrap().value.as_str(), "\"v\"");
}

#[tokio::test]
async fn a_hundred_upserts_of_one_new_user_all_answer() {
    let Some(server) = server(&[]) else { return };
    let stores = [store(&server.url()), store(&server.url())];
    for round in 0..10 {
        let subject = user(&round.to_string());
        let inserts = (0..100).map(|i| {
            let (store, subject) = (stores[i % 2].clone(), subject.clone());
            tokio::spawn(async move {
                store
                    .insert(call(), &subject, EpochCheck::Is(None), key("k"), entry(&i.to_string()))
                    .await
                    .unwrap()
            })
        });
        let mut winners = 0;
        for insert in inserts.collect::<Vec<_>>() {
            match insert.await.unwrap() {
                Outcome::Inserted => winners += 1,
                Outcome::Kept(_) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(winners, 1);
    }
}

/// A document whose strings are what no driver would send.
fn with_bytes(id: &str, at: &str) -> RawDocumentBuf {
    let member = doc! { "revision": "AAAAAAAAAAA", "expiry": i64::MAX, "value": "\"@@@@\"" };
    let entries = doc! { "good": &member, "@@@@": member };
    let document = doc! { "_id": id, "v": 1, "entries": entries, "note": "@@@@" };
    let mut bytes = RawDocumentBuf::try_from(&document).unwrap().into_bytes();
    let places: Vec<_> = (0..bytes.len() - 4).filter(|i| bytes[*i..].starts_with(b"@@@@")).collect();
    // In their order: the good entry's value, the other one's name and value, the note.
    let place = match at {
        "value" => places[2],
        "name" => places[1],
        _ => places[3],
    };
    bytes[place] = 0xff;
    RawDocumentBuf::from_bytes(bytes).unwrap()
}

#[tokio::test]
async fn bytes_that_are_no_text_are_damage_and_never_absent() {
    let Some(server) = server(&[]) else { return };
    let (store, behind) = (store(&server.url()), behind(&server.url()).await);
    let raw: Collection<RawDocumentBuf> = behind.clone_with_type();
    for (at, is_whole) in [("value", true), ("note", true), ("name", false)] {
        let subject = user(at);
        raw.insert_one(with_bytes(&MongodbStore::document_id(&subject), at)).await.unwrap();
        match store.load(call(), &subject).await {
            Ok(profile) => {
                assert!(is_whole, "{at}");
                assert_eq!(profile.damaged().len() + profile.len(), 2, "{at}");
                assert!(profile.get("good").is_some(), "{at}");
            }
            Err(error) => assert!(!is_whole && error.kind() == ErrorKind::Corrupt, "{at}: {error}"),
        }
    }
}

#[tokio::test]
async fn a_field_of_a_document_that_is_damaged_by_hand_is_never_absent() {
    let Some(server) = server(&[]) else { return };
    let (store, behind) = (store(&server.url()), behind(&server.url()).await);
    let odd = || {
        vec![
            Bson::Null,
            Bson::Int32(7),
            Bson::Int64(7),
            Bson::Double(7.0),
            Bson::Boolean(true),
            "x".into(),
            Document::new().into(),
            Vec::<Bson>::new().into(),
            mongodb::bson::DateTime::from_millis(7).into(),
            Bson::MinKey,
            Bson::MaxKey,
            Bson::Undefined,
        ]
    };
    let paths = [
        "v",
        "mark",
        "mark.epoch",
        "mark.until",
        "entries",
        "entries.k",
        "entries.k.revision",
        "entries.k.expiry",
        "entries.k.value",
        "entries.k.extra",
    ];
    let now = SystemClock.now();
    let mut tried = 0;
    for path in paths {
        for odd in odd().into_iter().map(Some).chain([None]) {
            let subject = user(&tried.to_string());
            tried += 1;
            store.erase_one(call(), Erase::new(subject.clone(), now)).await.unwrap();
            store.put(call(), &subject, key("k"), entry("v")).await.unwrap();
            let id = doc! { "_id": MongodbStore::document_id(&subject) };
            let damage = match &odd {
                Some(odd) => doc! { "$set": { path: odd } },
                None => doc! { "$unset": { path: 1 } },
            };
            behind.update_one(id, damage).await.unwrap();
            // What only says when a mark is there, or that an entry has more, may be absent as a whole.
            let may_be_away = odd.is_none() && ["mark", "entries.k", "entries.k.extra"].contains(&path)
                || path == "entries" && odd == Some(Document::new().into());
            // A number of the right kind is a time that has passed.
            let has_ended = path == "entries.k.expiry" && odd == Some(Bson::Int64(7));
            let marks = path == "mark.until" && odd == Some(Bson::Int64(7));
            match store.load(call(), &subject).await {
                Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{path} {odd:?}"),
                Ok(profile) if may_be_away || has_ended || marks => drop(profile),
                Ok(profile) => assert_eq!(profile.damaged().len(), 1, "{path} {odd:?} {profile:?}"),
            }
        }
    }
}

#[tokio::test]
async fn what_has_ended_is_swept_by_the_server_once_the_index_is_there() {
    let Some(server) = server(&[]) else { return };
    let config = Config::from_url(&server.url()).unwrap().with_grace(Duration::from_millis(50));
    MongodbStore::apply_schema(&config, call()).await.unwrap();
    MongodbStore::apply_schema(&config, call()).await.unwrap();
    let (store, behind) = (MongodbStore::new(&config).unwrap(), behind(&server.url()).await);
    let lives = |millis| {
        let ttl = Ttl::new(Duration::from_millis(millis)).unwrap();
        Entry::new(stickystore_core::Value::string("v"), Expiry::after(SystemClock.now(), ttl).unwrap())
    };
    let [short, mixed, endless] = ["short", "mixed", "endless"].map(user);
    store.put(call(), &short, key("a"), lives(1)).await.unwrap();
    store.put(call(), &mixed, key("long"), lives(60_000)).await.unwrap();
    store.put(call(), &mixed, key("a"), lives(1)).await.unwrap();
    store.put(call(), &endless, key("endless"), entry("v")).await.unwrap();
    store.put(call(), &endless, key("a"), lives(1)).await.unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    let id = |subject| doc! { "_id": MongodbStore::document_id(subject) };
    while behind.count_documents(id(&short)).await.unwrap() > 0 {
        assert!(Instant::now() < until, "what ended is swept");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let reads = [&mixed, &endless].map(|subject| Read::all(subject.clone()));
    let profiles = store.read(call(), &reads).await;
    for (profile, left) in profiles.iter().zip(["long", "endless"]) {
        assert!(profile.as_ref().unwrap().get(left).is_some(), "{left}");
    }
    // The next write of the same user takes away what ended there.
    store.put(call(), &mixed, key("b"), lives(60_000)).await.unwrap();
    let document = behind.find_one(id(&mixed)).await.unwrap().unwrap();
    let names: Vec<_> = document.get_document("entries").unwrap().keys().cloned().collect();
    assert_eq!(names, ["long", "b"]);
}

#[tokio::test]
async fn another_index_in_the_way_is_named() {
    let Some(server) = server(&[]) else { return };
    let behind = behind(&server.url()).await;
    behind.create_index(mongodb::IndexModel::builder().keys(doc! { "sweep": 1 }).build()).await.unwrap();
    let error =
        MongodbStore::apply_schema(&Config::from_url(&server.url()).unwrap(), call()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.context().contains("stickystore_sweep"), "{error}");
}

#[tokio::test]
async fn databases_and_collections_of_the_url_are_used() {
    let Some(server) = server(&[]) else { return };
    let subject = user("ann");
    let elsewhere = server.url().replace("/?", "/other?") + "&collection=kept";
    store(&elsewhere).put(call(), &subject, key("k"), entry("v")).await.unwrap();
    assert!(store(&server.url()).load(call(), &subject).await.unwrap().is_empty());
    let named = server.url() + "&database=other&collection=kept";
    assert_eq!(store(&named).load(call(), &subject).await.unwrap().len(), 1);
    let preferring = named + "&readPreference=secondary&w=1&readConcernLevel=local&retryWrites=false";
    assert_eq!(
        store(&preferring).load(call(), &subject).await.unwrap().len(),
        1,
        "the primary is asked all the same"
    );
}

#[tokio::test]
async fn a_server_alone_works_too() {
    let Some(server) = or_skip(MongoDb::standalone(&[])) else { return };
    let (store, subject) = (store(&server.url()), user("ann"));
    assert_eq!(store.put(call(), &subject, key("k"), entry("v")).await.unwrap(), Outcome::Written);
    assert_eq!(store.load(call(), &subject).await.unwrap().len(), 1);
    assert!(store.erase_one(call(), Erase::new(subject, SystemClock.now())).await.unwrap());
}
