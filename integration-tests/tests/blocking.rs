//! `Blocking`, from every place that a call can come from: a test for each row of its table, and what may go wrong.
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use stickystore_core::{
    AsyncStore, Blocking, Call, Effect, Erase, Error, ErrorKind, Keys, Namespace, Outcome, Profile, Read,
    Store, StoreExt as _, StoreInfo, Subject, SystemClock, UserId, Write, async_trait,
};
use stickystore_integration_tests::waiting::{Ping, TellsDrop, Waiting};

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

/// One whose own thread drives the runtime, or one whose callers do.
fn open(ping: Ping, driven: bool) -> Blocking<Waiting> {
    let open = || async { Waiting::open(ping) };
    if driven { Blocking::open_driven(open) } else { Blocking::open(open) }.unwrap()
}

/// One of each: whatever holds of one holds of the other, unless the documentation says that it does not.
fn both(ping: &Ping) -> [Blocking<Waiting>; 2] {
    [false, true].map(|driven| open(ping.clone(), driven))
}

fn stores() -> [Blocking<Waiting>; 2] {
    both(&Ping::Answers)
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

/// Makes a call that never ends by itself, and says what it answered; it has to do so in time.
fn cut_off(call: impl FnOnce(Call) -> Result<(), Error>) -> Error {
    const TIME: Duration = Duration::from_millis(100);
    // What a store may take longer than its deadline; and a thread that only sleeps shows how late this machine is.
    const LATE: Duration = Duration::from_millis(100);
    let start = Instant::now();
    let sleeper = std::thread::spawn(move || {
        std::thread::sleep(TIME + LATE / 2);
        start.elapsed() - (TIME + LATE / 2)
    });
    let error = call(within(TIME)).unwrap_err();
    let took = start.elapsed();
    assert!(took >= TIME && took < TIME + LATE + sleeper.join().unwrap(), "{took:?}");
    error
}

/// Calls the store when it is dropped, and tells what it was answered.
struct CallsInDrop(Blocking<Waiting>, mpsc::Sender<Result<(), Error>>);

impl Drop for CallsInDrop {
    fn drop(&mut self) {
        let _ = self.1.send(self.0.ping(call()));
    }
}

fn subject() -> Subject {
    Subject::new(Namespace::new("n").unwrap(), UserId::new("u").unwrap())
}

/// Has nobody at hand, and notes who looked; or panics. What is read of it never comes.
#[derive(Debug)]
struct Near {
    looked: Mutex<mpsc::Sender<ThreadId>>,
    panics: bool,
}

impl Near {
    fn open(panics: bool, driven: bool) -> (Blocking<Self>, mpsc::Receiver<ThreadId>) {
        let (sender, looked) = mpsc::channel();
        let near = Self { looked: Mutex::new(sender), panics };
        let open = move || async { Ok(near) };
        let store = if driven { Blocking::open_driven(open) } else { Blocking::open(open) };
        (store.unwrap(), looked)
    }
}

#[async_trait]
impl AsyncStore for Near {
    fn info(&self) -> &StoreInfo {
        const INFO: &StoreInfo = &StoreInfo::new("near");
        INFO
    }

    fn at_hand(&self, _: Call, _: &Subject, _: &Keys) -> Option<Result<Profile, Error>> {
        self.looked.lock().unwrap().send(std::thread::current().id()).unwrap();
        assert!(!self.panics, "it was told to");
        Some(Ok(Profile::default()))
    }

    async fn read(&self, _: Call, _: &[Read]) -> Vec<Result<Profile, Error>> {
        std::future::pending().await
    }

    async fn write(&self, _: Call, _: &[Write]) -> Vec<Vec<Result<Outcome, Error>>> {
        Vec::new()
    }

    async fn erase(&self, _: Call, _: &[Erase]) -> Vec<Result<bool, Error>> {
        Vec::new()
    }

    async fn ping(&self, _: Call) -> Result<(), Error> {
        Ok(())
    }

    async fn close(&self, _: Call) -> Result<(), Error> {
        Ok(())
    }
}

/// Loads from the store when it is dropped, and tells on which thread.
struct LoadsInDrop(Blocking<Near>, mpsc::Sender<ThreadId>);

impl Drop for LoadsInDrop {
    fn drop(&mut self) {
        let loaded = self.0.load(call(), &subject());
        let _ = loaded.map(|_| self.1.send(std::thread::current().id()));
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
    for store in stores() {
        store.ping(call()).unwrap();
    }
}

#[test]
fn a_task_of_a_multi_thread_runtime() {
    for store in stores() {
        multi_thread()
            .block_on(async move { tokio::spawn(async move { store.ping(call()) }).await.unwrap() })
            .unwrap();
    }
}

#[test]
fn a_task_of_a_current_thread_runtime() {
    for store in stores() {
        current_thread().block_on(async { store.ping(call()) }).unwrap();
    }
}

#[test]
fn spawn_blocking() {
    for runtime in [multi_thread(), current_thread()] {
        for store in stores() {
            runtime
                .block_on(async { tokio::task::spawn_blocking(move || store.ping(call())).await })
                .unwrap()
                .unwrap();
        }
    }
}

#[test]
fn a_drop_on_a_thread_and_in_a_task() {
    let (sender, receiver) = mpsc::channel();
    for store in stores() {
        drop(CallsInDrop(store.clone(), sender.clone()));
        receiver.recv().unwrap().unwrap();
        for runtime in [multi_thread(), current_thread()] {
            let calls = CallsInDrop(store.clone(), sender.clone());
            runtime.block_on(async move { drop(calls) });
            receiver.recv().unwrap().unwrap();
        }
    }
}

#[test]
fn a_drop_of_a_thread_local_while_its_thread_ends() {
    thread_local! {
        static CALLS: std::cell::RefCell<Option<CallsInDrop>> = const { std::cell::RefCell::new(None) };
    }
    for store in stores() {
        let (sender, receiver) = mpsc::channel();
        let calls = CallsInDrop(store, sender);
        let thread = std::thread::spawn(move || {
            // First ours, then tokio's thread-local: they are dropped in the other order, so that ours finds none.
            CALLS.with(|slot| slot.replace(Some(calls)));
            assert!(tokio::runtime::Handle::try_current().is_err());
        });
        receiver.recv().unwrap().unwrap();
        thread.join().unwrap();
    }
}

#[test]
fn a_drop_of_a_thread_local_between_those_that_a_call_needs() {
    thread_local! {
        static CALLS: std::cell::RefCell<Option<CallsInDrop>> = const { std::cell::RefCell::new(None) };
    }
    for driven in [false, true] {
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            // Opening touches one thread-local of tokio, calling may touch another: ours is dropped between them.
            let store = open(Ping::Answers, driven);
            CALLS.with(|slot| slot.replace(Some(CallsInDrop(store.clone(), sender))));
            store.ping(call()).unwrap();
        });
        receiver.recv().unwrap().unwrap();
        thread.join().unwrap();
    }
}

