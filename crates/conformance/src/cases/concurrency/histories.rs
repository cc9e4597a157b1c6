//! Short histories of one entry, each of which the checker has to explain.

use std::sync::Arc;

use stickystore_core::{AsyncStoreExt as _, Change, Effect, Entry, EpochCheck, Outcome, Revision, Subject};

use crate::context::{CaseResult, Context, entry, key};
use crate::dice::Dice;
use crate::history::{Answer, Ask, Event, Stamp, Ticks, is_linearizable};
use crate::race::{Rounds, at_once};

pub(crate) async fn histories_are_linearizable(cx: Context) -> CaseResult {
    const TASKS: usize = 4;
    const CALLS: u64 = 6;
    for round in Rounds::at_least(40) {
        let user = cx.user(&format!("user {round}"));
        let ticks = Arc::new(Ticks::default());
        let work = |task: usize| {
            let (cx, user, ticks) = (cx.clone(), user.clone(), Arc::clone(&ticks));
            async move {
                let mut dice = Dice::new(round * 100 + task as u64);
                let mut history = Vec::new();
                let mut seen = 0;
                let mut last = None;
                for turn in 0..CALLS {
                    let revision = 1 + task as u64 * CALLS + turn;
                    let new = Stamp { revision, value: dice.roll(2) };
                    let ask = match (dice.roll(10), last) {
                        (0..=1, _) => Ask::Get,
                        (2, _) => Ask::Put(new),
                        (3..=4, _) => Ask::Insert(new),
                        (5, _) => Ask::Remove,
                        (6, _) => Ask::RemoveIf(seen),
                        // Sent again, as after a lost answer.
                        (7, Some(last)) => last,
                        _ => Ask::Replace(seen, new),
                    };
                    let began = ticks.next();
                    let answer = asked(&cx, task, &user, ask).await;
                    let ended = ticks.next();
                    match (ask, answer) {
                        (_, Answer::Found(Some(stands)) | Answer::Kept(stands)) => seen = stands.revision,
                        (Ask::Insert(new), Answer::Inserted)
                        | (Ask::Put(new), Answer::Written)
                        | (Ask::Replace(_, new), Answer::Replaced) => seen = new.revision,
                        _ => {}
                    }
                    if matches!(ask, Ask::Insert(_) | Ask::Replace(..)) {
                        last = Some(ask);
                    }
                    history.push(Event { task, began, ended, ask, answer });
                    if dice.roll(2) == 0 {
                        tokio::task::yield_now().await;
                    }
                }
                history
            }
        };
        let mut history: Vec<Event> = at_once(TASKS, work).await.into_iter().flatten().collect();
        history.sort_by_key(|event| event.began);
        let shown = || history.iter().map(|event| format!("\n{event}")).collect::<String>();
        assert!(is_linearizable(&history), "no order explains round {round}:{}", shown());
    }
    Ok(())
}

/// Makes one call of a history; revisions and values are numbers there.
async fn asked(cx: &Context, task: usize, user: &Subject, ask: Ask) -> Answer {
    let name = |revision: u64| Revision::from_bytes(revision.to_be_bytes());
    let written = |new: Stamp| entry(&new.value.to_string()).with_revision(name(new.revision));
    let stamp = |entry: &Entry| {
        let revision = u64::from_be_bytes(entry.revision.to_bytes());
        let value = entry.value.as_str().trim_matches('"').parse().expect("only numbers were written");
        Stamp { revision, value }
    };
    let change = match ask {
        Ask::Get => {
            let found = cx.handle(task).get(cx.call(), user, &key("k")).await.unwrap();
            return Answer::Found(found.as_ref().map(stamp));
        }
        Ask::Insert(new) => Change::Insert(key("k"), written(new)),
        Ask::Put(new) => Change::Put(key("k"), written(new)),
        Ask::Replace(read, new) => Change::Replace(key("k"), name(read), written(new)),
        Ask::Remove => Change::Remove(key("k")),
        Ask::RemoveIf(read) => Change::RemoveIf(key("k"), name(read)),
    };
    match cx.handle(task).change(cx.call(), user, EpochCheck::Is(None), change).await {
        Ok(Outcome::Inserted) => Answer::Inserted,
        Ok(Outcome::Written) => Answer::Written,
        Ok(Outcome::Replaced) => Answer::Replaced,
        Ok(Outcome::Unchanged) => Answer::Unchanged,
        Ok(Outcome::Removed) => Answer::Removed,
        Ok(Outcome::WasAbsent) => Answer::WasAbsent,
        Ok(Outcome::Kept(standing)) => Answer::Kept(stamp(&standing)),
        Ok(Outcome::Gone) => Answer::Gone,
        Ok(other) => panic!("no answer to {ask:?}: {other:?}"),
        // Ordinary on some databases under contention, and honest.
        Err(error) if error.effect() == Effect::Unknown => Answer::Unknown,
        Err(error) => panic!("{ask:?} was not answered: {error}"),
    }
}
