//! Dead, paused, restarting, half-answering servers: every call ends in time and says what it knows.

use std::time::{Duration, Instant};

use stickystore_core::{AsyncStore as _, AsyncStoreExt as _, Effect, Erase, ErrorKind, Outcome};
use stickystore_integration_tests::failing::{self, DEADLINE, MACHINE, OVERRUN, timed, works_within};
use stickystore_integration_tests::proxy::{Proxy, Rule};
use stickystore_mongodb::{CONNECT_TIMEOUT, Config, MongodbStore};

use crate::bench::{call, insert, server, store, user, within};

/// How soon a server that is back is of use again: the driver looks for it twice a second, and a member alone elects itself.
const BACK_WITHIN: Duration = Duration::from_secs(5);

/// After how long a client that gets no answers is replaced, if the driver has not noticed.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many operations there are at most at the same time, unless the URL says otherwise.
const POOL: usize = 64;

/// How long a call may take of those that see whether the store works again.
const EACH: Duration = Duration::from_millis(DEADLINE);

/// Through a proxy there is only the server behind it, whatever that says of itself.
fn through(port: u16) -> MongodbStore {
    store(&format!("mongodb://127.0.0.1:{port}/?directConnection=true"))
}

#[tokio::test]
async fn a_dead_server_is_unavailable_in_time_and_back_it_works_without_a_new_handle() {
    let Some(mut server) = server(&[]) else { return };
    failing::a_dead_server(&store(&server.url()), &mut server).await;
}

