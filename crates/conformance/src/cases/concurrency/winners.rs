//! One winner: many callers want the same entry, one of them gets it, and the others are told so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use stickystore_core::{AsyncStoreExt as _, Change, Entry, EpochCheck, Outcome, Subject, Write};

use super::TASKS;
use crate::act;
use crate::context::{CaseResult, Context, entry, key};
use crate::race::{Rounds, at_once};
use crate::stamp::stamped;

pub(crate) async fn one_insert_wins(cx: Context) -> CaseResult {
    const KEYS: usize = 8;
    let user = cx.user("ann");
    let insert = |task| {
        let (cx, user) = (cx.clone(), user.clone());
        async move {
            let mut tries = Vec::new();
            for at in 0..KEYS {
                tries.push(insert_at(&cx, task, &user, at).await);
            }
            tries
        }
    };
    let tries = at_once(TASKS, insert).await;
    assert!(tries.iter().all(|tries| tries.len() == KEYS));
    assert_one_winner_each(&cx, &user, tries.into_iter().flatten().collect()).await;
    Ok(())
}

/// A few that always go for the same key next: what only rarely goes wrong is tried often.
pub(crate) async fn one_insert_wins_every_time(cx: Context) -> CaseResult {
    const TASKS: usize = 6;
    const KEYS: usize = 2_000;
    let user = cx.user("ann");
    let next = Arc::new(AtomicUsize::new(0));
    let insert = |task| {
        let (cx, user, next) = (cx.clone(), user.clone(), Arc::clone(&next));
        async move {
            let mut tries = Vec::new();
            for _ in Rounds::at_least(40) {
                let at = next.load(Ordering::SeqCst);
                if at >= KEYS {
                    break;
                }
                tries.push(insert_at(&cx, task, &user, at).await);
                next.fetch_max(at + 1, Ordering::SeqCst);
            }
            tries
        }
    };
    let tries = at_once(TASKS, insert).await;
    assert_one_winner_each(&cx, &user, tries.into_iter().flatten().collect()).await;
    Ok(())
}

/// Many name the same revision: one of them replaces or removes it, and no other does anything.
pub(crate) async fn one_condition_wins_every_time(cx: Context) -> CaseResult {
    const TASKS: usize = 6;
    const KEYS: usize = 1_000;
    let (user, start) = (cx.user("ann"), cx.start());
    let old = |at: usize| Change::Insert(key(&at.to_string()), stamped(start, at as u64));
    let old = Write::new(user.clone(), EpochCheck::Is(None), (0..KEYS).map(old).collect()).unwrap();
    cx.store().write_one(cx.call(), old).await;
    let next = Arc::new(AtomicUsize::new(0));
    let work = |task: usize| {
        let (cx, user, next) = (cx.clone(), user.clone(), Arc::clone(&next));
        async move {
            let mut tries = Vec::new();
            for _ in Rounds::at_least(30) {
                let at = next.load(Ordering::SeqCst);
                if at >= KEYS {
                    break;
                }
                let (name, read) = (key(&at.to_string()), stamped(start, at as u64).revision);
                let mine = stamped(start, (KEYS * (task + 1) + at) as u64);
                let change = match task % 2 {
                    0 => Change::RemoveIf(name, read),
                    _ => Change::Replace(name, read, mine.clone()),
                };
                let ended = cx.handle(task / 2).change(cx.call(), &user, EpochCheck::Is(None), change).await;
                tries.push((at, mine, ended.unwrap()));
                next.fetch_max(at + 1, Ordering::SeqCst);
            }
            tries
        }
    };
    let mut keys: BTreeMap<usize, Vec<(Entry, Outcome)>> = BTreeMap::new();
    for (at, mine, outcome) in at_once(TASKS, work).await.into_iter().flatten() {
        keys.entry(at).or_default().push((mine, outcome));
    }
    let profile = act::load(&cx, &user).await;
    for (at, tries) in keys {
        let applied: Vec<_> = tries.iter().filter(|(_, outcome)| outcome.is_applied()).collect();
        let [(winner, how)] = applied[..] else { panic!("{} changes of key {at} won", applied.len()) };
        let stands = (*how == Outcome::Replaced).then_some(winner);
        assert_eq!(profile.get(&at.to_string()), stands, "what won the race for key {at}");
        for (_, outcome) in tries.iter().filter(|(_, outcome)| !outcome.is_applied()) {
            let told = match (stands, outcome) {
                (Some(stands), Outcome::Kept(told)) => stands == told,
                (None, Outcome::Gone | Outcome::WasAbsent) => true,
                _ => false,
            };
            assert!(told, "key {at} was {how:?}, and another was told {outcome:?}");
        }
    }
    Ok(())
}

/// One insert of a race: for which key, with what, and how it ended.
type Try = (usize, Entry, Outcome);

async fn insert_at(cx: &Context, task: usize, user: &Subject, at: usize) -> Try {
    let mine = entry(&format!("of task {task}"));
    let name = key(&at.to_string());
    let insert = cx.handle(task).insert(cx.call(), user, EpochCheck::Is(None), name, mine.clone());
    (at, mine, insert.await.unwrap())
}

/// Asserts that of all tries for a key one won, that it stands, and that all others were told so.
async fn assert_one_winner_each(cx: &Context, user: &Subject, tries: Vec<Try>) {
    let mut keys: BTreeMap<usize, Vec<(Entry, Outcome)>> = BTreeMap::new();
    for (at, mine, outcome) in tries {
        keys.entry(at).or_default().push((mine, outcome));
    }
    let profile = act::load(cx, user).await;
    assert_eq!(profile.len(), keys.len());
    for (at, tries) in keys {
        let won = tries.iter().filter(|(_, outcome)| *outcome == Outcome::Inserted);
        let winners: Vec<&Entry> = won.map(|(mine, _)| mine).collect();
        let [winner] = winners[..] else { panic!("{} inserts of key {at} won", winners.len()) };
        for (mine, outcome) in tries.iter().filter(|(mine, _)| mine.revision != winner.revision) {
            assert_eq!(*outcome, Outcome::Kept(winner.clone()), "{} is told who won", mine.value.as_str());
        }
        assert_eq!(profile.get(&at.to_string()), Some(winner), "the winner of key {at} stands");
    }
}
