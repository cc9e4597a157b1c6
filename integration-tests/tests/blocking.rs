//! `Blocking`, from every place that a call can come from: a test for each row of its table, and what may go wrong.
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use stickystore_core::{
    Blocking, Call, Effect, Error, ErrorKind, Namespace, Read, Store, Subject, SystemClock, UserId,
};
use stickystore_integration_tests::waiting::{Ping, Waiting};

/// Each row of the table in the documentation of `Blocking`, and the test that shows it.
const ROWS: [(&str, &str); 9] = [
    ("a plain thread", "a_plain_thread"),
    ("a task of a multi-thread runtime", "a_task_of_a_multi_thread_runtime"),
    ("a task of a current-thread runtime", "a_task_of_a_current_thread_runtime"),
    ("`spawn_blocking`", "spawn_blocking"),
    ("a `Drop`, on a thread or in a task", "a_drop_on_a_thread_and_in_a_task"),
    ("a `Drop` of a thread-local, while its thread ends", "a_drop_of_a_thread_local_while_its_thread_ends"),
    ("after the caller's runtime has ended", "after_the_callers_runtime_has_ended"),
    ("after [`close`](Store::close), on any clone", "after_close_on_any_clone"),
    ("a forked child", "a_forked_child"),
];

fn open(ping: Ping) -> Blocking<Waiting> {
    Blocking::open(|| async { Waiting::open(ping) }).unwrap()
}

fn store() -> Blocking<Waiting> {
    open(Ping::Answers)
}

fn within(time: Duration) -> Call {
    Call::within(&SystemClock, time)
}

fn call() -> Call {
    within(Duration::from_secs(5))
}

fn multi_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Calls the store when it is dropped, and tells what it was answered.
struct CallsInDrop(Blocking<Waiting>, mpsc::Sender<Result<(), Error>>);

impl Drop for CallsInDrop {
    fn drop(&mut self) {
        let _ = self.1.send(self.0.ping(call()));
    }
}

#[test]
fn every_row_of_the_table_has_a_test() {
    let source = include_str!("../../crates/core/src/blocking.rs");
    let table = source.lines().skip_while(|line| !line.contains("| called from |")).skip(2);
    let rows =
        table.map_while(|line| line.strip_prefix("/// | ")).filter_map(|line| line.split(" | ").next());
    assert_eq!(rows.collect::<Vec<_>>(), ROWS.map(|(row, _)| row));
    let tests = include_str!("blocking.rs");
    for (row, test) in ROWS {
        assert!(tests.contains(&format!("#[test]\nfn {test}()")), "{row}");
    }
}

#[test]
fn a_plain_thread() {
    store().ping(call()).unwrap();
}

#[test]
fn a_task_of_a_multi_thread_runtime() {
    let store = store();
    multi_thread()
        .block_on(async move { tokio::spawn(async move { store.ping(call()) }).await.unwrap() })
        .unwrap();
}

#[test]
fn a_task_of_a_current_thread_runtime() {
    let store = store();
    current_thread().block_on(async { store.ping(call()) }).unwrap();
}

#[test]
fn spawn_blocking() {
    for runtime in [multi_thread(), current_thread()] {
        let store = store();
        runtime
            .block_on(async { tokio::task::spawn_blocking(move || store.ping(call())).await })
            .unwrap()
            .unwrap();
    }
}

#[test]
fn a_drop_on_a_thread_and_in_a_task() {
    let (sender, receiver) = mpsc::channel();
    drop(CallsInDrop(store(), sender.clone()));
    receiver.recv().unwrap().unwrap();
    for runtime in [multi_thread(), current_thread()] {
        let calls = CallsInDrop(store(), sender.clone());
        runtime.block_on(async move { drop(calls) });
        receiver.recv().unwrap().unwrap();
    }
}

