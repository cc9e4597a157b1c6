//! What a store has at hand, if it has anything: what a read would answer, at once. To have nothing is always right.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::FusedFuture as _;
use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Call, Change, EpochCheck, ErrorKind, Keys, Profile, Read, Result,
    Subject,
};

use crate::act;
use crate::context::{CaseResult, Context, entry, key};
use crate::seen::assert_entries;

/// How long marks last here, in milliseconds.
const MARK: u64 = 600_000;

/// When entries end here, in milliseconds after the case began: late enough that no server has swept them by its own clock
/// while the case runs.
const SHORT: u64 = 600_000;
const LONG: u64 = 601_000;

/// How long an answer may take that waits for nothing, on the busiest machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// What both handles have at hand in this call, of those that have something.
fn at_hand(cx: &Context, call: Call, user: &Subject, keys: &Keys) -> Vec<Result<Profile>> {
    let handles = [cx.store(), cx.clone_of_store()];
    handles.into_iter().filter_map(|store| store.at_hand(call, user, keys)).collect()
}

/// What they have at hand of the whole user, which is no error.
fn profiles(cx: &Context, call: Call, user: &Subject) -> Vec<Profile> {
    let answers = at_hand(cx, call, user, &Keys::All).into_iter();
    answers.map(|answer| answer.expect("what is at hand can be read")).collect()
}

/// Asserts that whatever is at hand is what a load in the same call gives: before it, which may make that at hand, and after.
async fn assert_as_loaded(cx: &Context, call: Call, user: &Subject, what: &str) {
    let before = profiles(cx, call, user);
    let loaded = cx.store().read(call, &[Read::all(user.clone())]).await;
    let loaded = loaded.into_iter().next().expect("an answer for each read").expect("a read is answered");
    for (when, found) in [("before", before), ("after", profiles(cx, call, user))] {
        for found in found {
            assert_eq!(found, loaded, "at hand {when} it was read: {what}");
        }
    }
}

pub(crate) async fn shows_what_was_written(cx: Context) -> CaseResult {
    let user = cx.user("ann");
    assert_as_loaded(&cx, cx.call(), &user, "nothing yet").await;
    let (first, second, third) = (entry("first"), entry("second"), entry("third"));
    let changes = [
        Change::Insert(key("a"), first.clone()),
        Change::Insert(key("b"), second.clone()),
        Change::Insert(key("a"), third.clone()),
        Change::Replace(key("a"), first.revision, third.clone()),
        Change::Put(key("b"), entry("anew")),
        Change::RemoveIf(key("a"), third.revision),
        Change::Remove(key("b")),
    ];
    for (turn, change) in changes.into_iter().enumerate() {
        let what = format!("after {change:?}");
        cx.handle(turn).change(cx.call(), &user, EpochCheck::Is(None), change).await.expect("it is answered");
        assert_as_loaded(&cx, cx.call(), &user, &what).await;
    }
    Ok(())
}

pub(crate) async fn shows_that_a_user_was_erased(cx: Context) -> CaseResult {
    let (ann, bob) = (cx.user("ann"), cx.user("bob"));
    for user in [&ann, &bob] {
        act::put(&cx, user, "k", &entry("stands")).await;
        assert_as_loaded(&cx, cx.call(), user, "as it was put").await;
    }
    let erase = cx.erase(&ann, MARK);
    let epoch = erase.epoch;
    assert!(cx.clone_of_store().erase_one(cx.call(), erase).await.expect("an erase is answered"));
    for found in profiles(&cx, cx.call(), &ann) {
        assert_eq!((found.len(), found.epoch()), (0, Some(epoch)), "after the erase");
    }
    assert_as_loaded(&cx, cx.call(), &ann, "erased").await;
    assert_as_loaded(&cx, cx.call(), &bob, "not erased").await;
    act::put(&cx, &ann, "k", &entry("new")).await;
    for millis in [0, MARK - 1, MARK] {
        assert_as_loaded(&cx, cx.at(millis), &ann, &format!("{millis} ms after the erase")).await;
    }
    Ok(())
}

/// A read stands still half way while the user is written; what it then finds is not at hand, if that is older.
pub(crate) async fn forgets_what_a_write_overtook(cx: Context) -> CaseResult {
    const STEPS: usize = 6;
    let user = cx.user("ann");
    act::put(&cx, &user, "k", &entry("old")).await;
    for steps in 0..STEPS {
        let reads = [Read::all(user.clone())];
        let mut read = cx.store().read(cx.call(), &reads).fuse();
        for _ in 0..steps {
            // Its answer is that of some moment while it was under way.
            drop((&mut read).now_or_never());
            tokio::task::yield_now().await;
        }
        let written = entry(&format!("after {steps} steps"));
        act::put(&cx, &user, "k", &written).await;
        if !read.is_terminated() {
            read.await;
        }
        for found in profiles(&cx, cx.call(), &user) {
            assert_entries(&found, &[("k", &written)], &format!("a read of {steps} steps was overtaken"));
        }
    }
    Ok(())
}

/// Others read all the while, and what they read late is not at hand once a newer write was answered.
pub(crate) async fn keeps_up_with_a_writer(cx: Context) -> CaseResult {
    const TURNS: usize = 60;
    const READERS: usize = 3;
    let (user, is_done) = (cx.user("ann"), Arc::new(AtomicBool::new(false)));
    let reader = |task| {
        let (cx, user, is_done) = (cx.clone(), user.clone(), Arc::clone(&is_done));
        tokio::spawn(async move {
            while !is_done.load(Ordering::SeqCst) {
                cx.handle(task).load(cx.call(), &user).await.expect("a load is answered");
                tokio::task::yield_now().await;
            }
        })
    };
    let readers: Vec<_> = (0..READERS).map(reader).collect();
    for turn in 0..TURNS {
        let written = entry(&turn.to_string());
        act::put(&cx, &user, "k", &written).await;
        for _ in 0..4 {
            for found in profiles(&cx, cx.call(), &user) {
                assert_entries(&found, &[("k", &written)], &format!("after write {turn} was answered"));
            }
            tokio::task::yield_now().await;
        }
    }
    is_done.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.expect("a reader ends");
    }
    Ok(())
}

