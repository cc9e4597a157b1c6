//! Who goes together, and who is told what.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Effect, Error, ErrorKind, Immediate, Outcome, Read, Store as _,
};
use stickystore_layers::coalesce::Coalesced;

use crate::bench::{Scripted, call, coalesced, entry, key, load, put, stands, subject, value};

/// These users have a value of their own name.
async fn known(scripted: &Scripted, users: &[&str]) {
    let store = Immediate::new(scripted.memory().clone());
    for user in users {
        store.put(call(), &subject(user), key(), entry(user)).await.unwrap();
    }
}

#[test]
fn a_call_that_is_alone_goes_in_its_callers_own_future_without_any_runtime() {
    let store = Coalesced::new(Immediate::new(MemoryStore::new()));
    let reads = [Read::all(subject("ann"))];
    let mut answer = pin!(store.read(call(), &reads));
    let polled = answer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(answers) if answers.len() == 1));
}

#[tokio::test(start_paused = true)]
async fn reads_that_come_while_one_is_in_flight_leave_together_when_it_is_back() {
    let (store, scripted) = coalesced(1);
    let first = load(&store, "ann");
    assert_eq!(scripted.seen().await, ["read ann"]);
    let others = ["bob", "cid", "dan"].map(|user| load(&store, user));
    assert_eq!(scripted.seen().await, ["read ann"]);
    scripted.answer(0).await;
    first.await.unwrap().unwrap();
    assert_eq!(scripted.seen().await, ["read ann", "read bob cid dan"]);
    scripted.answer(1).await;
    for other in others {
        other.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn many_who_came_back_together_leave_together_again() {
    let (store, scripted) = coalesced(1);
    let users: Vec<_> = (0..20).map(|user| format!("user{user}")).collect();
    let twice = |user: &String| {
        let (store, user) = (store.clone(), subject(user));
        tokio::spawn(async move {
            store.load(call(), &user).await.unwrap();
            store.load(call(), &user).await.unwrap();
        })
    };
    let callers: Vec<_> = users.iter().map(twice).collect();
    for place in 0..3 {
        scripted.seen().await;
        scripted.answer(place).await;
    }
    for caller in callers {
        caller.await.unwrap();
    }
    let sizes = scripted.calls().into_iter().map(|seen| seen.what.matches("user").count());
    assert_eq!(sizes.collect::<Vec<_>>(), [1, 19, 20], "who came first went alone; then everybody, together");
}

#[tokio::test(start_paused = true)]
async fn as_many_calls_as_may_be_in_flight_go_at_once_by_themselves() {
    let (store, scripted) = coalesced(3);
    let _calls = ["ann", "bob", "cid", "dan"].map(|user| load(&store, user));
    assert_eq!(scripted.seen().await, ["read ann", "read bob", "read cid"]);
}

#[tokio::test(start_paused = true)]
async fn each_caller_of_a_batch_of_reads_is_told_its_own_user() {
    let (store, scripted) = coalesced(1);
    known(&scripted, &["bob", "cid", "dan"]).await;
    let _first = load(&store, "ann");
    let others = ["cid", "bob", "nobody", "dan"].map(|user| (user, load(&store, user)));
    scripted.seen().await;
    scripted.answer(0).await;
    scripted.answer(1).await;
    for (user, answer) in others {
        let own = (user != "nobody").then(|| format!("{user:?}"));
        assert_eq!(value(&answer.await.unwrap().unwrap()), own);
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_with_several_users_gets_as_many_answers_in_their_order() {
    let (store, scripted) = coalesced(1);
    known(&scripted, &["bob", "cid", "dan"]).await;
    let _first = load(&store, "ann");
    let before = load(&store, "dan");
    let many = store.clone();
    let many = tokio::spawn(async move {
        let reads = ["dan", "bob", "ann", "cid"].map(|user| Read::all(subject(user)));
        many.read(call(), &reads).await
    });
    scripted.seen().await;
    scripted.answer(0).await;
    assert_eq!(scripted.seen().await[1], "read dan bob ann cid");
    scripted.answer(1).await;
    let told: Vec<_> = many.await.unwrap().into_iter().map(|answer| value(&answer.unwrap())).collect();
    assert_eq!(told, [Some("\"dan\"".into()), Some("\"bob\"".into()), None, Some("\"cid\"".into())]);
    assert_eq!(value(&before.await.unwrap().unwrap()), Some("\"dan\"".into()));
}

#[tokio::test(start_paused = true)]
async fn writes_leave_together_and_each_is_told_its_own_outcome() {
    let (store, scripted) = coalesced(1);
    known(&scripted, &["cid"]).await;
    let _first = put(&store, "ann", "a");
    let (bob, dan) = (put(&store, "bob", "b"), put(&store, "dan", "d"));
    let cid = store.clone();
    let cid = tokio::spawn(async move {
        cid.insert(call(), &subject("cid"), stickystore_core::EpochCheck::Ignore, key(), entry("c")).await
    });
    scripted.seen().await;
    scripted.answer(0).await;
    assert_eq!(scripted.seen().await, ["write ann", "write bob dan cid"]);
    scripted.answer(1).await;
    assert_eq!(bob.await.unwrap().unwrap(), Outcome::Written);
    assert_eq!(dan.await.unwrap().unwrap(), Outcome::Written);
    assert!(matches!(cid.await.unwrap().unwrap(), Outcome::Kept(kept) if kept.value.as_str() == "\"cid\""));
    assert_eq!(stands(&scripted, "bob"), Some("\"b\"".into()));
}

#[tokio::test(start_paused = true)]
async fn reads_do_not_wait_for_writes() {
    let (store, scripted) = coalesced(1);
    let _write = put(&store, "ann", "a");
    let read = load(&store, "ann");
    assert_eq!(scripted.seen().await, ["write ann", "read ann"]);
    scripted.answer(1).await;
    assert_eq!(value(&read.await.unwrap().unwrap()), None);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_that_of_one_batch_and_the_next_goes_on() {
    let (store, scripted) = coalesced(1);
    let _first = load(&store, "ann");
    let failing = ["bob", "cid"].map(|user| load(&store, user));
    scripted.seen().await;
    scripted.answer(0).await;
    let next = load(&store, "dan");
    scripted.seen().await;
    scripted.fail(1, Error::new(ErrorKind::Unavailable, "the server went away")).await;
    for failed in failing {
        assert_eq!(failed.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    }
    scripted.answer(2).await;
    next.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn several_who_read_the_same_user_share_one_read() {
    let (store, scripted) = coalesced(1);
    known(&scripted, &["bob"]).await;
    let _first = load(&store, "ann");
    let others = ["bob", "cid", "bob", "bob"].map(|user| load(&store, user));
    scripted.seen().await;
    scripted.answer(0).await;
    assert_eq!(scripted.seen().await[1], "read bob cid");
    scripted.answer(1).await;
    let mut told = Vec::new();
    for other in others {
        told.push(value(&other.await.unwrap().unwrap()).is_some());
    }
    assert_eq!(told, [true, false, true, true]);
}

#[tokio::test(start_paused = true)]
async fn a_read_never_joins_one_that_has_left() {
    let (store, scripted) = coalesced(1);
    let early = load(&store, "bob");
    assert_eq!(scripted.seen().await, ["read bob"]);
    let late = load(&store, "bob");
    scripted.seen().await;
    scripted.answer(0).await;
    // A write that was answered before the second read left.
    known(&scripted, &["bob"]).await;
    scripted.answer(1).await;
    assert_eq!(value(&early.await.unwrap().unwrap()), None);
    assert_eq!(value(&late.await.unwrap().unwrap()), Some("\"bob\"".into()));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_panics_fails_that_batch_as_unknown_and_the_next_goes_on() {
    let (store, scripted) = coalesced(1);
    let first = put(&store, "ann", "a");
    let lost = put(&store, "bob", "b");
    scripted.seen().await;
    scripted.answer(0).await;
    first.await.unwrap().unwrap();
    let next = put(&store, "cid", "c");
    scripted.seen().await;
    scripted.panic(1).await;
    let error = lost.await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unexpected, Effect::Unknown));
    scripted.answer(2).await;
    next.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_forgets_an_answer_gives_nobody_anothers() {
    let (store, scripted) = coalesced(1);
    known(&scripted, &["bob", "cid"]).await;
    let _first = load(&store, "ann");
    let others = ["bob", "cid"].map(|user| load(&store, user));
    scripted.seen().await;
    scripted.answer(0).await;
    scripted.forget_one(1).await;
    for other in others {
        assert_eq!(other.await.unwrap().unwrap_err().kind(), ErrorKind::Unexpected);
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_while_the_store_is_closed_is_told_so() {
    let (store, scripted) = coalesced(1);
    let _first = load(&store, "ann");
    let waits = load(&store, "bob");
    scripted.seen().await;
    scripted.memory().close(call()).unwrap();
    scripted.answer(0).await;
    scripted.answer(1).await;
    assert_eq!(waits.await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
}
