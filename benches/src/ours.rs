//! Our side of every backend: the operations over any store, plain and coalesced.

use std::sync::Arc;

use stickystore_core::{AsyncStore, AsyncStoreExt as _, EpochCheck, Outcome, Subject};
use stickystore_layers::coalesce::{Bounds, Coalesced};

use crate::Options;
use crate::measure::{Contender, take_turns};
use crate::rows::{Row, Situation};
use crate::words::{entry, filling, key, nth, subject, within};

/// How many entries each known user has.
pub(crate) const ENTRIES: usize = 5;

/// Gives these users their entries.
pub(crate) async fn fill(store: &impl AsyncStore, users: &[Subject]) {
    for part in users.chunks(100) {
        let writes: Vec<_> = part.iter().map(|user| filling(user, ENTRIES)).collect();
        let answers = store.write(within(), &writes).await;
        answers.into_iter().flatten().for_each(|answer| drop(answer.expect("a put")));
    }
}

/// Measures ours beside those that `theirs` gives for an operation and a number of callers.
pub(crate) async fn rows<S: AsyncStore + Clone>(
    options: &Options,
    backend: &'static str,
    operations: &[&'static str],
    store: &S,
    users: &Arc<Vec<Subject>>,
    theirs: impl AsyncFn(&'static str, usize) -> Vec<Contender>,
) -> Vec<Row> {
    let mut rows = Vec::new();
    for &operation in operations {
        if options.only.as_ref().is_some_and(|only| only != operation) {
            continue;
        }
        for &callers in &options.callers {
            let mut contenders = vec![ours("plain".to_owned(), operation, callers, store.clone(), users)];
            for &in_flight in &options.in_flight {
                let coalesced = Coalesced::with(store.clone(), Bounds::default().with_in_flight(in_flight));
                contenders.push(ours(format!("coalesced {in_flight}"), operation, callers, coalesced, users));
            }
            contenders.extend(theirs(operation, callers).await);
            contenders.retain(|one| options.who.as_ref().is_none_or(|who| *who == one.name));
            let samples = take_turns(&contenders, options.effort, options.server).await;
            let situation = Situation {
                backend,
                operation,
                entries: if operation == "load" { ENTRIES } else { 1 },
                api: "async",
                callers,
                users: options.users,
                added_ms: options.added_ms,
            };
            let measured = Row::all(&situation, &contenders, &samples);
            measured.iter().for_each(|row| println!("{row}"));
            rows.extend(measured);
        }
    }
    rows
}

fn ours<S: AsyncStore + Clone>(
    name: String,
    operation: &'static str,
    callers: usize,
    store: S,
    users: &Arc<Vec<Subject>>,
) -> Contender {
    let users = Arc::clone(users);
    Contender::new(name, callers, move |i| {
        let (store, user) = (store.clone(), nth(&users, i).clone());
        async move {
            let call = within();
            match operation {
                "load" => assert_eq!(store.load(call, &user).await.expect("a load").len(), ENTRIES),
                "assign new" => {
                    let told =
                        store.insert(call, &subject(), EpochCheck::Is(None), key(0), entry(call)).await;
                    assert_eq!(told.expect("an insert"), Outcome::Inserted);
                }
                _ => {
                    let told = store.put(call, &user, key(i % ENTRIES), entry(call)).await;
                    assert_eq!(told.expect("a put"), Outcome::Written);
                }
            }
        }
    })
}