pub(crate) async fn leaves_out_what_has_expired(cx: Context) -> CaseResult {
    let user = cx.user("ann");
    act::put(&cx, &user, "short", &cx.until("short", SHORT)).await;
    act::put(&cx, &user, "long", &cx.until("long", LONG)).await;
    act::load(&cx, &user).await;
    // Backwards too: another caller's clock may be behind.
    for millis in [0, SHORT - 1, SHORT, LONG - 1, LONG, LONG - 1, SHORT - 1, 0] {
        let wanted = [("long", LONG), ("short", SHORT)].into_iter();
        let wanted: Vec<_> = wanted.filter(|(_, end)| millis < *end).map(|(at, _)| at).collect();
        for _ in 0..2 {
            for found in profiles(&cx, cx.at(millis), &user) {
                let found: Vec<_> = found.entries().map(|(key, _)| key.as_str()).collect();
                assert_eq!(found, wanted, "{millis} ms after the case began");
            }
            act::load_at(&cx, millis, &user).await;
        }
    }
    Ok(())
}

pub(crate) async fn has_only_the_keys_that_are_asked_for(cx: Context) -> CaseResult {
    let (user, a, b) = (cx.user("ann"), entry("a"), entry("b"));
    act::put_all(&cx, &user, &[("a", a.clone()), ("b", b.clone())]).await;
    act::load(&cx, &user).await;
    let asked: [(&[&str], &[(&str, &_)]); 4] = [
        (&["a"], &[("a", &a)]),
        (&["a", "b"], &[("a", &a), ("b", &b)]),
        (&["b", "absent"], &[("b", &b)]),
        (&[], &[]),
    ];
    for (names, wanted) in asked {
        let keys = Keys::only(names.iter().map(|name| key(name))).expect("few keys");
        // What was read of some keys is not the whole user.
        act::some_at(&cx, 0, &user, names).await;
        for found in at_hand(&cx, cx.call(), &user, &keys) {
            assert_entries(&found.expect("it can be read"), wanted, &format!("at hand of {names:?}"));
        }
        for found in profiles(&cx, cx.call(), &user) {
            assert_entries(&found, &[("a", &a), ("b", &b)], &format!("all, after {names:?}"));
        }
    }
    Ok(())
}

pub(crate) async fn nothing_after_close(cx: Context) -> CaseResult {
    let user = cx.user("ann");
    act::put(&cx, &user, "k", &entry("stands")).await;
    act::load(&cx, &user).await;
    cx.clone_of_store().close(cx.call()).await.expect("it closes");
    for answer in at_hand(&cx, cx.call(), &user, &Keys::All) {
        assert_eq!(answer.map_err(|error| error.kind()), Err(ErrorKind::Closed));
    }
    Ok(())
}

pub(crate) async fn nothing_after_the_deadline(cx: Context) -> CaseResult {
    let user = cx.user("ann");
    act::put(&cx, &user, "k", &entry("stands")).await;
    act::load(&cx, &user).await;
    for late in [Duration::ZERO, Duration::from_millis(1), Duration::from_secs(1)] {
        let now = Instant::now();
        let call = Call::new(cx.start(), now.checked_sub(late).unwrap_or(now));
        for answer in at_hand(&cx, call, &user, &Keys::All) {
            assert_eq!(answer.map_err(|error| error.kind()), Err(ErrorKind::Timeout), "{late:?} late");
        }
    }
    Ok(())
}

/// A write stands still half way, and a thread without a runtime asks what is at hand.
pub(crate) async fn waits_for_no_call_under_way(cx: Context) -> CaseResult {
    const STEPS: usize = 6;
    let (user, mut old) = (cx.user("ann"), entry("old"));
    act::put(&cx, &user, "k", &old).await;
    for steps in 0..STEPS {
        act::load(&cx, &user).await;
        let new = entry(&format!("after {steps} steps"));
        let mut write = Box::pin(cx.store().put(cx.call(), &user, key("k"), new.clone()).fuse());
        let mut answer = None;
        for _ in 0..steps {
            answer = answer.or_else(|| write.as_mut().now_or_never());
            tokio::task::yield_now().await;
        }
        for found in on_a_thread(&cx, &user) {
            let found = found.get("k").expect("something stands all the while");
            assert!(*found == new || (answer.is_none() && *found == old), "{steps} steps: {found:?}");
        }
        match answer {
            Some(answer) => answer,
            None => write.await,
        }
        .expect("a put is answered");
        for found in on_a_thread(&cx, &user) {
            assert_entries(&found, &[("k", &new)], &format!("after the write of {steps} steps"));
        }
        old = new;
    }
    Ok(())
}

/// What is at hand on a thread that has no runtime; it has to say so soon.
fn on_a_thread(cx: &Context, user: &Subject) -> Vec<Profile> {
    let (sender, receiver) = mpsc::channel();
    let (cx, user, call) = (cx.clone(), user.clone(), cx.call());
    std::thread::spawn(move || sender.send(profiles(&cx, call, &user)));
    match receiver.recv_timeout(PATIENCE) {
        Ok(profiles) => profiles,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("what is at hand is not waited for"),
        Err(mpsc::RecvTimeoutError::Disconnected) => panic!("what is at hand needs no runtime"),
    }
}