#[test]
fn a_drop_of_a_thread_local_while_its_thread_ends() {
    thread_local! {
        static CALLS: std::cell::RefCell<Option<CallsInDrop>> = const { std::cell::RefCell::new(None) };
    }
    let (sender, receiver) = mpsc::channel();
    let calls = CallsInDrop(store(), sender);
    let thread = std::thread::spawn(move || {
        // First ours, then tokio's thread-local: they are dropped in the other order, so that ours finds none.
        CALLS.with(|slot| slot.replace(Some(calls)));
        assert!(tokio::runtime::Handle::try_current().is_err());
    });
    receiver.recv().unwrap().unwrap();
    thread.join().unwrap();
}

#[test]
fn after_the_callers_runtime_has_ended() {
    let runtime = multi_thread();
    let store = runtime.block_on(async { store() });
    drop(runtime);
    store.ping(call()).unwrap();
}

#[test]
fn after_close_on_any_clone() {
    let store = store();
    let clone = store.clone();
    store.close(call()).unwrap();
    store.close(call()).unwrap();
    for store in [store, clone] {
        assert_eq!(store.ping(call()).unwrap_err().kind(), ErrorKind::Closed);
    }
}

#[test]
fn a_forked_child() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_after_fork")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_store_that_overruns_its_deadline_is_cut_off_and_dropped() {
    for from_task in [false, true] {
        let dropped = Arc::new(AtomicBool::new(false));
        let store = open(Ping::Hangs(Arc::clone(&dropped)));
        let time = Duration::from_millis(100);
        let start = Instant::now();
        let error = if from_task {
            current_thread().block_on(async { store.ping(within(time)) }).unwrap_err()
        } else {
            store.ping(within(time)).unwrap_err()
        };
        let took = start.elapsed();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::Unknown));
        assert!(took >= time && took < time + Duration::from_millis(100), "{took:?}");
        // An aborted task is dropped by the runtime, soon.
        let bound = Instant::now() + Duration::from_secs(5);
        while !dropped.load(Ordering::SeqCst) && Instant::now() < bound {
            std::thread::yield_now();
        }
        assert!(dropped.load(Ordering::SeqCst), "from a task: {from_task}");
    }
}

#[test]
fn a_store_that_panics_is_an_error_and_the_next_call_works() {
    let store = open(Ping::Panics);
    let on_thread = store.ping(call()).unwrap_err();
    let in_task = current_thread().block_on(async { store.ping(call()) }).unwrap_err();
    for error in [on_thread, in_task] {
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Unexpected, Effect::Unknown));
    }
    let reads = [Read::all(Subject::new(Namespace::new("n").unwrap(), UserId::new("u").unwrap()))];
    assert!(store.read(call(), &reads)[0].as_ref().unwrap().is_empty());
}

#[test]
fn a_deadline_without_end_is_waited_for() {
    store().ping(within(Duration::MAX)).unwrap();
}

#[test]
fn many_threads_share_one_handle() {
    let store = store();
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| (0..50).for_each(|_| store.ping(call()).unwrap()));
        }
    });
}

#[test]
fn opening_and_dropping_inside_a_task_works() {
    for runtime in [multi_thread(), current_thread()] {
        runtime.block_on(async {
            let store = store();
            store.ping(call()).unwrap();
            drop(store);
        });
    }
}

#[test]
fn what_opening_answers_comes_back() {
    let refused = || async { Err::<Waiting, _>(Error::new(ErrorKind::Denied, "wrong password")) };
    assert_eq!(Blocking::open(refused).unwrap_err().kind(), ErrorKind::Denied);
    let error = current_thread().block_on(async { Blocking::open(refused) }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
}

#[test]
fn opening_that_panics_is_an_error() {
    #[expect(unreachable_code, reason = "the type of what is never opened")]
    let panics = || async {
        panic!("opening panics");
        Waiting::open(Ping::Answers)
    };
    assert_eq!(Blocking::open(panics).unwrap_err().kind(), ErrorKind::Unexpected);
}
