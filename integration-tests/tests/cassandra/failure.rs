//! Dead, paused, restarting, half-answering nodes: every call ends in time and says what it knows.

use std::sync::Arc;
use std::time::Duration;

use stickystore_cassandra::{CONNECT_TIMEOUT, CassandraStore, Config};
use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Call, Change, Clock as _, Effect, EpochCheck, Erase, ErrorKind,
    Keys, Outcome, Read, Result, Subject, SystemClock, Write,
};
use stickystore_integration_tests::failing::{timed, works_within};
use stickystore_integration_tests::proxy::{Proxy, Rule};
use stickystore_integration_tests::server::cassandra::Shared;

use crate::bench::{call, entry, key, node, shared_node, store, through, url, user, within};

/// How soon a node that is back is of use again.
const BACK_WITHIN: Duration = Duration::from_secs(1);

/// A deadline long enough to tell an early failure from one at the deadline.
const DEADLINE: u64 = 600;

async fn insert(store: &CassandraStore, call: Call, subject: &Subject, name: &str) -> Result<Outcome> {
    store.insert(call, subject, EpochCheck::Is(None), key(name), entry(name)).await
}

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
    works_within(
        BACK_WITHIN + 2 * CONNECT_TIMEOUT,
        &store,
        &subject,
        &[ErrorKind::Timeout, ErrorKind::Unavailable],
    )
    .await;

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
    let (ann, bob) = (user("ann"), user("bob"));
    insert(&store, call(), &ann, "ann").await.unwrap();
    insert(&store, call(), &bob, "bob").await.unwrap();
    let before = proxy.connections();
    for round in 0..20 {
        proxy.down(Rule::Hold);
        if round % 2 == 0 {
            assert_eq!(store.load(within(20), &ann).await.unwrap_err().kind(), ErrorKind::Timeout);
        } else {
            let dropped = tokio::time::timeout(Duration::from_millis(20), store.load(call(), &ann)).await;
            assert!(dropped.is_err(), "its answer is held");
        }
        proxy.down(Rule::Pass);
        let profile = store.load(call(), &bob).await.unwrap();
        assert!(profile.get("bob").is_some() && profile.len() == 1, "the late answer is not this one's");
    }
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
        works_within(
            Duration::from_secs(10),
            &store,
            &subject,
            &[ErrorKind::Timeout, ErrorKind::Unavailable],
        )
        .await;
    }
}

#[tokio::test]
async fn callers_in_a_black_hole_leave_nothing_behind() {
    let Some((_node, proxy, store)) = proxied().await else { return };
    let subject = user("ann");
    store.ping(call()).await.unwrap();
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    proxy.up(Rule::Swallow);
    for _ in 0..4 {
        let calls = (0..500).map(|_| {
            let (store, subject) = (store.clone(), subject.clone());
            tokio::spawn(async move { store.load(within(300), &subject).await.unwrap_err().kind() })
        });
        for call in calls.collect::<Vec<_>>() {
            let kind = call.await.unwrap();
            assert!([ErrorKind::Timeout, ErrorKind::Unavailable].contains(&kind), "{kind:?}");
        }
        // The driver's and the proxy's tasks of a few connections that are being replaced.
        assert!(tasks() <= before + 24, "{} tasks, {before} before", tasks());
    }
    assert!(proxy.connections() <= 24, "{} connections", proxy.connections());
}

#[tokio::test]
async fn a_write_whose_connection_ends_says_that_its_outcome_is_unknown_and_sent_again_it_is_right() {
    let Some((_node, proxy, store)) = proxied().await else { return };
    let subject = user("ann");
    for (i, rules) in [
        (Rule::ResetAfter(40), Rule::Pass),
        (Rule::CutAfter(40), Rule::Pass),
        (Rule::Pass, Rule::ResetAfter(0)),
        (Rule::Pass, Rule::CutAfter(0)),
        (Rule::Pass, Rule::CutAfter(3)),
    ]
    .into_iter()
    .enumerate()
    {
        works_within(Duration::from_secs(10), &store, &subject, &[ErrorKind::Unavailable]).await;
        let (name, entry) = (key(&i.to_string()), entry("v"));
        let again = || store.insert(call(), &subject, EpochCheck::Is(None), name.clone(), entry.clone());
        proxy.up(rules.0);
        proxy.down(rules.1);
        let error = again().await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::Unknown), "{rules:?}");
        proxy.up(Rule::Pass);
        proxy.down(Rule::Pass);
        works_within(Duration::from_secs(10), &store, &subject, &[ErrorKind::Unavailable]).await;
        assert_eq!(again().await.unwrap(), Outcome::Inserted, "{rules:?}");
    }
}

#[tokio::test]
async fn answers_that_come_byte_by_byte_are_whole() {
    let Some((_node, proxy, store)) = proxied().await else { return };
    let subject = user("ann");
    insert(&store, call(), &subject, "a").await.unwrap();
    proxy.up(Rule::Split);
    proxy.down(Rule::Split);
    for name in ["b", "c"] {
        assert_eq!(insert(&store, call(), &subject, name).await.unwrap(), Outcome::Inserted);
    }
    assert_eq!(store.load(call(), &subject).await.unwrap().len(), 3);
    let some = Read::some(subject.clone(), Keys::only([key("a"), key("z")]).unwrap());
    assert_eq!(store.read_one(call(), some).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_answer_cut_off_after_any_byte_is_an_error_and_never_absent() {
    let Some((_node, proxy, store)) = proxied().await else { return };
    let subject = user("ann");
    insert(&store, call(), &subject, "a").await.unwrap();
    for bytes in 0..400 {
        works_within(Duration::from_secs(10), &store, &user("bob"), &[ErrorKind::Unavailable]).await;
        proxy.down(Rule::CutAfter(bytes));
        let loaded = store.load(call(), &subject).await;
        proxy.down(Rule::Pass);
        match loaded {
            Ok(profile) => {
                assert_eq!(profile.len(), 1, "after {bytes} bytes");
                assert!(bytes > 20, "a whole answer is longer than that");
                return;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "after {bytes} bytes"),
        }
    }
    panic!("the answer was longer than the test");
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
    let (store, subject) = (store(node.url()), user("ann"));
    let (moved, user) = (store.clone(), subject.clone());
    let other = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(insert(&moved, call(), &user, "a")).unwrap()
    });
    assert_eq!(other.join().unwrap(), Outcome::Inserted);
    assert_eq!(store.load(call(), &subject).await.unwrap().len(), 1);
}

#[test]
fn without_a_runtime_it_says_so() {
    let store = store("cassandra://127.0.0.1:1");
    let call = call();
    let mut ping = store.ping(call);
    let context = &mut std::task::Context::from_waker(std::task::Waker::noop());
    match ping.as_mut().poll(context) {
        std::task::Poll::Ready(Err(error)) => assert_eq!(error.kind(), ErrorKind::Config),
        other => panic!("{other:?}"),
    }
}
