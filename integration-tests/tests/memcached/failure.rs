//! Dead, paused, restarting, half-answering servers: every call ends in time and says what it knows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Call, Effect, EpochCheck, ErrorKind, Keys, Outcome, Read, Result,
    Subject,
};
use stickystore_integration_tests::failing::{timed, works_within};
use stickystore_integration_tests::proxy::{Proxy, Rule};
use stickystore_memcached::MemcachedStore;

use crate::bench::{call, entry, key, server, store, through, user, within};

/// How soon a server that is back is of use again.
const BACK_WITHIN: Duration = Duration::from_secs(1);

/// A deadline long enough to tell an early failure from one at the deadline.
const DEADLINE: u64 = 400;

async fn insert(store: &MemcachedStore, call: Call, subject: &Subject, name: &str) -> Result<Outcome> {
    store.insert(call, subject, EpochCheck::Is(None), key(name), entry(name)).await
}

#[tokio::test]
async fn a_dead_server_is_unavailable_at_once_and_back_it_works_without_a_new_handle() {
    let Some(mut server) = server(&[]) else { return };
    let (store, subject) = (store(&server.url()), user("ann"));
    assert_eq!(insert(&store, call(), &subject, "a").await.unwrap(), Outcome::Inserted);
    server.kill();
    for _ in 0..3 {
        let error = timed(DEADLINE, async |call| store.load(call, &subject).await).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let error =
            timed(DEADLINE, async |call| insert(&store, call, &subject, "b").await).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
    let error = timed(DEADLINE, async |call| insert(&store, call, &subject, "b").await).await.unwrap_err();
    assert_eq!(error.effect(), Effect::NotApplied, "nothing can be sent to nobody");
    server.start_again();
    // The very first call: no error of an earlier attempt is handed on.
    assert_eq!(insert(&store, call(), &subject, "b").await.unwrap(), Outcome::Inserted);
}

#[tokio::test]
async fn a_server_that_is_down_at_construction_is_unavailable_and_its_store_works_once_it_is_up() {
    let Some(mut server) = server(&[]) else { return };
    server.kill();
    let config = stickystore_memcached::Config::from_url(&server.url()).unwrap();
    let opened = timed(DEADLINE, async |call| MemcachedStore::connect(&config, call).await).await;
    assert_eq!(opened.unwrap_err().kind(), ErrorKind::Unavailable);
    let (store, subject) = (store(&server.url()), user("ann"));
    assert_eq!(store.load(call(), &subject).await.unwrap_err().kind(), ErrorKind::Unavailable);
    server.start_again();
    assert!(store.load(call(), &subject).await.unwrap().is_empty());
}

// Another thread has to notice the end of the connection while this one waits for the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_between_two_calls_goes_unnoticed() {
    let Some(mut server) = server(&[]) else { return };
    let (store, subject) = (store(&server.url()), user("ann"));
    store.ping(call()).await.unwrap();
    server.kill();
    server.start_again();
    assert_eq!(insert(&store, call(), &subject, "a").await.unwrap(), Outcome::Inserted);
}