#[test]
fn after_the_callers_runtime_has_ended() {
    let runtime = multi_thread();
    let stores = runtime.block_on(async { stores() });
    drop(runtime);
    for store in stores {
        store.ping(call()).unwrap();
    }
}

#[test]
fn after_close_on_any_clone() {
    for store in stores() {
        let clone = store.clone();
        store.close(call()).unwrap();
        store.close(call()).unwrap();
        for store in [store, clone] {
            assert_eq!(store.ping(call()).unwrap_err().kind(), ErrorKind::Closed);
        }
    }
}

#[test]
fn a_forked_child() {
    for way in ["handed over", "driven"] {
        let mut process = Command::new(env!("CARGO_BIN_EXE_after_fork"));
        process.args([&echo_server().to_string(), way]).stdout(Stdio::piped());
        let mut process = process.spawn().unwrap();
        let bound = Instant::now() + Duration::from_secs(30);
        while process.try_wait().unwrap().is_none() && Instant::now() < bound {
            std::thread::yield_now();
        }
        // Of one that has ended this is not an error.
        process.kill().unwrap();
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{way}: {output:?}");
    }
}

/// Answers each connection with its own bytes, for as long as the process lives; so late that whoever asks has to
/// wait for it.
fn echo_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            std::thread::spawn(move || {
                let mut connection = connection.unwrap();
                let mut byte = [0];
                while connection.read_exact(&mut byte).is_ok() {
                    std::thread::sleep(Duration::from_millis(20));
                    connection.write_all(&byte).unwrap();
                }
            });
        }
    });
    address
}

