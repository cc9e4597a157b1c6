//! Every place that a call can come from.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use stickystore_core::{Blocking, Error, ErrorKind, Store as _};
use stickystore_integration_tests::waiting::{Ping, Waiting};

use super::{WAYS, call, current_thread, multi_thread, open, stores};

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

/// Calls the store when it is dropped, and tells what it was answered.
struct CallsInDrop(Blocking<Waiting>, mpsc::Sender<Result<(), Error>>);

impl Drop for CallsInDrop {
    fn drop(&mut self) {
        let _ = self.1.send(self.0.ping(call()));
    }
}

#[test]
fn every_row_of_the_table_has_a_test() {
    let source = include_str!("../../../crates/core/src/blocking.rs");
    let table = source.lines().skip_while(|line| !line.contains("| called from |")).skip(2);
    let rows =
        table.map_while(|line| line.strip_prefix("/// | ")).filter_map(|line| line.split(" | ").next());
    assert_eq!(rows.collect::<Vec<_>>(), ROWS.map(|(row, _)| row));
    let tests = include_str!("places.rs");
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
    for way in WAYS {
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            // Opening touches one thread-local of tokio, calling may touch another: ours is dropped between them.
            let store = open(Ping::Answers, way);
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
    for runtimes in [None, Some("1"), Some("3")] {
        let mut process = Command::new(env!("CARGO_BIN_EXE_after_fork"));
        process.arg(echo_server().to_string()).args(runtimes).stdout(Stdio::piped());
        let mut process = process.spawn().unwrap();
        let bound = Instant::now() + Duration::from_secs(30);
        while process.try_wait().unwrap().is_none() && Instant::now() < bound {
            std::thread::yield_now();
        }
        // Of one that has ended this is not an error.
        process.kill().unwrap();
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{runtimes:?}: {output:?}");
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