#[tokio::test]
async fn a_paused_server_is_a_timeout_and_its_late_answers_reach_nobody_else() {
    let Some(server) = server(&[]) else { return };
    let (store, subjects) = (store(&server.url()), ["ann", "bob", "eve"].map(user));
    for subject in &subjects {
        insert(&store, call(), subject, subject.user.as_str()).await.unwrap();
    }
    server.pause();
    for subject in &subjects {
        let error = timed(DEADLINE, async |call| store.load(call, subject).await).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
    }
    // Shorter than what makes a connection suspect: this one stays, and its answers come late.
    let error = timed(50, async |call| insert(&store, call, &subjects[0], "late").await).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    server.resume();
    works_within(BACK_WITHIN, &store, &subjects[0], &[ErrorKind::Timeout, ErrorKind::Unavailable]).await;
    for _ in 0..20 {
        for subject in &subjects {
            let profile = store.load(call(), subject).await.unwrap();
            assert!(profile.get(subject.user.as_str()).is_some(), "everyone's answer is their own");
        }
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_early_leaves_a_connection_that_answers_the_next_one_right() {
    let Some(server) = server(&[]) else { return };
    let proxy = Proxy::start(server.port()).await;
    let (store, ann, bob) = (through(proxy.port()), user("ann"), user("bob"));
    insert(&store, call(), &ann, "ann").await.unwrap();
    insert(&store, call(), &bob, "bob").await.unwrap();
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
    assert_eq!(proxy.connections(), 1, "nothing was wrong with the connection");
}

#[tokio::test]
async fn a_black_hole_ends_at_the_deadline_and_the_connection_is_replaced() {
    let Some(server) = server(&[]) else { return };
    let proxy = Proxy::start(server.port()).await;
    let (store, subject) = (through(proxy.port()), user("ann"));
    store.ping(call()).await.unwrap();
    for rules in [(Rule::Swallow, Rule::Pass), (Rule::Pass, Rule::Swallow)] {
        proxy.up(rules.0);
        proxy.down(rules.1);
        for _ in 0..2 {
            let error = timed(DEADLINE, async |call| store.load(call, &subject).await).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout);
        }
        proxy.up(Rule::Pass);
        proxy.down(Rule::Pass);
        // An attempt to connect that fell into the hole has to end first.
        let limit = BACK_WITHIN + stickystore_memcached::CONNECT_TIMEOUT;
        works_within(limit, &store, &subject, &[ErrorKind::Timeout, ErrorKind::Unavailable]).await;
    }
}

#[tokio::test]
async fn callers_in_a_black_hole_make_one_connection_at_a_time_and_leave_nothing_behind() {
    let Some(server) = server(&[]) else { return };
    let proxy = Proxy::start(server.port()).await;
    let (store, subject) = (through(proxy.port()), user("ann"));
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
            assert_eq!(call.await.unwrap(), ErrorKind::Timeout);
        }
        // One task for a connection, one for an attempt to connect, two in the proxy for either.
        assert!(tasks() <= before + 6, "{} tasks, {before} before", tasks());
    }
    assert!(proxy.connections() <= 5, "{} connections", proxy.connections());
}

/// After so many bytes the write is on its way: the read before it takes less, both together more.
const A_WRITE: usize = 100;

#[tokio::test]
async fn a_write_whose_connection_ends_says_what_is_known_and_sent_again_it_is_right() {
    let Some(server) = server(&[]) else { return };
    let proxy = Proxy::start(server.port()).await;
    let (store, subject) = (through(proxy.port()), user("ann"));
    let (unknown, not_applied) = (Effect::Unknown, Effect::NotApplied);
    for (i, (rules, effect)) in [
        // The read before the write is lost: nothing was written.
        ((Rule::ResetAfter(20), Rule::Pass), not_applied),
        ((Rule::Pass, Rule::CutAfter(0)), not_applied),
        ((Rule::Pass, Rule::ResetAfter(0)), not_applied),
        // The write itself, or the answer to it.
        ((Rule::ResetAfter(A_WRITE), Rule::Pass), unknown),
        ((Rule::CutAfter(A_WRITE), Rule::Pass), unknown),
    ]
    .into_iter()
    .enumerate()
    {
        store.ping(call()).await.unwrap();
        proxy.up(rules.0);
        proxy.down(rules.1);
        let (name, entry) = (key(&i.to_string()), entry("v"));
        let again = || store.insert(call(), &subject, EpochCheck::Is(None), name.clone(), entry.clone());
        let error = again().await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, effect), "{rules:?}");
        proxy.up(Rule::Pass);
        proxy.down(Rule::Pass);
        assert_eq!(again().await.unwrap(), Outcome::Inserted, "{rules:?}");
    }
}

