//! Dead, paused, restarting, half-answering servers: every call ends in time and says what it knows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Effect, EpochCheck, ErrorKind, Outcome, Read, Result,
};
use stickystore_integration_tests::failing::{self, DEADLINE, timed};
use stickystore_integration_tests::proxy::{Proxy, Rule};
use stickystore_memcached::{CONNECT_TIMEOUT, Config, MemcachedStore};

use crate::bench::{call, entry, insert, key, server, store, through, user};

/// How soon a server that is back is of use again.
const BACK_WITHIN: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_dead_server_is_unavailable_at_once_and_back_it_works_without_a_new_handle() {
    let Some(mut server) = server(&[]) else { return };
    failing::a_dead_server(&store(&server.url()), &mut server).await;
}

#[tokio::test]
async fn a_server_that_is_down_at_construction_is_unavailable_and_its_store_works_once_it_is_up() {
    let Some(mut server) = server(&[]) else { return };
    server.kill();
    let config = Config::from_url(&server.url()).unwrap();
    let opened = timed(DEADLINE, async |call| MemcachedStore::connect(&config, call).await).await;
    assert_eq!(opened.unwrap_err().kind(), ErrorKind::Unavailable);
    failing::down_at_construction(&store(&server.url()), &mut server).await;
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
    let Some(mut server) = server(&[]) else { return };
    failing::a_paused_server(&store(&server.url()), &mut server, BACK_WITHIN).await;
}

#[tokio::test]
async fn a_call_that_is_given_up_early_leaves_a_connection_that_answers_the_next_one_right() {
    let Some(server) = server(&[]) else { return };
    let proxy = Proxy::start(server.port()).await;
    failing::calls_given_up_early(&through(proxy.port()), &proxy).await;
    assert_eq!(proxy.connections(), 1, "nothing was wrong with the connection");
}

#[tokio::test]
async fn a_black_hole_ends_at_the_deadline_and_the_connection_is_replaced() {
    let Some(server) = server(&[]) else { return };
    let proxy = Proxy::start(server.port()).await;
    // An attempt to connect that fell into the hole has to end first.
    let back = BACK_WITHIN + CONNECT_TIMEOUT;
    failing::a_black_hole(&through(proxy.port()), &proxy, &[ErrorKind::Timeout], back).await;
}

#[tokio::test]
async fn callers_in_a_black_hole_make_one_connection_at_a_time_and_leave_nothing_behind() {
    let Some(server) = server(&[]) else { return };
    let proxy = Proxy::start(server.port()).await;
    // One task for a connection, one for an attempt to connect, two in the proxy for either.
    let tasks = 6;
    let swallow = || proxy.up(Rule::Swallow);
    failing::callers_leave_nothing_behind(&through(proxy.port()), 4, &[ErrorKind::Timeout], tasks, swallow)
        .await;
    assert!(proxy.connections() <= 5, "{} connections", proxy.connections());
}

/// After so many bytes the write is on its way: the read before it takes less, both together more.
const A_WRITE: usize = 100;

#[tokio::test]
async fn a_write_whose_connection_ends_says_what_is_known_and_sent_again_it_is_right() {
    let Some(server) = server(&[]) else { return };
    let proxy = Proxy::start(server.port()).await;
    let (unknown, not_applied) = (Effect::Unknown, Effect::NotApplied);
    let cuts = [
        // The read before the write is lost: nothing was written.
        ((Rule::ResetAfter(20), Rule::Pass), not_applied),
        ((Rule::Pass, Rule::CutAfter(0)), not_applied),
        ((Rule::Pass, Rule::ResetAfter(0)), not_applied),
        // The write itself, or the answer to it.
        ((Rule::ResetAfter(A_WRITE), Rule::Pass), unknown),
        ((Rule::CutAfter(A_WRITE), Rule::Pass), unknown),
    ];
    failing::a_write_cut_off(&through(proxy.port()), &proxy, &cuts, BACK_WITHIN).await;
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
    failing::answers_byte_by_byte(&through(proxy.port()), &proxy).await;
}

#[tokio::test]
async fn an_answer_cut_off_after_any_byte_is_an_error_and_never_absent() {
    let Some(server) = server(&[]) else { return };
    let proxy = Proxy::start(server.port()).await;
    failing::an_answer_cut_off(&through(proxy.port()), &proxy, BACK_WITHIN).await;
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
    failing::a_forgotten_runtime(&store(&server.url())).await;
}

#[test]
fn without_a_runtime_it_says_so() {
    failing::no_runtime(&store("memcache://127.0.0.1:1"));
}
