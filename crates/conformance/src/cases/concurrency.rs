//! No lost update, one winner: what many callers at once see, and what they leave.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Change, Entry, EpochCheck, Expiry, Key, Outcome, Revision, Value,
    Write,
};

use crate::act;
use crate::context::{CaseResult, Context, entry, key};
use crate::race::{Rounds, at_once};
use crate::stamp::{number, stamped};

mod histories;
mod winners;

pub(crate) use histories::histories_are_linearizable;
pub(crate) use winners::{one_condition_wins_every_time, one_insert_wins, one_insert_wins_every_time};

/// How many callers there are where there are many.
const TASKS: usize = 64;

pub(crate) async fn different_keys_all_stay(cx: Context) -> CaseResult {
    for round in 0..4 {
        let user = cx.user(&format!("user {round}"));
        let write = |task: usize| {
            let (cx, user) = (cx.clone(), user.clone());
            async move {
                let (at, mine) = (key(&format!("key {task}")), entry(&format!("of task {task}")));
                let change = match task % 4 {
                    0 => Change::Put(at.clone(), mine.clone()),
                    _ => Change::Insert(at.clone(), mine.clone()),
                };
                let written =
                    cx.handle(task).change(cx.call(), &user, EpochCheck::Is(None), change).await.unwrap();
                assert!(written.is_applied(), "key {task} of its own: {written:?}");
                (at, mine)
            }
        };
        let written = at_once(TASKS, write).await;
        let expected: Vec<_> = written.iter().map(|(key, entry)| (key.as_str(), entry)).collect();
        act::assert_holds(&cx, &user, &expected).await;
    }
    Ok(())
}

/// Every insert that was acknowledged stands, or was removed by exactly one acknowledged remove.
pub(crate) async fn insert_races_remove(cx: Context) -> CaseResult {
    const TURNS: u64 = 40;
    const TASKS: u64 = 12;
    let (user, start) = (cx.user("ann"), cx.start());
    act::put(&cx, &user, "other", &entry("stays")).await;
    let work = |task: usize| {
        let (cx, user) = (cx.clone(), user.clone());
        async move {
            let (store, mut inserted, mut removed) = (cx.handle(task / 3), Vec::new(), 0);
            let mut seen = Revision::from_bytes([0xff; 8]);
            for turn in Rounds::at_least(TURNS) {
                let mine = stamped(start, turn * TASKS + task as u64);
                let change = match task % 3 {
                    0 => Change::Insert(key("k"), mine.clone()),
                    1 => Change::Remove(key("k")),
                    _ => Change::RemoveIf(key("k"), seen),
                };
                match store.change(cx.call(), &user, EpochCheck::Ignore, change).await.unwrap() {
                    Outcome::Inserted => inserted.push(mine.revision),
                    Outcome::Removed => removed += 1,
                    Outcome::Kept(standing) => {
                        number(start, &standing);
                        seen = standing.revision;
                    }
                    Outcome::WasAbsent => {}
                    other => panic!("no answer to an insert or a remove: {other:?}"),
                }
            }
            (inserted, removed)
        }
    };
    let answers = at_once(TASKS as usize, work).await;
    let inserted: Vec<Revision> = answers.iter().flat_map(|(inserted, _)| inserted.clone()).collect();
    let removed: usize = answers.iter().map(|(_, removed)| removed).sum();
    let profile = act::load(&cx, &user).await;
    let stands = profile.get("k");
    assert_eq!(inserted.len(), removed + usize::from(stands.is_some()), "inserted = removed + what stands");
    if let Some(stands) = stands {
        number(start, stands);
        assert!(inserted.contains(&stands.revision), "what stands was acknowledged");
    }
    assert!(profile.get("other").is_some(), "another entry of the user is not in the race");
    Ok(())
}