#[tokio::test]
async fn answers_to_a_write_cut_off_after_any_byte_are_errors_and_sent_again_it_is_right() {
    let Some(server) = server(&[]) else { return };
    let proxy = Proxy::start(server.port()).await;
    let store = through(proxy.port());
    let mut seen = Vec::new();
    for bytes in 0..100 {
        let (subject, entry) = (user("ann"), entry("v"));
        store.ping(call()).await.unwrap();
        proxy.down(Rule::CutAfter(bytes));
        let again = || store.insert(call(), &subject, EpochCheck::Is(None), key("k"), entry.clone());
        let first = again().await;
        proxy.down(Rule::Pass);
        match first {
            Ok(outcome) => {
                assert_eq!(outcome, Outcome::Inserted);
                assert!(seen.contains(&Effect::Unknown) && seen.contains(&Effect::NotApplied));
                return;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "after {bytes} bytes");
                seen.push(error.effect());
            }
        }
        assert_eq!(again().await.unwrap(), Outcome::Inserted, "after {bytes} bytes");
    }
    panic!("the answers were longer than the test");
}

#[tokio::test]
async fn an_answer_to_something_else_ends_the_connection_and_reaches_nobody() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let port = crate::liar::answers_another(move || {
        counted.fetch_add(1, Ordering::SeqCst);
    })
    .await;
    let store = through(port);
    for turn in 1..4 {
        let error = store.load(call(), &user("ann")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unexpected, "{error}");
        let error = store.put(call(), &user("ann"), key("k"), entry("v")).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Unexpected, Effect::NotApplied), "{error}");
        assert_eq!(connections.load(Ordering::SeqCst), 2 * turn, "each answer of another ends a connection");
    }
}

#[tokio::test]
async fn answers_that_come_byte_by_byte_are_whole() {
    let Some(server) = server(&[]) else { return };
    let proxy = Proxy::start(server.port()).await;
    proxy.up(Rule::Split);
    proxy.down(Rule::Split);
    let (store, subject) = (through(proxy.port()), user("ann"));
    for name in ["a", "b", "c"] {
        assert_eq!(insert(&store, call(), &subject, name).await.unwrap(), Outcome::Inserted);
    }
    assert_eq!(store.load(call(), &subject).await.unwrap().len(), 3);
    let some = Read::some(subject.clone(), Keys::only([key("a"), key("z")]).unwrap());
    assert_eq!(store.read_one(call(), some).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_answer_cut_off_after_any_byte_is_an_error_and_never_absent() {
    let Some(server) = server(&[]) else { return };
    let proxy = Proxy::start(server.port()).await;
    let (store, subject) = (through(proxy.port()), user("ann"));
    insert(&store, call(), &subject, "a").await.unwrap();
    for bytes in 0..200 {
        store.ping(call()).await.unwrap();
        proxy.down(Rule::CutAfter(bytes));
        match store.load(call(), &subject).await {
            Ok(profile) => {
                assert_eq!(profile.len(), 1, "after {bytes} bytes");
                assert!(bytes > 20, "a whole answer is longer than that");
                return;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "after {bytes} bytes"),
        }
        proxy.down(Rule::Pass);
    }
    panic!("the answer was longer than the test");
}

#[tokio::test]
async fn a_single_call_does_not_wait_behind_a_batch() {
    let Some(server) = server(&[]) else { return };
    let proxy = Proxy::start(server.port()).await;
    let (store, subject) = (through(proxy.port()), user("ann"));
    store.ping(call()).await.unwrap();
    let reads: Vec<_> = (0..1_000).map(|i| Read::all(user(&i.to_string()))).collect();
    assert!(store.read(call(), &reads).await.iter().all(Result::is_ok));
    assert_eq!(proxy.connections(), 2, "batches have a connection of their own");
    store.load(call(), &subject).await.unwrap();
    assert_eq!(proxy.connections(), 2);
}

#[tokio::test]
async fn a_forgotten_runtime_is_no_loss_for_the_next_one() {
    let Some(server) = server(&[]) else { return };
    let (store, subject) = (store(&server.url()), user("ann"));
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
    let store = store("memcache://127.0.0.1:1");
    let call = call();
    let mut ping = store.ping(call);
    let context = &mut std::task::Context::from_waker(std::task::Waker::noop());
    match ping.as_mut().poll(context) {
        std::task::Poll::Ready(Err(error)) => assert_eq!(error.kind(), ErrorKind::Config),
        other => panic!("{other:?}"),
    }
}
