//! `assign`: what the store keeps is what is answered.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stickystore::core::{
    Call, Entry, EpochCheck, Erase, Expiry, Key, StoreExt as _, SystemClock, UnixMillis, Value,
};
use stickystore::{ErrorKind, How, Settings};

use crate::bench::{NOW, Surprised, ann};

fn call() -> Call {
    Call::within(&SystemClock, Duration::from_secs(5)).at(UnixMillis::new(NOW).unwrap())
}

fn key() -> Key {
    Key::new("button").unwrap()
}

fn never() -> &'static str {
    unreachable!("the value was not needed")
}

#[test]
fn the_first_value_is_kept_and_no_other_is_asked_for() {
    let sticky = Surprised::default().sticky();
    let first = sticky.assign("ann", "button", || "red").unwrap();
    assert_eq!((first.how, first.text().as_deref()), (How::New, Some("red")));
    let later = sticky.assign("ann", "button", never).unwrap();
    assert_eq!((later.how, &later.entry), (How::Existing, &first.entry));
    assert_eq!(sticky.assign("bob", "button", || "blue").unwrap().text().as_deref(), Some("blue"));
}

#[test]
fn who_loses_a_race_is_answered_what_won() {
    let store = Surprised::default();
    store.before_a_write(|behind| {
        let theirs = Entry::new(Value::string("theirs"), Expiry::Never);
        behind.insert(call(), &ann(), EpochCheck::Is(None), key(), theirs).unwrap();
    });
    let assigned = store.sticky().assign("ann", "button", || "ours").unwrap();
    assert_eq!((assigned.how, assigned.text().as_deref()), (How::Existing, Some("theirs")));
}

#[test]
fn an_erasure_in_between_is_respected_and_the_value_kept_after_it() {
    let store = Surprised::default();
    for _ in 0..2 {
        store.before_a_write(|behind| {
            behind.erase_one(call(), Erase::new(ann(), call().now)).unwrap();
        });
    }
    let asked = Cell::new(0);
    let value = || {
        asked.set(asked.get() + 1);
        "red"
    };
    let assigned = store.sticky().assign("ann", "button", value).unwrap();
    assert_eq!((assigned.how, asked.get()), (How::New, 1));
    let kept = store.store.get(call(), &ann(), &key()).unwrap();
    assert_eq!(kept, Some(assigned.entry));
}

#[test]
fn a_damaged_entry_is_an_error_and_stays() {
    let store = Surprised::default();
    store.store.plant(&ann(), key(), "written by another program");
    let error = store.sticky().assign("ann", "button", never).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(store.store.load(call(), &ann()).unwrap().damaged().len(), 1);
}

#[test]
fn a_store_that_fails_is_an_error_and_not_an_absent_user() {
    let sticky = Surprised::default().sticky();
    sticky.close().unwrap();
    assert_eq!(sticky.assign("ann", "button", never).unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn wrong_names_are_refused_before_anything() {
    let sticky = Surprised::default().sticky();
    assert_eq!(sticky.assign("", "button", never).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(sticky.assign("ann", "", never).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn of_many_at_once_one_is_new_and_all_are_answered_the_same() {
    let sticky = Surprised::default().sticky();
    let new = AtomicUsize::new(0);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let ask = |number: usize| {
            let assigned = sticky.assign("ann", "button", || number.to_string()).unwrap();
            new.fetch_add(usize::from(assigned.how == How::New), Ordering::Relaxed);
            assigned.entry
        };
        let threads: Vec<_> = (0..16).map(|number| scope.spawn(move || ask(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(new.into_inner(), 1);
    assert!(answers.iter().all(|entry| *entry == answers[0]));
}

#[test]
fn an_entry_lives_its_time_and_then_another_may_come() {
    use stickystore::core::{ManualClock, Ttl};

    let clock = ManualClock::new(UnixMillis::new(NOW).unwrap());
    let bind = |settings: Settings| {
        settings.with_clock(clock.clone()).with_ttl(Ttl::new(Duration::from_millis(10)).unwrap())
    };
    let sticky = Surprised::default().sticky().with_settings(bind);
    sticky.assign("ann", "button", || "red").unwrap();
    clock.advance(Duration::from_millis(9));
    assert_eq!(sticky.assign("ann", "button", never).unwrap().how, How::Existing);
    clock.advance(Duration::from_millis(1));
    assert_eq!(sticky.assign("ann", "button", || "blue").unwrap().text().as_deref(), Some("blue"));
}

#[tokio::test]
async fn the_async_handle_answers_the_same() {
    let sticky = stickystore::open_async("memory:?namespace=shop").await.unwrap();
    let first = sticky.assign("ann", "button", || "red").await.unwrap();
    assert_eq!(first.how, How::New);
    let later = sticky.assign("ann", "button", never).await.unwrap();
    assert_eq!((later.how, later.entry), (How::Existing, first.entry));
    // From many tasks, so that its future has to be one that can move between threads.
    let task = tokio::spawn({
        let sticky = sticky.clone();
        async move { sticky.assign("bob", "button", || "blue").await.unwrap().how }
    });
    assert_eq!(task.await.unwrap(), How::New);
}
