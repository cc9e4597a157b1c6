//! Who drives: of most of these runtimes there is no thread but the callers'.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, ThreadId};

use tokio::io::AsyncReadExt as _;
use tokio::runtime::Builder;
use tokio::time::sleep;

use super::*;

const LONG: Duration = Duration::from_secs(60);

fn driven() -> Arc<Driven> {
    Arc::new(Driven::new(Builder::new_current_thread().enable_all().build().unwrap()))
}

fn with_own_thread() -> Arc<Driven> {
    let driven = driven();
    let own = Arc::clone(&driven);
    thread::spawn(move || own.drive_while_nobody_calls());
    driven
}

/// Waits for this, which has to come.
fn wait_until(is_so: impl Fn() -> bool) {
    let bound = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < bound, "it did not come");
        thread::yield_now();
    }
}

fn own_thread_drives(driven: &Driven) -> bool {
    matches!(driven.seat().taken_by, Driver::OwnThread)
}

/// A call that needs the runtime: a task and a timer.
async fn answered() -> ThreadId {
    tokio::spawn(sleep(Duration::from_millis(1))).await.unwrap();
    thread::current().id()
}

#[test]
fn a_call_alone_runs_on_its_callers_thread() {
    assert_eq!(driven().run(answered(), LONG), Some(thread::current().id()));
}

#[test]
fn callers_need_no_other_thread_and_each_looks_after_its_own_call() {
    let driven = driven();
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert_eq!(driven.run(answered(), LONG), Some(thread::current().id()));
                }
            });
        }
    });
    let seat = driven.seat();
    assert!(seat.taken_by == Driver::Nobody && seat.line.is_empty() && seat.calls == 16 * 50);
}

#[test]
fn whoever_drives_hands_on_when_it_ends() {
    for ends in ["answered", "too late", "panics"] {
        let driven = driven();
        let (drives, driving) = mpsc::channel();
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        thread::scope(|scope| {
            let driven = &driven;
            let time = if ends == "too late" { Duration::from_millis(20) } else { LONG };
            let first = scope.spawn(move || {
                let first = async {
                    drives.send(()).unwrap();
                    if ends == "too late" {
                        std::future::pending::<()>().await;
                    }
                    gone.await.unwrap();
                    assert_ne!(ends, "panics", "it was told to");
                };
                catch_unwind(AssertUnwindSafe(|| driven.run(first, time)))
            });
            driving.recv().unwrap();
            let second = scope.spawn(|| driven.run(answered_after(Duration::from_millis(50)), LONG));
            wait_until(|| driven.seat().calls == 2);
            let _ = go.send(());
            assert_eq!(second.join().unwrap(), Some(()), "{ends}");
            match first.join().unwrap() {
                Ok(answer) => assert_eq!(answer.is_some(), ends == "answered"),
                Err(_) => assert_eq!(ends, "panics"),
            }
        });
    }
}

async fn answered_after(time: Duration) {
    tokio::spawn(sleep(time)).await.unwrap();
}

#[test]
fn a_caller_who_does_not_drive_is_answered_in_time_though_the_one_who_drives_is_kept() {
    let driven = driven();
    let (drives, driving) = mpsc::channel();
    let (free, kept) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let keeps = async move {
            drives.send(()).unwrap();
            kept.recv().unwrap();
        };
        let first = scope.spawn(|| driven.run(keeps, LONG));
        driving.recv().unwrap();
        assert_eq!(driven.run(answered(), Duration::from_millis(20)), None);
        free.send(()).unwrap();
        assert_eq!(first.join().unwrap(), Some(()));
    });
    assert!(driven.run(answered(), LONG).is_some(), "the seat is free again");
}

#[test]
fn a_call_that_is_too_late_is_dropped_where_the_runtime_is_at_hand() {
    struct Tells(mpsc::Sender<bool>);
    impl Drop for Tells {
        fn drop(&mut self) {
            self.0.send(Handle::try_current().is_ok()).unwrap();
        }
    }
    let (sender, dropped) = mpsc::channel();
    let hangs = async move {
        let _tells = Tells(sender);
        std::future::pending::<()>().await;
    };
    assert_eq!(driven().run(hangs, Duration::from_millis(1)), None);
    assert_eq!(dropped.try_recv(), Ok(true));
}