/// A writer inserts one key after the other while the user is erased: what stood goes, what came after stays.
pub(crate) async fn insert_races_erase(cx: Context) -> CaseResult {
    const OLD: u64 = 60;
    const NEW: u64 = 24;
    let start = cx.start();
    for round in Rounds::at_least(20) {
        let user = cx.user(&format!("user {round}"));
        let old = |at: u64| Change::Insert(key(&format!("old {at}")), stamped(start, at));
        let old = Write::new(user.clone(), EpochCheck::Is(None), (0..OLD).map(old).collect()).unwrap();
        cx.store().write_one(cx.call(), old).await;
        let erase = cx.erase(&user, 600_000);
        let check = if round % 2 == 0 { EpochCheck::Ignore } else { EpochCheck::Is(None) };
        let work = |task: usize| {
            let (cx, user, erase) = (cx.clone(), user.clone(), erase.clone());
            async move {
                let mut answers = Vec::new();
                if task == 0 {
                    // Not always at the very beginning.
                    for _ in 0..round % 4 {
                        let profile = act::load(&cx, &user).await;
                        let stands = profile.entries().filter(|(key, _)| key.as_str().starts_with("old"));
                        assert_eq!(stands.count() as u64, OLD);
                    }
                    assert!(cx.store().erase_one(cx.call(), erase).await.unwrap(), "something stood");
                    return answers;
                }
                for at in 0..NEW {
                    let new = key(&at.to_string());
                    let insert = cx.handle(1).insert(cx.call(), &user, check, new, stamped(start, at));
                    answers.push(insert.await.unwrap());
                    let profile = act::load(&cx, &user).await;
                    let whole = profile.entries().filter(|(key, _)| key.as_str().starts_with("old")).count();
                    assert!(whole == 0 || whole as u64 == OLD, "{whole} of {OLD}: not whole and not gone");
                }
                answers
            }
        };
        let answers = at_once(2, work).await.pop().expect("two tasks");
        let profile = act::load(&cx, &user).await;
        let mut standing: Vec<u64> = profile.entries().map(|(_, entry)| number(start, entry)).collect();
        standing.sort_unstable();
        assert_eq!(profile.epoch(), Some(erase.epoch), "the mark is there, whoever was first");
        if check == EpochCheck::Ignore {
            assert!(answers.iter().all(|answer| *answer == Outcome::Inserted), "{answers:?}");
            let first = NEW.saturating_sub(standing.len() as u64);
            assert_eq!(standing, (first..NEW).collect::<Vec<_>>(), "all that came before the erase is gone");
        } else {
            assert_eq!(standing, [0; 0], "what did not know of the erasure is gone or was refused");
            let accepted = answers.iter().take_while(|answer| **answer == Outcome::Inserted).count();
            let rest = &answers[accepted..];
            assert!(rest.iter().all(|answer| *answer == Outcome::Erased), "refused ever after: {answers:?}");
        }
    }
    Ok(())
}

pub(crate) async fn replace_counts_to_two_hundred(cx: Context) -> CaseResult {
    const TASKS: usize = 8;
    const TURNS: usize = 25;
    const MAX_ATTEMPTS: usize = 100_000;
    fn count(entry: &Entry) -> usize {
        entry.value.as_str().parse().expect("the counter is a number")
    }
    let value = |count: usize| Value::new(count.to_string()).expect("a number is JSON");
    let zero = Entry::new(value(0), Expiry::Never);
    for round in Rounds::at_least(1) {
        let user = cx.user(&format!("user {round}"));
        act::put(&cx, &user, "counter", &zero).await;
        act::put(&cx, &user, "other", &zero).await;
        let work = |task: usize| {
            let (cx, user) = (cx.clone(), user.clone());
            async move {
                let (store, mut reached) = (cx.handle(task), Vec::new());
                let read = || async {
                    let read = store.get(cx.call(), &user, &key("counter")).await.unwrap();
                    read.expect("the counter is never absent")
                };
                for _ in 0..TURNS {
                    let mut seen = read().await;
                    let mut attempts = 0;
                    loop {
                        attempts += 1;
                        assert!(attempts < MAX_ATTEMPTS, "somebody always gets on");
                        let next = Entry::new(value(count(&seen) + 1), Expiry::Never);
                        let replace = store.replace(cx.call(), &user, key("counter"), seen.revision, next);
                        match replace.await.unwrap() {
                            Outcome::Replaced => break reached.push(count(&seen) + 1),
                            // What a refusal tells is as good as a read.
                            Outcome::Kept(standing) if attempts % 2 == 0 => seen = standing,
                            Outcome::Kept(_) => seen = read().await,
                            other => panic!("no answer to a replace: {other:?}"),
                        }
                    }
                }
                reached
            }
        };
        let mut reached: Vec<usize> = at_once(TASKS, work).await.into_iter().flatten().collect();
        reached.sort_unstable();
        assert_eq!(reached, (1..=TASKS * TURNS).collect::<Vec<_>>(), "every number was reached once");
        assert_eq!(cx.value(&user, &key("counter")).await.as_deref(), Some("200"));
        assert_eq!(cx.value(&user, &key("other")).await.as_deref(), Some("0"));
    }
    Ok(())
}

