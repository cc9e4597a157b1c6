//! What an answer says of a write that met a failure: lost replies, majorities that do not confirm, deadlines at every moment.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};
use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Clock as _, Effect, Entry, EpochCheck, Erase, ErrorKind, Outcome,
    Revision, SystemClock,
};
use stickystore_integration_tests::failing::MACHINE;
use stickystore_integration_tests::proxy::{Proxy, Rule};
use stickystore_integration_tests::server::mongodb::MongoDb;
use stickystore_mongodb::MongodbStore;

use crate::bench::{behind, call, entry, key, server, store, user, within};

/// How long a driver that found no server goes on looking for one, and longer than anything of ours may go on after its
/// deadline.
const LOOKS_AGAIN: Duration = Duration::from_millis(1_500);

/// The next so many writes of that kind are done, and the connection ends before the answer.
fn lose_replies(server: &MongoDb, times: i32) {
    let fail = doc! {
        "configureFailPoint": "onPrimaryTransactionalWrite",
        "mode": { "times": times },
        "data": { "closeConnection": true },
    };
    server.admin(fail);
}

/// The next so many commands with this name fail in this way.
fn fail(server: &MongoDb, times: i32, command: &str, how: Document) {
    let mut data = doc! { "failCommands": [command] };
    data.extend(how);
    server.admin(doc! { "configureFailPoint": "failCommand", "mode": { "times": times }, "data": data });
}

fn revision(outcome: &Outcome) -> Option<Revision> {
    if let Outcome::Kept(entry) = outcome { Some(entry.revision) } else { None }
}

#[tokio::test]
async fn a_write_whose_reply_is_lost_is_done_once_and_answered_as_the_first_time() {
    let Some(server) = server(&[]) else { return };
    let store = store(&server.url());
    let mut repeated = 0;
    // Names that a path can say, and one that it cannot.
    for name in ["plain", "$a.b"] {
        let (subject, key) = (user("ann"), key(name));
        let (red, blue, green) = (entry("red"), entry("blue"), entry("green"));
        let mut lose = || {
            lose_replies(&server, 1);
            repeated += 1;
            repeated
        };
        let check = EpochCheck::Is(None);
        let count = lose();
        let inserted = store.insert(call(), &subject, check, key.clone(), red.clone()).await.unwrap();
        assert_eq!((inserted, store.driver_retries()), (Outcome::Inserted, count));
        let count = lose();
        let put = store.put(call(), &subject, key.clone(), blue.clone()).await.unwrap();
        assert_eq!((put, store.driver_retries()), (Outcome::Written, count));
        let count = lose();
        let replaced = store.replace(call(), &subject, key.clone(), blue.revision, green.clone()).await;
        assert_eq!((replaced.unwrap(), store.driver_retries()), (Outcome::Replaced, count));
        let count = lose();
        let removed = store.remove_if(call(), &subject, key.clone(), green.revision).await.unwrap();
        assert_eq!((removed, store.driver_retries()), (Outcome::Removed, count));
        store.put(call(), &subject, key.clone(), red.clone()).await.unwrap();
        let count = lose();
        assert_eq!(store.remove(call(), &subject, key.clone()).await.unwrap(), Outcome::Removed);
        assert_eq!(store.driver_retries(), count);
        assert!(store.load(call(), &subject).await.unwrap().is_empty());
        store.put(call(), &subject, key.clone(), red.clone()).await.unwrap();
        let count = lose();
        assert!(store.erase_one(call(), Erase::new(subject.clone(), SystemClock.now())).await.unwrap());
        assert_eq!(store.driver_retries(), count);
        assert!(store.load(call(), &subject).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_write_whose_connection_ends_before_it_is_done_is_done_by_the_second_attempt() {
    let Some(server) = server(&[]) else { return };
    let (store, subject) = (store(&server.url()), user("ann"));
    let stands = entry("a");
    store.put(call(), &subject, key("a"), stands.clone()).await.unwrap();
    fail(&server, 1, "findAndModify", doc! { "closeConnection": true });
    let kept = store.insert(call(), &subject, EpochCheck::Is(None), key("a"), entry("b")).await.unwrap();
    assert_eq!((revision(&kept), store.driver_retries()), (Some(stands.revision), 1));
    fail(&server, 1, "findAndModify", doc! { "closeConnection": true });
    let removed = store.remove(call(), &subject, key("a")).await.unwrap();
    assert_eq!((removed, store.driver_retries()), (Outcome::Removed, 2));
}

#[tokio::test]
async fn a_write_that_no_attempt_gets_an_answer_for_is_unknown_and_found_by_the_next_call() {
    let Some(server) = server(&[]) else { return };
    let (store, subject) = (store(&server.url()), user("ann"));
    store.ping(call()).await.unwrap();
    let new = entry("v");
    let insert = || store.insert(call(), &subject, EpochCheck::Is(None), key("k"), new.clone());
    lose_replies(&server, 1);
    // The first attempt is done, and the second is not asked.
    server.admin(doc! {
        "configureFailPoint": "failCommand",
        "mode": { "skip": 1 },
        "data": { "failCommands": ["findAndModify"], "closeConnection": true },
    });
    let error = insert().await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::Unknown), "{error}");
    server.admin(doc! { "configureFailPoint": "failCommand", "mode": "off" });
    assert_eq!(store.get(call(), &subject, &key("k")).await.unwrap().unwrap().revision, new.revision);
    assert_eq!(insert().await.unwrap(), Outcome::Inserted, "it finds itself");
}

#[tokio::test]
async fn a_majority_that_has_not_confirmed_in_time_is_an_unknown_outcome_that_says_so() {
    let Some(server) = server(&[]) else { return };
    let (store, subject) = (store(&server.url()), user("ann"));
    for (code, kind, says) in [
        (64, ErrorKind::Timeout, "in time"),
        (50, ErrorKind::Timeout, "in time"),
        (100, ErrorKind::Unavailable, "code 100"),
        (91, ErrorKind::Unavailable, "code 91"),
    ] {
        let (name, new) = (key(&code.to_string()), entry("v"));
        let unmet = doc! { "writeConcernError": { "code": code, "errmsg": "s3cret" } };
        // Some are asked for again by the driver.
        fail(&server, 2, "findAndModify", unmet);
        let error = store.put(call(), &subject, name.clone(), new.clone()).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (kind, Effect::Unknown), "{error}");
        assert!(error.context().contains(says), "{error}");
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        server.admin(doc! { "configureFailPoint": "failCommand", "mode": "off" });
        let again = store.insert(call(), &subject, EpochCheck::Is(None), name, new).await;
        assert_eq!(again.unwrap(), Outcome::Inserted, "the next attempt finds it");
    }
}