#[test]
fn the_own_thread_drives_while_nobody_calls_and_gives_way_to_who_does() {
    let driven = with_own_thread();
    for _ in 0..2 {
        wait_until(|| own_thread_drives(&driven));
        let is_given_the_seat = async {
            while driven.seat().taken_by != Driver::Caller {
                yield_now().await;
            }
        };
        assert_eq!(driven.run(is_given_the_seat, LONG), Some(()));
    }
    driven.end();
    wait_until(|| Arc::strong_count(&driven) == 1);
}

#[test]
fn what_was_handed_over_is_driven_though_the_caller_who_drove_has_gone() {
    let driven = with_own_thread();
    let done = Arc::new(AtomicBool::new(false));
    let (handed, does) = (driven.hand_over(), Arc::clone(&done));
    let starts = async {
        tokio::spawn(async move {
            let _handed = handed;
            sleep(Duration::from_millis(20)).await;
            does.store(true, Ordering::SeqCst);
        });
    };
    assert_eq!(driven.run(starts, LONG), Some(()));
    wait_until(|| done.load(Ordering::SeqCst) && driven.seat().handed == 0);
    driven.end();
}

#[test]
fn what_came_while_nobody_drove_is_seen_before_the_next_call_is_made() {
    for is_handed_over in [false, true] {
        let driven = driven();
        let ended = connection_that_ended(&driven);
        wait_until(|| driven.seat().left.is_some_and(|left| left.elapsed() > UNSEEN * 2));
        if is_handed_over {
            let (handed, (sender, told)) = (driven.hand_over(), tokio::sync::oneshot::channel());
            let looks = async move { sender.send(ended.load(Ordering::SeqCst)).unwrap() };
            // Somebody drives who came a moment later.
            driven.runtime.as_ref().unwrap().spawn(handed.run(looks));
            driven.seat().left = None;
            assert_eq!(driven.run(told, LONG), Some(Ok(true)));
        } else {
            assert_eq!(driven.run(async { ended.load(Ordering::SeqCst) }, LONG), Some(true));
        }
    }
}

#[test]
fn what_came_before_the_own_thread_came_to_drive_is_seen_before_the_next_calls_are_made() {
    let driven = driven();
    let ended = connection_that_ended(&driven);
    // It has the seat, and the operating system has not let it go on yet.
    driven.seat().taken_by = Driver::OwnThread;
    let calls = driven.seat().calls;
    thread::scope(|scope| {
        let call = || driven.run(async { ended.load(Ordering::SeqCst) }, LONG);
        let callers = [scope.spawn(call), scope.spawn(call)];
        wait_until(|| driven.seat().calls == calls + 2);
        driven.drive_until_called(driven.runtime.as_ref().unwrap());
        assert_eq!(callers.map(|caller| caller.join().unwrap()), [Some(true); 2]);
    });
}

/// A connection that ended while nobody drove, and whether its task knows.
fn connection_that_ended(driven: &Driven) -> Arc<AtomicBool> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    let (twin, ended) = (ours.try_clone().unwrap(), Arc::new(AtomicBool::new(false)));
    let ends = Arc::clone(&ended);
    let opens = async move {
        let mut connection = tokio::net::TcpStream::from_std(ours).unwrap();
        tokio::spawn(async move {
            let read = connection.read_u8().await;
            ends.store(read.is_err(), Ordering::SeqCst);
        });
    };
    assert_eq!(driven.run(opens, LONG), Some(()));
    // The task waits for the connection from now on.
    assert!(driven.run(answered(), LONG).is_some());
    drop(theirs);
    wait_until(|| twin.peek(&mut [0]).is_ok_and(|bytes| bytes == 0));
    ended
}

#[test]
fn inside_a_runtime_and_where_it_was_entered_it_is_not_driven() {
    assert!(Driven::may_be_driven_here());
    let runtime = Builder::new_current_thread().build().unwrap();
    assert!(!runtime.block_on(async { Driven::may_be_driven_here() }));
    let _inside = runtime.enter();
    assert!(!Driven::may_be_driven_here());
}
