//! What stands on the node: rows as they are documented, times to live, clocks, keys of every kind.

use std::time::{Duration, Instant};

use stickystore_cassandra::Config;
use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Change, Clock as _, Entry, Epoch, EpochCheck, Erase, ErrorKind,
    Expiry, Outcome, Revision, Subject, SystemClock, Ttl, UnixMillis, Value, ValueHash, Was, Write,
};

use crate::bench::{behind, call, entry, key, shared_node, store, user};

fn lives(millis: u64) -> Entry {
    let ttl = Ttl::new(Duration::from_millis(millis)).unwrap();
    Entry::new(Value::string("v"), Expiry::after(SystemClock.now(), ttl).unwrap())
}

/// A row behind the store's back: value, revision, expiry, extra, and the time to live of its value.
type Row = (String, String, i64, String, Option<i32>);

async fn row(session: &scylla::client::session::Session, subject: &Subject, name: &str) -> Option<Row> {
    let text = "SELECT value, revision, expiry, extra, TTL(value) FROM assignments WHERE namespace = ? AND user = ? AND key = ?";
    let names = (subject.namespace.as_str(), subject.user.as_str(), name);
    let answer = session.query_unpaged(text, names).await.unwrap().into_rows_result().unwrap();
    answer.maybe_first_row().unwrap()
}

#[tokio::test]
async fn rows_and_marks_are_as_they_are_documented() {
    let Some(node) = shared_node() else { return };
    let (store, subject, session) = (store(node.url()), user("ann"), behind(node.url()).await);
    let revision = Revision::from_bytes([0, 1, 2, 3, 4, 5, 6, 7]);
    let was = Was::new(vec![(ValueHash::of("old"), UnixMillis::new(5).unwrap())]);
    let entry =
        Entry::new(Value::new("{\"a\": 1.50}").unwrap(), Expiry::Never).with_revision(revision).with_was(was);
    store.put(call(), &subject, key("k"), entry).await.unwrap();
    let extra = "{\"was\":[[\"y6BrVzb69n4\",5]]}".to_owned();
    let wanted = ("{\"a\": 1.50}".to_owned(), "AAECAwQFBgc".to_owned(), i64::MAX, extra, None);
    assert_eq!(row(&session, &subject, "k").await, Some(wanted));

    let erase = Erase::new(subject.clone(), SystemClock.now()).with_epoch(Epoch::from_bytes([7; 8]));
    let until = erase.mark_until.get();
    assert!(store.erase_one(call(), erase).await.unwrap());
    let text = "SELECT key, epoch, epoch_until, TTL(epoch) FROM assignments WHERE namespace = ? AND user = ?";
    let names = (subject.namespace.as_str(), subject.user.as_str());
    let answer = session.query_unpaged(text, names).await.unwrap().into_rows_result().unwrap();
    let (no_key, epoch, ends, ttl): (Option<String>, String, i64, i32) = answer.single_row().unwrap();
    assert_eq!((no_key, epoch.as_str(), ends), (None, "BwcHBwcHBwc", i64::try_from(until).unwrap()));
    assert!((955..=962).contains(&ttl), "15 minutes, the grace and a second: {ttl}");
}

#[tokio::test]
async fn a_row_that_another_program_wrote_as_documented_is_read() {
    let Some(node) = shared_node() else { return };
    let (store, subject, session) = (store(node.url()), user("ann"), behind(node.url()).await);
    let text = "UPDATE assignments SET value = '\"red\"', revision = 'AAECAwQFBgc', expiry = 9223372036854775807 WHERE namespace = ? AND user = ? AND key = ? IF revision = null";
    session.query_unpaged(text, (subject.namespace.as_str(), subject.user.as_str(), "k")).await.unwrap();
    let read = store.get(call(), &subject, &key("k")).await.unwrap().unwrap();
    assert_eq!((read.value.as_str(), read.expiry), ("\"red\"", Expiry::Never));
    let replace = store.replace(call(), &subject, key("k"), read.revision, entry("blue")).await.unwrap();
    assert_eq!(replace, Outcome::Replaced);
}