#[tokio::test]
async fn what_the_server_refuses_has_a_kind_and_never_its_words() {
    let Some(server) = server(&[]) else { return };
    let (store, subject) = (store(&server.url()), user("ann"));
    store.put(call(), &subject, key("k"), entry("v")).await.unwrap();
    for (code, kind, effect) in [
        (13, ErrorKind::Denied, Effect::NotApplied),
        (50, ErrorKind::Timeout, Effect::Unknown),
        (14031, ErrorKind::Full, Effect::NotApplied),
        (8, ErrorKind::Unexpected, Effect::Unknown),
    ] {
        let refusal = doc! { "errorCode": code };
        fail(&server, 1, "findAndModify", refusal.clone());
        let error = store.put(call(), &subject, key("k"), entry("w")).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (kind, effect), "{code}: {error}");
        fail(&server, 1, "find", refusal);
        let error = store.load(call(), &subject).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{code}: {error}");
    }
    // The driver asks once more, on both occasions.
    for code in [10107, 13435, 11602, 91, 189] {
        fail(&server, 4, "findAndModify", doc! { "errorCode": code, "errorLabels": ["RetryableWriteError"] });
        let error = store.put(call(), &subject, key("k"), entry("w")).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.effect()),
            (ErrorKind::Unavailable, Effect::Unknown),
            "{code}: {error}"
        );
        server.admin(doc! { "configureFailPoint": "failCommand", "mode": "off" });
    }
    assert_eq!(store.get(call(), &subject, &key("k")).await.unwrap().unwrap().value.as_str(), "\"v\"");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_applied_at_its_deadline_never_is() {
    let Some(server) = server(&[]) else { return };
    let behind = behind(&server.url()).await;
    let tried = (0..12_u64).map(|round| {
        let (port, behind) = (server.port(), behind.clone());
        tokio::spawn(async move {
            let proxy = Proxy::start(port).await;
            let url = format!("mongodb://127.0.0.1:{}/?directConnection=true", proxy.port());
            let (store, subject) = (Arc::new(store(&url)), user("ann"));
            store.ping(call()).await.unwrap();
            // Its connections end, and so does each new one.
            proxy.up(Rule::ResetAfter(0));
            while store.ping(within(100)).await.is_ok() {}
            let put = |name: &str| {
                let (store, subject, name) = (Arc::clone(&store), subject.clone(), key(name));
                let millis = 100 + 40 * round;
                tokio::spawn(async move { store.put(within(millis), &subject, name, entry("v")).await })
            };
            let puts: Vec<_> = ["a", "b", "c", "d"].map(put).into();
            let mut not_applied = 0;
            for put in puts {
                let error = put.await.unwrap().unwrap_err();
                not_applied += usize::from(error.effect() == Effect::NotApplied);
            }
            // The server can be reached as soon as they have ended.
            proxy.up(Rule::Pass);
            let until = Instant::now() + LOOKS_AGAIN;
            while Instant::now() < until {
                let id = doc! { "_id": MongodbStore::document_id(&subject) };
                let found = behind.find_one(id).await.unwrap();
                let found = found.map_or(0, |found| found.get_document("entries").unwrap().len());
                assert!(found <= 4 - not_applied, "{found} stand, {not_applied} were not applied");
            }
            not_applied
        })
    });
    let mut not_applied = 0;
    for tried in tried.collect::<Vec<_>>() {
        not_applied += tried.await.unwrap();
    }
    assert!(not_applied > 12, "most of them find nobody: {not_applied}");
}