/// Whatever another writer does between our read and our write, the write that names what we read does nothing.
pub(crate) async fn writer_between_read_and_write_is_noticed(cx: Context) -> CaseResult {
    let (old, ours) = (entry("old"), entry("ours"));
    let remove = vec![Change::Remove(key("k"))];
    let write = |change: fn(Key, Entry) -> Change, entry: &Entry| change(key("k"), entry.clone());
    for (turn, (what, new)) in [("another value", "new"), ("the same value", "old")].into_iter().enumerate() {
        let theirs = entry(new);
        let injected: [(&str, Vec<Change>, Option<&Entry>); 5] = [
            ("put", vec![write(Change::Put, &theirs)], Some(&theirs)),
            ("remove", remove.clone(), None),
            ("remove and insert", vec![remove[0].clone(), write(Change::Insert, &theirs)], Some(&theirs)),
            (
                "replace twice",
                vec![Change::Replace(key("k"), old.revision, entry("between")), write(Change::Put, &theirs)],
                Some(&theirs),
            ),
            ("remove and put", vec![remove[0].clone(), write(Change::Put, &theirs)], Some(&theirs)),
        ];
        for (at, (how, changes, left)) in injected.into_iter().enumerate() {
            let user = cx.user(&format!("user {turn} {at}"));
            act::put(&cx, &user, "k", &old).await;
            let read = cx.store().get(cx.call(), &user, &key("k")).await.unwrap().expect("it was put");
            for change in changes {
                let theirs = cx.clone_of_store().change(cx.call(), &user, EpochCheck::Ignore, change);
                assert!(theirs.await.unwrap().is_applied(), "{how}");
            }
            let stands: Vec<(&str, &Entry)> = left.map(|entry| ("k", entry)).into_iter().collect();
            let context = format!("{how}, {what}");
            let replaced = cx.store().replace(cx.call(), &user, key("k"), read.revision, ours.clone()).await;
            let refused = left.map_or(Outcome::Gone, |theirs| Outcome::Kept(theirs.clone()));
            assert_eq!(replaced.unwrap(), refused, "a replace after {context}");
            act::assert_holds(&cx, &user, &stands).await;
            let removed = cx.store().remove_if(cx.call(), &user, key("k"), read.revision).await;
            let refused = left.map_or(Outcome::WasAbsent, |theirs| Outcome::Kept(theirs.clone()));
            assert_eq!(removed.unwrap(), refused, "a remove after {context}");
            act::assert_holds(&cx, &user, &stands).await;
        }
    }
    Ok(())
}

pub(crate) async fn readers_see_old_or_new(cx: Context) -> CaseResult {
    const WRITERS: usize = 3;
    const WRITES: u64 = 100;
    let (user, start) = (cx.user("ann"), cx.start());
    act::put(&cx, &user, "k", &stamped(start, 0)).await;
    let writing = Arc::new(AtomicUsize::new(WRITERS));
    let work = |task: usize| {
        let (cx, user, writing) = (cx.clone(), user.clone(), Arc::clone(&writing));
        async move {
            let store = cx.handle(task);
            if task >= WRITERS {
                while writing.load(Ordering::SeqCst) > 0 {
                    let one = store.get(cx.call(), &user, &key("k")).await.unwrap();
                    number(start, &one.expect("it is always there"));
                    let all = store.load(cx.call(), &user).await.unwrap();
                    assert_eq!(all.len(), 1, "it is always there");
                    number(start, all.get("k").expect("the only key"));
                    tokio::task::yield_now().await;
                }
                return;
            }
            let mut seen = Revision::from_bytes([0; 8]);
            for turn in Rounds::at_least(WRITES) {
                let mine = stamped(start, 1 + turn * WRITERS as u64 + task as u64);
                let change = match turn % 3 {
                    0 => Change::Put(key("k"), mine.clone()),
                    1 => Change::Replace(key("k"), seen, mine.clone()),
                    _ => Change::Insert(key("k"), mine.clone()),
                };
                match store.change(cx.call(), &user, EpochCheck::Ignore, change).await.unwrap() {
                    Outcome::Kept(standing) => {
                        number(start, &standing);
                        seen = standing.revision;
                    }
                    Outcome::Written | Outcome::Replaced => seen = mine.revision,
                    other => panic!("no answer to a write over what stands: {other:?}"),
                }
                tokio::task::yield_now().await;
            }
            writing.fetch_sub(1, Ordering::SeqCst);
        }
    };
    at_once(WRITERS + 3, work).await;
    Ok(())
}

/// The very first calls that a store ever gets come all at once.
pub(crate) async fn first_use_by_many_at_once(cx: Context) -> CaseResult {
    const TASKS: usize = 40;
    let user = cx.user("ann");
    let work = |task: usize| {
        let (cx, user) = (cx.clone(), user.clone());
        async move {
            let store = cx.handle(task);
            match task % 5 {
                0 => assert!(store.load(cx.call(), &cx.user("nobody")).await.unwrap().is_empty()),
                1 => store.ping(cx.call()).await.unwrap(),
                2 => {
                    let stranger = cx.user(&format!("stranger {task}"));
                    let erase = cx.erase(&stranger, 600_000);
                    assert!(!store.erase_one(cx.call(), erase).await.unwrap(), "nothing stood");
                }
                _ => {
                    let mine = entry(&format!("of task {task}"));
                    let insert = cx.handle(task).insert(
                        cx.call(),
                        &user,
                        EpochCheck::Is(None),
                        key(&task.to_string()),
                        mine,
                    );
                    assert_eq!(insert.await.unwrap(), Outcome::Inserted);
                }
            }
        }
    };
    at_once(TASKS, work).await;
    let profile = act::load(&cx, &user).await;
    let expected = (0..TASKS).filter(|task| task % 5 > 2);
    assert!(expected.clone().all(|task| profile.get(&task.to_string()).is_some()));
    assert_eq!(profile.len(), expected.count());
    Ok(())
}