#[tokio::test]
async fn a_refusal_tells_the_winner_with_all_that_it_has() {
    let Some(node) = shared_node() else { return };
    let (store, subject) = (store(node.url()), user("ann"));
    let was = || Was::new(vec![(ValueHash::of("old"), UnixMillis::new(5).unwrap())]);
    let winners = ["a", "b"].map(|value| (key(value), lives(60_000_000).with_was(was())));
    for (key, winner) in &winners {
        store.put(call(), &subject, key.clone(), winner.clone()).await.unwrap();
    }
    let other = || entry("other");
    let [(a, first), (b, second)] = winners;
    let alone = store.insert(call(), &subject, EpochCheck::Is(None), a.clone(), other()).await.unwrap();
    assert_eq!(alone, Outcome::Kept(first.clone()), "of one");
    let replace = store.replace(call(), &subject, a.clone(), Revision::random(), other()).await.unwrap();
    assert_eq!(replace, Outcome::Kept(first.clone()), "of a replace");
    let equal = first.clone().with_revision(Revision::random());
    let equal = store.replace(call(), &subject, a.clone(), first.revision, equal).await.unwrap();
    assert_eq!(equal, Outcome::Unchanged, "of an equal one");
    let changes = vec![
        Change::Insert(key("new"), other()),
        Change::Insert(b, other()),
        Change::Replace(a, Revision::random(), other()),
        Change::Replace(key("absent"), Revision::random(), other()),
    ];
    let write = Write::new(subject.clone(), EpochCheck::Is(None), changes).unwrap();
    let answers: Vec<_> =
        store.write_one(call(), write).await.into_iter().map(|answer| answer.unwrap()).collect();
    let wanted = [Outcome::Inserted, Outcome::Kept(second), Outcome::Kept(first), Outcome::Gone];
    assert_eq!(answers, wanted, "of several");
}

#[tokio::test]
async fn what_is_neither_an_entry_nor_a_mark_keeps_no_insert_out() {
    let Some(node) = shared_node() else { return };
    let (store, session) = (store(node.url()), behind(node.url()).await);
    let odd = [
        "UPDATE assignments SET extra = '{}' WHERE namespace = ? AND user = ? AND key = 'k' IF revision = null",
        "UPDATE assignments SET epoch_until = 7 WHERE namespace = ? AND user = ? IF epoch = null",
    ];
    for (place, text) in odd.into_iter().enumerate() {
        let subject = user(&place.to_string());
        session.query_unpaged(text, (subject.namespace.as_str(), subject.user.as_str())).await.unwrap();
        let (first, next) = (entry("v"), entry("next"));
        let inserted =
            store.insert(call(), &subject, EpochCheck::Is(None), key("k"), first.clone()).await.unwrap();
        assert_eq!(inserted, Outcome::Inserted, "{text}");
        let replaced = store.replace(call(), &subject, key("k"), first.revision, next).await.unwrap();
        assert_eq!(replaced, Outcome::Replaced, "{text}");
    }
}

