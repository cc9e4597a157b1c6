//! Calls that end otherwise than by an answer, and when the store ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use stickystore_core::{Call, Effect, Error, ErrorKind, Store as _, StoreExt as _};
use stickystore_integration_tests::waiting::{Ping, TellsDrop};

use super::{WAYS, Way, call, current_thread, open, stores, subject, within};

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

#[test]
fn a_store_that_overruns_its_deadline_is_cut_off_and_dropped() {
    for (way, from_task) in WAYS.into_iter().flat_map(|way| [(way, false), (way, true)]) {
        let dropped = Arc::new(AtomicBool::new(false));
        let store = open(Ping::Hangs(Arc::clone(&dropped)), way);
        let error = cut_off(|call| {
            if from_task { current_thread().block_on(async { store.ping(call) }) } else { store.ping(call) }
        });
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::Unknown));
        // An aborted task is dropped by the runtime, soon.
        let bound = Instant::now() + Duration::from_secs(5);
        while !dropped.load(Ordering::SeqCst) && Instant::now() < bound {
            std::thread::yield_now();
        }
        assert!(dropped.load(Ordering::SeqCst), "from a task: {from_task}, {way:?}");
    }
}

#[test]
fn a_store_that_panics_is_an_error_and_the_next_call_works() {
    for store in WAYS.map(|way| open(Ping::Panics, way)) {
        let on_thread = store.ping(call()).unwrap_err();
        let in_task = current_thread().block_on(async { store.ping(call()) }).unwrap_err();
        for error in [on_thread, in_task] {
            assert_eq!((error.kind(), error.effect()), (ErrorKind::Unexpected, Effect::Unknown));
        }
        assert!(store.load(call(), &subject()).unwrap().is_empty());
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
    let store = open(Ping::Blocks(Duration::from_secs(2)), Way::HandedOver);
    assert_eq!(cut_off(|call| store.ping(call)).kind(), ErrorKind::Timeout);
}

#[test]
fn the_store_is_dropped_on_its_runtime_before_the_last_handle_is_gone() {
    let (sender, dropped) = mpsc::channel();
    for (way, in_task) in WAYS.into_iter().flat_map(|way| [(way, false), (way, true)]) {
        let store = open(Ping::Tells(Arc::new(TellsDrop(sender.clone()))), way);
        store.ping(call()).unwrap();
        let clone = store.clone();
        drop(store);
        assert!(dropped.try_recv().is_err(), "a clone is left");
        if in_task {
            current_thread().block_on(async { drop(clone) });
        } else {
            drop(clone);
        }
        assert_eq!(dropped.try_recv(), Ok(true), "in a task: {in_task}, {way:?}");
    }
}