#[tokio::test]
async fn a_server_that_is_down_at_construction_is_unavailable_and_its_store_works_once_it_is_up() {
    let Some(mut server) = server(&[]) else { return };
    server.kill(0);
    let config = Config::from_url(&server.url()).unwrap();
    let opened = timed(DEADLINE, async |call| MongodbStore::connect(&config, call).await).await;
    let error = opened.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::NotApplied), "{error}");
    failing::down_at_construction(&store(&server.url()), &mut server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_between_two_calls_goes_unnoticed_and_repetitions_are_counted() {
    let Some(mut server) = server(&[]) else { return };
    let (store, subject) = (store(&server.url()), user("ann"));
    assert_eq!(insert(&store, call(), &subject, "a").await.unwrap(), Outcome::Inserted);
    assert_eq!(store.driver_retries(), 0);
    server.kill(0);
    server.start_again(0);
    assert_eq!(insert(&store, call(), &subject, "b").await.unwrap(), Outcome::Inserted);
    assert!(store.driver_retries() <= 1, "{}", store.driver_retries());
}

#[tokio::test]
async fn a_paused_server_is_a_timeout_and_its_late_answers_reach_nobody_else() {
    let Some(mut server) = server(&[]) else { return };
    failing::a_paused_server(&store(&server.url()), &mut server, BACK_WITHIN).await;
}

#[tokio::test]
async fn a_call_that_is_given_up_early_leaves_nothing_that_answers_the_next_one_wrong() {
    let Some(server) = server(&[]) else { return };
    let proxy = Proxy::start(server.port()).await;
    failing::calls_given_up_early(&through(proxy.port()), &proxy).await;
}

#[tokio::test]
async fn a_black_hole_ends_at_the_deadline_and_after_it_calls_work_again() {
    let Some(server) = server(&[]) else { return };
    let proxy = Proxy::start(server.port()).await;
    let back = BACK_WITHIN + PATIENCE;
    failing::a_black_hole(&through(proxy.port()), &proxy, failing::MEANWHILE, back).await;
}

#[tokio::test]
async fn callers_of_a_paused_server_end_in_time_and_leave_nothing_behind() {
    let Some(server) = server(&[]) else { return };
    let (store, subject) = (store(&server.url()), user("ann"));
    store.ping(call()).await.unwrap();
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    server.pause(0);
    for round in 0..12 {
        let calls = (0..500).map(|i| {
            let (store, subject) = (store.clone(), subject.clone());
            tokio::spawn(async move {
                let began = Instant::now();
                let error = match i % 3 {
                    0 => store.load(within(300), &subject).await.unwrap_err(),
                    1 => insert(&store, within(300), &subject, "a").await.unwrap_err(),
                    _ => {
                        let erase = Erase::new(subject.clone(), call().now);
                        store.erase_one(within(300), erase).await.unwrap_err()
                    }
                };
                (error.kind(), began.elapsed())
            })
        });
        for call in calls.collect::<Vec<_>>() {
            let (kind, took) = call.await.unwrap();
            // Until the driver notices, and afterwards.
            let kinds = [ErrorKind::Timeout, ErrorKind::Unavailable];
            assert!(kinds.contains(&kind), "{kind:?} in round {round}");
            // 500 of them start and end at the same time.
            assert!(took < Duration::from_millis(300) + OVERRUN + 2 * MACHINE, "took {took:?}");
        }
        // An operation and an attempt to connect for each place in the pool.
        assert!(tasks() <= before + 2 * POOL + 10, "{} tasks, {before} before", tasks());
    }
    server.resume(0);
    works_within(BACK_WITHIN + CONNECT_TIMEOUT, EACH, &store, &subject).await;
}

#[tokio::test]
async fn callers_in_a_black_hole_end_in_time_and_leave_nothing_behind() {
    let Some(server) = server(&[]) else { return };
    let proxy = Proxy::start(server.port()).await;
    let store = through(proxy.port());
    // The server's heartbeats still come: the driver notices nothing.
    let swallow = || proxy.up(Rule::Swallow);
    // Longer than the store is patient.
    let rounds = 24;
    failing::callers_leave_nothing_behind(&store, rounds, failing::MEANWHILE, POOL + 20, swallow).await;
    assert!(proxy.connections() <= 20, "{} connections", proxy.connections());
    proxy.up(Rule::Pass);
    works_within(BACK_WITHIN + PATIENCE, EACH, &store, &user("ann")).await;
}

#[tokio::test]
async fn a_write_whose_connection_ends_says_that_its_outcome_is_unknown_and_sent_again_it_is_right() {
    let Some(server) = server(&[]) else { return };
    let proxy = Proxy::start(server.port()).await;
    failing::a_write_cut_off(&through(proxy.port()), &proxy, failing::UNKNOWN, BACK_WITHIN).await;
}

#[tokio::test]
async fn a_write_that_is_said_not_to_be_applied_is_not_applied_later_either() {
    let Some(server) = server(&[]) else { return };
    let proxy = Proxy::start(server.port()).await;
    let (seen, store, subject) = (store(&server.url()), through(proxy.port()), user("ann"));
    seen.ping(call()).await.unwrap();
    // The driver finds the server only when the caller has gone.
    proxy.down(Rule::Hold);
    let error = insert(&store, within(DEADLINE), &subject, "ann").await.unwrap_err();
    assert_eq!(error.effect(), Effect::NotApplied, "{error}");
    proxy.down(Rule::Pass);
    let until = Instant::now() + MACHINE;
    while Instant::now() < until {
        assert_eq!(seen.load(call(), &subject).await.unwrap().len(), 0, "nothing was applied");
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
    /// How many are tried at the same time, each with a proxy of its own.
    const TOGETHER: usize = 32;
    let Some(server) = server(&[]) else { return };
    let subject = user("ann");
    insert(&store(&server.url()), call(), &subject, "a").await.unwrap();
    let after = |bytes: usize| {
        let (port, subject) = (server.port(), subject.clone());
        async move {
            let proxy = Proxy::start(port).await;
            let store = through(proxy.port());
            store.load(call(), &subject).await.unwrap();
            proxy.down(Rule::CutAfter(bytes));
            match store.load(within(300), &subject).await {
                Ok(profile) => {
                    assert_eq!(profile.len(), 1, "after {bytes} bytes");
                    true
                }
                Err(error) => {
                    let kinds = [ErrorKind::Unavailable, ErrorKind::Timeout];
                    assert!(kinds.contains(&error.kind()), "after {bytes} bytes: {error}");
                    false
                }
            }
        }
    };
    for start in (0..2_000).step_by(TOGETHER) {
        let tried: Vec<_> = (start..start + TOGETHER).map(|bytes| tokio::spawn(after(bytes))).collect();
        for (bytes, tried) in (start..).zip(tried) {
            if tried.await.unwrap() {
                assert!(bytes > 100, "a whole answer is longer than {bytes} bytes");
                return;
            }
        }
    }
    panic!("the answer was longer than the test");
}

#[tokio::test]
async fn a_forgotten_runtime_is_no_loss_for_the_next_one() {
    let Some(server) = server(&[]) else { return };
    failing::a_forgotten_runtime(&store(&server.url())).await;
}

#[test]
fn without_a_runtime_it_says_so() {
    failing::no_runtime(&store("mongodb://127.0.0.1:1"));
}

#[test]
fn a_store_can_be_dropped_outside_of_its_runtime() {
    let Some(server) = server(&[]) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = store(&server.url());
    runtime.block_on(store.ping(call())).unwrap();
    let clone = store.clone();
    drop(store);
    drop(runtime);
    drop(clone);
}
