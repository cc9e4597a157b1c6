//! Many callers at once, and none.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use stickystore_core::{
    AsyncStore, Blocking, Call, Erase, Error, ErrorKind, Outcome, Profile, Read, Store as _, StoreInfo,
    Write, async_trait,
};
use stickystore_integration_tests::waiting::{Ping, Waiting};

use super::{WAYS, Way, call, multi_thread, stores};

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
    for way in WAYS {
        let beats = Arc::new(AtomicUsize::new(0));
        let beat = Arc::clone(&beats);
        let open = move || {
            let beat = Arc::clone(&beat);
            async move {
                tokio::spawn(async move {
                    loop {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                        beat.fetch_add(1, Ordering::SeqCst);
                    }
                });
                Waiting::open(Ping::Answers)
            }
        };
        let store = way.open(open).unwrap();
        for _ in 0..2 {
            store.ping(call()).unwrap();
            let (before, bound) = (beats.load(Ordering::SeqCst), Instant::now() + Duration::from_secs(30));
            while beats.load(Ordering::SeqCst) < before + 20 && Instant::now() < bound {
                std::thread::yield_now();
            }
            assert!(beats.load(Ordering::SeqCst) >= before + 20, "{way:?}");
        }
    }
}

/// Notes which store is called; its ping takes its time, on the thread that it has, until enough others are under way.
#[derive(Debug)]
struct Met {
    number: usize,
    meeting: Arc<Meeting>,
}

#[derive(Debug, Default)]
struct Meeting {
    opened: AtomicUsize,
    expected: usize,
    seen: Mutex<Seen>,
    change: Condvar,
}

#[derive(Debug, Default)]
struct Seen {
    there: usize,
    pinged: Vec<usize>,
    closed: Vec<usize>,
}

impl Meeting {
    /// One store on each of two runtimes, of whose pings so many have to be under way at the same time.
    fn of(expected: usize) -> (Blocking<Met>, Arc<Self>) {
        let meeting = Arc::new(Self { expected, ..Self::default() });
        let open = Arc::clone(&meeting);
        let open = move || {
            let number = open.opened.fetch_add(1, Ordering::SeqCst);
            std::future::ready(Ok(Met { number, meeting: Arc::clone(&open) }))
        };
        (Way::DrivenOn(2).open(open).unwrap(), meeting)
    }
}

#[async_trait]
impl AsyncStore for Met {
    fn info(&self) -> &StoreInfo {
        const INFO: &StoreInfo = &StoreInfo::new("met");
        INFO
    }

    async fn read(&self, _: Call, _: &[Read]) -> Vec<Result<Profile, Error>> {
        Vec::new()
    }

    async fn write(&self, _: Call, _: &[Write]) -> Vec<Vec<Result<Outcome, Error>>> {
        Vec::new()
    }

    async fn erase(&self, _: Call, _: &[Erase]) -> Vec<Result<bool, Error>> {
        Vec::new()
    }

    async fn ping(&self, call: Call) -> Result<(), Error> {
        let mut seen = self.meeting.seen.lock().unwrap();
        seen.there += 1;
        seen.pinged.push(self.number);
        self.meeting.change.notify_all();
        let waits = |seen: &mut Seen| seen.there < self.meeting.expected;
        let waited = self.meeting.change.wait_timeout_while(seen, call.remaining() / 2, waits).unwrap();
        let alone = || Error::new(ErrorKind::Unavailable, "nobody else was there");
        (!waited.1.timed_out()).then_some(()).ok_or_else(alone)
    }

    async fn close(&self, _: Call) -> Result<(), Error> {
        self.meeting.seen.lock().unwrap().closed.push(self.number);
        let context = "the first can not be closed";
        if self.number == 0 { Err(Error::new(ErrorKind::Unavailable, context)) } else { Ok(()) }
    }
}

#[test]
fn as_many_callers_drive_at_the_same_time_as_there_are_runtimes() {
    let (store, meeting) = Meeting::of(2);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| store.ping(call()).unwrap());
        }
    });
    let mut pinged = meeting.seen.lock().unwrap().pinged.clone();
    pinged.sort_unstable();
    assert_eq!(pinged, [0, 1]);
}

#[test]
fn one_caller_at_a_time_has_the_first() {
    let (store, meeting) = Meeting::of(1);
    for _ in 0..5 {
        std::thread::scope(|scope| drop(scope.spawn(|| store.ping(call()).unwrap())));
    }
    assert_eq!(meeting.seen.lock().unwrap().pinged, [0; 5]);
}

#[test]
fn all_are_closed_also_behind_one_that_can_not_be() {
    let (store, meeting) = Meeting::of(1);
    assert_eq!(store.close(call()).unwrap_err().context(), "the first can not be closed");
    assert_eq!(meeting.seen.lock().unwrap().closed, [0, 1]);
}