#[test]
fn a_store_that_overruns_its_deadline_is_cut_off_and_dropped() {
    for (from_task, driven) in [(false, false), (true, false), (false, true), (true, true)] {
        let dropped = Arc::new(AtomicBool::new(false));
        let store = open(Ping::Hangs(Arc::clone(&dropped)), driven);
        let error = cut_off(|call| {
            if from_task { current_thread().block_on(async { store.ping(call) }) } else { store.ping(call) }
        });
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::Unknown));
        // An aborted task is dropped by the runtime, soon.
        let bound = Instant::now() + Duration::from_secs(5);
        while !dropped.load(Ordering::SeqCst) && Instant::now() < bound {
            std::thread::yield_now();
        }
        assert!(dropped.load(Ordering::SeqCst), "from a task: {from_task}, driven: {driven}");
    }
}

#[test]
fn a_store_that_panics_is_an_error_and_the_next_call_works() {
    for store in both(&Ping::Panics) {
        let on_thread = store.ping(call()).unwrap_err();
        let in_task = current_thread().block_on(async { store.ping(call()) }).unwrap_err();
        for error in [on_thread, in_task] {
            assert_eq!((error.kind(), error.effect()), (ErrorKind::Unexpected, Effect::Unknown));
        }
        assert!(store.load(call(), &subject()).unwrap().is_empty());
    }
}

#[test]
fn what_is_at_hand_is_answered_on_the_callers_thread_wherever_that_is() {
    thread_local! {
        static LOADS: std::cell::RefCell<Option<LoadsInDrop>> = const { std::cell::RefCell::new(None) };
    }
    for (store, looked) in [false, true].map(|driven| Near::open(false, driven)) {
        let here = std::thread::current().id();
        assert!(store.load(call(), &subject()).unwrap().is_empty());
        current_thread().block_on(async { store.load(call(), &subject()).unwrap() });
        assert_eq!([looked.recv().unwrap(), looked.recv().unwrap()], [here; 2]);
        let (sender, loaded) = mpsc::channel();
        let ending = LoadsInDrop(store.clone(), sender);
        std::thread::spawn(|| LOADS.with(|slot| drop(slot.replace(Some(ending))))).join().unwrap();
        let there = loaded.recv().unwrap();
        assert!(there != here && looked.recv().unwrap() == there, "the thread that ended");
    }
}

#[test]
fn a_store_that_panics_where_it_looks_what_is_at_hand_is_an_error() {
    for (store, _looked) in [false, true].map(|driven| Near::open(true, driven)) {
        let error = store.load(call(), &subject()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unexpected);
        store.ping(call()).unwrap();
    }
}

#[test]
fn a_deadline_without_end_is_waited_for() {
    for store in stores() {
        store.ping(within(Duration::MAX)).unwrap();
    }
}

#[test]
fn the_farthest_deadline_is_no_overflow() {
    let steps =
        [Duration::from_secs, Duration::from_nanos].map(|unit| (0..64).rev().map(move |n| unit(1 << n)));
    let add = |far: Instant, step: Duration| far.checked_add(step).unwrap_or(far);
    let farthest = Call::new(call().now, steps.into_iter().flatten().fold(Instant::now(), add));
    for store in stores() {
        store.ping(farthest).unwrap();
        current_thread().block_on(async { store.ping(farthest) }).unwrap();
    }
}

