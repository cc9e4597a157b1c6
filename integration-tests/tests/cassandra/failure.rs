//! Dead, paused, restarting, half-answering nodes: every call ends in time and says what it knows.

use std::sync::Arc;
use std::time::Duration;

use stickystore_cassandra::{CONNECT_TIMEOUT, CassandraStore, Config};
use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Change, Clock as _, Effect, EpochCheck, Erase, ErrorKind, Outcome,
    Result, SystemClock, Write,
};
use stickystore_integration_tests::failing::{self, DEADLINE, timed, works_within};
use stickystore_integration_tests::proxy::{Proxy, Rule};
use stickystore_integration_tests::server::cassandra::Shared;

use crate::bench::{call, entry, insert, key, node, shared_node, store, through, url, user, within};

/// How soon a node that is back is of use again.
const BACK_WITHIN: Duration = Duration::from_secs(1);

/// How soon the driver has new connections where it lost them all.
const CONNECTED_WITHIN: Duration = Duration::from_secs(10);

/// A proxy to the node that tests share.
async fn proxied() -> Option<(Arc<Shared>, Proxy, CassandraStore)> {
    let node = shared_node()?;
    let config = node.url().split_once("://").unwrap().1.split('/').next().unwrap().to_owned();
    let port = config.rsplit_once(':').map_or(9042, |(_, port)| port.parse().unwrap());
    let proxy = Proxy::start(port).await;
    let store = through(proxy.port());
    Some((node, proxy, store))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dies_restarts_or_pauses_is_unavailable_in_time_and_of_use_again_with_what_it_had() {
    let Some(mut node) = node() else { return };
    let (store, subject) = (store(&url(&node)), user("ann"));
    assert_eq!(insert(&store, call(), &subject, "a").await.unwrap(), Outcome::Inserted);
    let read = store.get(call(), &subject, &key("a")).await.unwrap().unwrap().revision;

    node.pause(0);
    let error = timed(DEADLINE, async |call| insert(&store, call, &subject, "late").await).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::Unknown));
    for _ in 0..2 {
        let error = timed(DEADLINE, async |call| store.load(call, &subject).await).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
    }
    node.resume(0);
    // An attempt to connect that fell into the pause ends first.
    let back = BACK_WITHIN + 2 * CONNECT_TIMEOUT;
    works_within(back, back, &store, &subject).await;

    node.kill(0);
    for _ in 0..3 {
        let error = timed(DEADLINE, async |call| store.load(call, &subject).await).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    let error = timed(DEADLINE, async |call| insert(&store, call, &subject, "b").await).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::NotApplied), "{error}");
    let config = Config::from_url(&url(&node)).unwrap();
    let opened = timed(DEADLINE, async |call| CassandraStore::connect(&config, call).await).await;
    assert_eq!(opened.unwrap_err().kind(), ErrorKind::Unavailable);
    let closed = CassandraStore::new(&config).unwrap();
    assert_eq!(closed.load(call(), &subject).await.unwrap_err().kind(), ErrorKind::Unavailable);

    node.start_again(0);
    // The very first call: no error of an earlier attempt is handed on, and no waiting that grew meanwhile is waited.
    assert_eq!(insert(&store, call(), &subject, "b").await.unwrap(), Outcome::Inserted);
    let after = store.load(call(), &subject).await.unwrap();
    assert_eq!(after.get("a").unwrap().revision, read, "what was acknowledged survives kill -9");
    let late = Change::Replace(key("a"), read, entry("c"));
    assert_eq!(store.change(call(), &subject, EpochCheck::Ignore, late).await.unwrap(), Outcome::Replaced);
}

#[tokio::test]
async fn a_call_that_is_given_up_early_leaves_a_connection_that_answers_the_next_one_right() {
    let Some((_node, proxy, store)) = proxied().await else { return };
    store.ping(call()).await.unwrap();
    let before = proxy.connections();
    failing::calls_given_up_early(&store, &proxy).await;
    assert_eq!(proxy.connections(), before, "nothing was wrong with the connections");
}

#[tokio::test]
async fn a_black_hole_ends_at_the_deadline_and_what_is_not_sent_in_time_is_not_applied() {
    let Some((_node, proxy, store)) = proxied().await else { return };
    let subject = user("ann");
    insert(&store, call(), &subject, "a").await.unwrap();
    for rules in [(Rule::Swallow, Rule::Pass), (Rule::Pass, Rule::Swallow)] {
        proxy.up(rules.0);
        proxy.down(rules.1);
        // Of one user, the second waits for the first, and never gets its turn.
        let (first, second) = tokio::join!(
            insert(&store, within(DEADLINE), &subject, "b"),
            insert(&store, within(DEADLINE), &subject, "c"),
        );
        let effects = [first.unwrap_err().effect(), second.unwrap_err().effect()];
        assert_eq!(effects, [Effect::Unknown, Effect::NotApplied]);
        for _ in 0..2 {
            let error = timed(DEADLINE, async |call| store.load(call, &subject).await).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout);
        }
        proxy.up(Rule::Pass);
        proxy.down(Rule::Pass);
        works_within(CONNECTED_WITHIN, CONNECTED_WITHIN, &store, &subject).await;
    }
}