#[tokio::test]
async fn each_row_has_a_time_to_live_of_its_own_and_none_where_servers_know_no_such_time() {
    let Some(node) = shared_node() else { return };
    let store = stickystore_cassandra::CassandraStore::new(
        &Config::from_url(node.url()).unwrap().with_grace(Duration::from_secs(5)),
    );
    let (store, subject, session) = (store.unwrap(), user("ann"), behind(node.url()).await);
    let years = 1_000 * 86_400 * 365;
    let all = [
        ("short", lives(1)),
        ("long", lives(60_000)),
        ("past 2038", lives(20 * years)),
        ("never", entry("v")),
    ];
    for (name, entry) in &all {
        let put = store.put(call(), &subject, key(name), entry.clone()).await;
        // A life of a millisecond may have ended.
        assert!([Outcome::Written, Outcome::Expired].contains(&put.unwrap()), "{name}");
    }
    // The longest first: a shorter one after it shortens nothing.
    store.put(call(), &subject, key("short"), lives(500)).await.unwrap();
    let ttl = async |name| row(&session, &subject, name).await.and_then(|row| row.4);
    assert!((60..=67).contains(&ttl("long").await.unwrap()));
    assert_eq!([ttl("past 2038").await, ttl("never").await], [None, None]);
    let until = Instant::now() + Duration::from_secs(30);
    while row(&session, &subject, "short").await.is_some() {
        assert!(Instant::now() < until, "the node sweeps what ended");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let left = store.load(call(), &subject).await.unwrap();
    assert_eq!(
        left.entries().map(|(key, _)| key.as_str()).collect::<Vec<_>>(),
        ["long", "never", "past 2038"]
    );
}

#[tokio::test]
async fn writers_whose_clocks_are_far_apart_lose_nothing_that_was_acknowledged() {
    let Some(node) = shared_node() else { return };
    let (ahead, behind) = (store(node.url()), store(node.url()));
    let hour = Duration::from_secs(3_600);
    for i in 0..50 {
        let subject = user(&i.to_string());
        let fast = call().at(SystemClock.now().saturating_add(hour));
        let slow = call().at(SystemClock.now().saturating_sub(hour));
        let first = entry("first");
        let read = first.revision;
        let insert = ahead.insert(fast, &subject, EpochCheck::Is(None), key("k"), first).await.unwrap();
        assert_eq!(insert, Outcome::Inserted);
        let replaced = behind.replace(slow, &subject, key("k"), read, entry("second")).await.unwrap();
        assert_eq!(replaced, Outcome::Replaced, "whoever is behind writes after, not before");
        let late =
            ahead.insert(fast, &subject, EpochCheck::Is(None), key("k"), entry("third")).await.unwrap();
        assert!(matches!(late, Outcome::Kept(kept) if kept.value.as_str() == "\"second\""));
        assert_eq!(behind.remove(slow, &subject, key("k")).await.unwrap(), Outcome::Removed);
        assert!(ahead.load(fast, &subject).await.unwrap().is_empty());
        let again =
            behind.insert(slow, &subject, EpochCheck::Is(None), key("k"), entry("again")).await.unwrap();
        assert_eq!(again, Outcome::Inserted, "what was removed leaves no ghost");
    }
}

#[tokio::test]
async fn a_replace_does_not_read_what_it_names_into_the_text_of_a_statement() {
    let Some(node) = shared_node() else { return };
    let store = store(node.url());
    let odd = ["'; DROP TABLE assignments; --", "a'b", "?", ":x", "$$", "\0", "{}", "null", "\"k\""];
    for id in odd {
        let subject = user(id);
        let changes = odd.map(|name| Change::Insert(key(name), entry(name))).into();
        let write = Write::new(subject.clone(), EpochCheck::Is(None), changes).unwrap();
        for answer in store.write_one(call(), write).await {
            assert_eq!(answer.unwrap(), Outcome::Inserted);
        }
        let profile = store.load(call(), &subject).await.unwrap();
        assert_eq!(profile.len(), odd.len());
        for name in odd {
            assert_eq!(profile.get(name).unwrap().value, Value::string(name));
        }
    }
}

#[tokio::test]
async fn a_thousand_changes_are_one_batch_and_meet_an_erasure_together() {
    let Some(node) = shared_node() else { return };
    let (store, subject) = (store(node.url()), user("ann"));
    let changes = (0..1_024).map(|i| Change::Insert(key(&i.to_string()), entry("v"))).collect();
    let write = Write::new(subject.clone(), EpochCheck::Is(None), changes).unwrap();
    let began = Instant::now();
    let answers = store.write_one(call(), write.clone()).await;
    println!("1024 inserts in one batch: {:?}", began.elapsed());
    assert!(answers.iter().all(|answer| matches!(answer, Ok(Outcome::Inserted))));
    // Sent again, every one finds itself; one that is taken is told of, the others are written.
    store.remove(call(), &subject, key("7")).await.unwrap();
    store.put(call(), &subject, key("8"), entry("other")).await.unwrap();
    let answers = store.write_one(call(), write).await;
    let kept = answers.iter().filter(|answer| matches!(answer, Ok(Outcome::Kept(_)))).count();
    let inserted = answers.iter().filter(|answer| matches!(answer, Ok(Outcome::Inserted))).count();
    assert_eq!((kept, inserted), (1, 1_023));
    assert!(store.erase_one(call(), Erase::new(subject.clone(), SystemClock.now())).await.unwrap());
    assert!(store.load(call(), &subject).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_of_many_pages_is_read_whole_or_erased() {
    let Some(node) = shared_node() else { return };
    let store = store(node.url());
    for round in 0..20 {
        let subject = user(&round.to_string());
        let changes = (0..300).map(|i| Change::Insert(key(&i.to_string()), entry("v"))).collect();
        let write = Write::new(subject.clone(), EpochCheck::Is(None), changes).unwrap();
        assert!(store.write_one(call(), write).await.iter().all(Result::is_ok));
        let (reading, read) = (store.clone(), subject.clone());
        let reader = tokio::spawn(async move {
            let mut sizes = Vec::new();
            while sizes.last() != Some(&0) {
                sizes.push(reading.load(call(), &read).await.unwrap().len());
            }
            sizes
        });
        assert!(store.erase_one(call(), Erase::new(subject.clone(), SystemClock.now())).await.unwrap());
        let sizes = reader.await.unwrap();
        assert!(sizes.iter().all(|size| [0, 300].contains(size)), "whole or gone: {sizes:?}");
    }
}

#[tokio::test]
async fn a_closed_store_is_closed_on_clones_too() {
    let Some(node) = shared_node() else { return };
    let first = store(node.url());
    let clone = first.clone();
    first.ping(call()).await.unwrap();
    clone.close(call()).await.unwrap();
    assert_eq!(first.ping(call()).await.unwrap_err().kind(), ErrorKind::Closed);
}