#[tokio::test]
async fn a_call_with_no_time_after_a_long_silence_disturbs_no_other() {
    /// Longer than the store's patience with a client that gets no answers.
    const SILENCE: Duration = Duration::from_millis(5_500);
    let Some(server) = server(&[]) else { return };
    let proxy = Proxy::start(server.port()).await;
    let url = format!("mongodb://127.0.0.1:{}/?directConnection=true", proxy.port());
    let (store, subject) = (store(&url), user("ann"));
    store.put(call(), &subject, key("k"), entry("v")).await.unwrap();
    // Nobody asks anything for a while.
    tokio::time::sleep(SILENCE).await;
    let before = proxy.connections();
    proxy.down(Rule::Hold);
    let (other, user) = (store.clone(), subject.clone());
    let patient = tokio::spawn(async move { other.load(within(60_000), &user).await });
    let error = store.load(within(50), &subject).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    let more: Vec<_> = (0..3)
        .map(|_| {
            let (store, subject) = (store.clone(), subject.clone());
            tokio::spawn(async move { store.load(within(60_000), &subject).await })
        })
        .collect();
    proxy.down(Rule::Pass);
    assert_eq!(patient.await.unwrap().unwrap().len(), 1);
    for load in more {
        assert_eq!(load.await.unwrap().unwrap().len(), 1);
    }
    // At most one for each of those that asked at the same time.
    assert!(
        proxy.connections() <= before + 5,
        "the client is the same: {} after {before}",
        proxy.connections()
    );
}

#[tokio::test]
async fn calls_that_meet_a_closing_store_are_answered_or_closed_and_unknown_if_they_were_sent() {
    let Some(server) = server(&[]) else { return };
    for round in 0..20_u64 {
        let (store, subject) = (store(&server.url()), user("ann"));
        store.ping(call()).await.unwrap();
        let puts: Vec<_> = (0..100)
            .map(|i| {
                let (store, subject) = (store.clone(), subject.clone());
                let new: Entry = entry("v");
                tokio::spawn(async move { (i, store.put(call(), &subject, key(&i.to_string()), new).await) })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(round)).await;
        store.close(call()).await.unwrap();
        let mut answers = Vec::new();
        for put in puts {
            answers.push(put.await.unwrap());
        }
        let store = crate::bench::store(&server.url());
        let profile = store.load(call(), &subject).await.unwrap();
        for (i, answer) in answers {
            let stands = profile.get(i.to_string().as_str()).is_some();
            match answer {
                Ok(outcome) => assert!(outcome == Outcome::Written && stands),
                Err(error) if error.effect() == Effect::NotApplied => {
                    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
                    assert!(!stands, "{error}");
                }
                Err(error) => assert_eq!(error.effect(), Effect::Unknown, "{error}"),
            }
        }
        store.close(call()).await.unwrap();
    }
}

#[tokio::test]
async fn a_name_that_leads_nowhere_is_unavailable_in_time() {
    // Nobody ever has a name below this one.
    let store = store("mongodb+srv://servers.example.invalid/shop");
    let began = Instant::now();
    let error = store.put(within(400), &user("ann"), key("k"), entry("v")).await.unwrap_err();
    // No answer at all is a matter of time.
    let kinds = [ErrorKind::Unavailable, ErrorKind::Timeout];
    assert!(kinds.contains(&error.kind()) && error.effect() == Effect::NotApplied, "{error}");
    assert!(began.elapsed() < Duration::from_millis(400 + 100) + MACHINE, "{:?}", began.elapsed());
    store.close(call()).await.unwrap();
}