#[tokio::test]
async fn callers_in_a_black_hole_leave_nothing_behind() {
    let Some((_node, proxy, store)) = proxied().await else { return };
    // The driver's and the proxy's tasks of a few connections that are being replaced.
    let tasks = 24;
    let swallow = || proxy.up(Rule::Swallow);
    failing::callers_leave_nothing_behind(&store, 4, failing::MEANWHILE, tasks, swallow).await;
    assert!(proxy.connections() <= 24, "{} connections", proxy.connections());
}

#[tokio::test]
async fn a_write_whose_connection_ends_says_that_its_outcome_is_unknown_and_sent_again_it_is_right() {
    let Some((_node, proxy, store)) = proxied().await else { return };
    failing::a_write_cut_off(&store, &proxy, failing::UNKNOWN, CONNECTED_WITHIN).await;
}

#[tokio::test]
async fn answers_that_come_byte_by_byte_are_whole() {
    let Some((_node, proxy, store)) = proxied().await else { return };
    failing::answers_byte_by_byte(&store, &proxy).await;
}

#[tokio::test]
async fn an_answer_cut_off_after_any_byte_is_an_error_and_never_absent() {
    let Some((_node, proxy, store)) = proxied().await else { return };
    failing::an_answer_cut_off(&store, &proxy, CONNECTED_WITHIN).await;
}

#[tokio::test]
async fn a_batch_of_the_largest_entries_is_written_in_parts_and_read_in_pages() {
    let Some(node) = shared_node() else { return };
    let (store, subject) = (store(node.url()), user("ann"));
    let large = "x".repeat((1 << 20) - 2);
    let changes = (0..12).map(|i| Change::Insert(key(&i.to_string()), entry(&large))).collect();
    let write = Write::new(subject.clone(), EpochCheck::Is(None), changes).unwrap();
    for answer in store.write_one(within(60_000), write).await {
        assert_eq!(answer.unwrap(), Outcome::Inserted);
    }
    let small = (0..500).map(|i| Change::Insert(key(&format!("small {i}")), entry("v"))).collect();
    let write = Write::new(subject.clone(), EpochCheck::Is(None), small).unwrap();
    for answer in store.write_one(within(60_000), write).await {
        assert_eq!(answer.unwrap(), Outcome::Inserted);
    }
    assert_eq!(store.load(within(60_000), &subject).await.unwrap().len(), 512);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_in_parts_leaves_nothing_behind_an_erasure_that_meets_it() {
    let Some(node) = shared_node() else { return };
    let (writer, eraser) = (store(node.url()), store(node.url()));
    let large = "x".repeat((1 << 20) - 2);
    for check in [EpochCheck::Ignore, EpochCheck::Is(None), EpochCheck::Ignore] {
        let subject = user("ann");
        let changes = (0..24).map(|i| Change::Put(key(&i.to_string()), entry(&large))).collect();
        let write = Write::new(subject.clone(), check, changes).unwrap();
        let writer = writer.clone();
        let writing = tokio::spawn(async move { writer.write_one(within(60_000), write).await });
        // Another process, as soon as the first part stands.
        while eraser.get(within(60_000), &subject, &key("0")).await.unwrap().is_none() {}
        let erase = Erase::new(subject.clone(), SystemClock.now());
        assert!(eraser.erase_one(within(60_000), erase).await.unwrap());
        let answers = writing.await.unwrap();
        let written = answers.iter().take_while(|answer| matches!(answer, Ok(Outcome::Written))).count();
        let rest = |answer: &Result<Outcome>| match answer {
            Ok(outcome) => *outcome == Outcome::Erased,
            Err(error) => error.effect() == Effect::Unknown,
        };
        assert!(answers.iter().skip(written).all(rest), "after {written}: {answers:?}");
        let left = eraser.load(within(60_000), &subject).await.unwrap();
        assert!(left.is_empty(), "{} outlived the erasure of {written}", left.len());
    }
}

#[tokio::test]
async fn a_forgotten_runtime_is_no_loss_for_the_next_one() {
    let Some(node) = shared_node() else { return };
    failing::a_forgotten_runtime(&store(node.url())).await;
}

#[test]
fn without_a_runtime_it_says_so() {
    failing::no_runtime(&store("cassandra://127.0.0.1:1"));
}
