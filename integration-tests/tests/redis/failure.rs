//! Dead, paused, restarting, half-answering servers: every call ends in time and says what it knows.

use std::time::Duration;

use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Blocking, Change, EpochCheck, ErrorKind, Outcome, Read, Result,
    Store as _, StoreExt as _, Subject, Write,
};
use stickystore_integration_tests::failing::{self, DEADLINE, timed};
use stickystore_integration_tests::proxy::{Proxy, Rule};
use stickystore_redis::{CONNECT_TIMEOUT, Config, RedisStore};

use crate::bench::{behind, call, entry, insert, key, server, store, through, user};

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
    let opened = timed(DEADLINE, async |call| RedisStore::connect(&config, call).await).await;
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

#[test]
fn a_restart_between_two_calls_goes_unnoticed_by_callers_who_drive() {
    let Some(mut server) = server(&[]) else { return };
    let (url, subject) = (server.url(), user("ann"));
    let store = Blocking::open_driven(move || async move { Ok(store(&url)) }).unwrap();
    store.ping(call()).unwrap();
    server.kill();
    server.start_again();
    let inserted = store.insert(call(), &subject, EpochCheck::Ignore, key("a"), entry("v"));
    assert_eq!(inserted.unwrap(), Outcome::Inserted);
}

#[test]
fn callers_who_drive_are_told_at_once_that_the_server_is_dead_and_go_on_when_it_is_back() {
    let Some(mut server) = server(&[]) else { return };
    let url = server.url();
    let store = Blocking::open_driven(move || async move { Ok(store(&url)) }).unwrap();
    let together = |call_all: &(dyn Fn() + Sync)| {
        std::thread::scope(|scope| {
            (0..8).for_each(|_| drop(scope.spawn(|| (0..20).for_each(|_| call_all()))));
        });
    };
    together(&|| store.ping(call()).unwrap());
    server.kill();
    together(&|| assert_eq!(store.ping(call()).unwrap_err().kind(), ErrorKind::Unavailable));
    server.start_again();
    together(&|| store.ping(call()).unwrap());
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

#[tokio::test]
async fn a_write_whose_connection_ends_says_that_its_outcome_is_unknown_and_sent_again_it_is_right() {
    let Some(server) = server(&[]) else { return };
    let proxy = Proxy::start(server.port()).await;
    failing::a_write_cut_off(&through(proxy.port()), &proxy, failing::UNKNOWN, BACK_WITHIN).await;
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
async fn after_a_script_flush_the_next_write_works_alone_and_in_batches() {
    let Some(server) = server(&[]) else { return };
    let (store, mut behind) = (store(&server.url()), behind(&server.url()).await);
    for count in [1, 3, 300] {
        for flush in [true, false] {
            if flush {
                redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut behind).await.unwrap();
            }
            let subject = user("ann");
            // All of one user: none may overtake another.
            let writes: Vec<_> = (0..count)
                .map(|i| {
                    let put = Change::Put(key("k"), entry(&i.to_string()));
                    Write::new(subject.clone(), EpochCheck::Is(None), vec![put]).unwrap()
                })
                .collect();
            for answer in store.write(call(), &writes).await {
                assert_eq!(*answer[0].as_ref().unwrap(), Outcome::Written);
            }
            let last = store.get(call(), &subject, &key("k")).await.unwrap().unwrap();
            assert_eq!(last.value.as_str(), format!("\"{}\"", count - 1));
        }
    }
}

#[tokio::test]
async fn after_a_script_flush_a_batch_of_many_users_is_written_to_each() {
    let Some(server) = server(&[]) else { return };
    let (store, mut behind) = (store(&server.url()), behind(&server.url()).await);
    let users: Vec<_> = (0..300).map(|i| user(&i.to_string())).collect();
    for turn in ["first", "second"] {
        redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut behind).await.unwrap();
        let put = |user: &Subject| {
            Write::new(user.clone(), EpochCheck::Is(None), vec![Change::Put(key("k"), entry(turn))]).unwrap()
        };
        for answer in store.write(call(), &users.iter().map(put).collect::<Vec<_>>()).await {
            assert_eq!(*answer[0].as_ref().unwrap(), Outcome::Written);
        }
        for user in &users {
            let found = store.get(call(), user, &key("k")).await.unwrap().unwrap();
            assert_eq!(found.value.as_str(), format!("\"{turn}\""));
        }
    }
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
    failing::no_runtime(&store("redis://127.0.0.1:1"));
}