#[test]
fn a_call_whose_deadline_has_passed_is_not_applied() {
    for store in stores() {
        let passed = Call::new(call().now, Instant::now() - Duration::from_millis(200));
        let on_thread = store.ping(passed).unwrap_err();
        let in_task = current_thread().block_on(async { store.ping(passed) }).unwrap_err();
        for error in [on_thread, in_task] {
            assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::NotApplied));
        }
    }
}

#[test]
fn a_store_that_keeps_its_thread_does_not_keep_the_callers() {
    let store = open(Ping::Blocks(Duration::from_secs(2)), false);
    assert_eq!(cut_off(|call| store.ping(call)).kind(), ErrorKind::Timeout);
}

#[test]
fn the_store_is_dropped_on_its_runtime_before_the_last_handle_is_gone() {
    let (sender, dropped) = mpsc::channel();
    for (in_task, driven) in [(false, false), (true, false), (false, true), (true, true)] {
        let store = open(Ping::Tells(Arc::new(TellsDrop(sender.clone()))), driven);
        store.ping(call()).unwrap();
        let clone = store.clone();
        drop(store);
        assert!(dropped.try_recv().is_err(), "a clone is left");
        if in_task {
            current_thread().block_on(async { drop(clone) });
        } else {
            drop(clone);
        }
        assert_eq!(dropped.try_recv(), Ok(true), "in a task: {in_task}, driven: {driven}");
    }
}

#[test]
fn many_threads_share_one_handle() {
    for store in stores() {
        std::thread::scope(|scope| {
            for _ in 0..32 {
                scope.spawn(|| (0..50).for_each(|_| store.ping(call()).unwrap()));
            }
        });
    }
}

#[test]
fn threads_and_tasks_share_one_handle() {
    for store in stores() {
        let runtime = multi_thread();
        let tasks = (0..8).map(|_| {
            let store = store.clone();
            runtime.spawn(async move { (0..50).for_each(|_| store.ping(call()).unwrap()) })
        });
        let tasks: Vec<_> = tasks.collect();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..50).for_each(|_| store.ping(call()).unwrap()));
            }
        });
        tasks.into_iter().for_each(|task| runtime.block_on(task).unwrap());
    }
}

#[test]
fn what_the_store_does_by_itself_goes_on_between_calls() {
    for driven in [false, true] {
        let beats = Arc::new(AtomicUsize::new(0));
        let beat = Arc::clone(&beats);
        let open = || async {
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    beat.fetch_add(1, Ordering::SeqCst);
                }
            });
            Waiting::open(Ping::Answers)
        };
        let store = if driven { Blocking::open_driven(open) } else { Blocking::open(open) }.unwrap();
        for _ in 0..2 {
            store.ping(call()).unwrap();
            let (before, bound) = (beats.load(Ordering::SeqCst), Instant::now() + Duration::from_secs(30));
            while beats.load(Ordering::SeqCst) < before + 20 && Instant::now() < bound {
                std::thread::yield_now();
            }
            assert!(beats.load(Ordering::SeqCst) >= before + 20, "driven: {driven}");
        }
    }
}

#[test]
fn opening_and_dropping_inside_a_task_works() {
    for runtime in [multi_thread(), current_thread()] {
        runtime.block_on(async {
            for store in stores() {
                store.ping(call()).unwrap();
                drop(store);
            }
        });
    }
}

#[test]
fn what_opening_answers_comes_back() {
    let refused = || async { Err::<Waiting, _>(Error::new(ErrorKind::Denied, "wrong password")) };
    for open in [Blocking::open, Blocking::open_driven] {
        assert_eq!(open(refused).unwrap_err().kind(), ErrorKind::Denied);
        let error = current_thread().block_on(async { open(refused) }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
    }
}

#[test]
fn opening_that_panics_is_an_error() {
    #[expect(unreachable_code, reason = "the type of what is never opened")]
    let panics = || async {
        panic!("opening panics");
        Waiting::open(Ping::Answers)
    };
    for open in [Blocking::open, Blocking::open_driven] {
        assert_eq!(open(panics).unwrap_err().kind(), ErrorKind::Unexpected);
    }
}
