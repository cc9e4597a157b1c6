//! The blocking API: as many threads as there are callers, beside the native blocking driver.

use std::num::NonZeroUsize;

use stickystore_core::{AsyncStore, Blocking, Detach, Outcome, StoreExt as _};
use stickystore_layers::coalesce::{Bounds, Coalesced};

use crate::backend::{Rivals, fill};
use crate::crowd::Crowd;
use crate::measure::{Contender, take_turns};
use crate::operation::{ENTRIES, Operation};
use crate::options::Options;
use crate::rows::{Row, Situation};
use crate::words::{entry, key, within};

/// How many threads call.
const THREADS: [usize; 3] = [1, 8, 32];

/// What they do.
const OPERATIONS: [Operation; 2] = [Operation::Load(ENTRIES), Operation::Put];

/// A way of the blocking API that not every store has: its name, and how it is opened.
pub(crate) type Way<S> = (&'static str, fn(&dyn Fn() -> S) -> Blocking<S>);

/// The one whose callers can have stores of their own, as a URL gives it on two processors.
pub(crate) const fn own<S: Detach>() -> &'static [Way<S>] {
    &[("own 8", |open| with_own(8, open))]
}

pub(crate) async fn rows<S: AsyncStore + Clone>(
    options: &Options,
    backend: &'static str,
    open: impl Fn() -> S,
    ways: &[Way<S>],
    rivals: &impl Rivals,
) -> Vec<Row> {
    let store = open();
    let mut rows = Vec::new();
    for operation in OPERATIONS.into_iter().filter(|operation| options.is_asked(*operation)) {
        let crowd = Crowd::new(options.users, operation.filled());
        fill(&store, rivals, &crowd).await;
        for threads in THREADS {
            let coalesced = open();
            let coalesced = Coalesced::with(coalesced.clone(), Bounds::of(coalesced.info()));
            let mut contenders = vec![
                contender("blocking", operation, threads, handed_over(open()), &crowd),
                contender("blocking coalesced", operation, threads, handed_over(coalesced), &crowd),
                contender("driven", operation, threads, driven(1, &open), &crowd),
                contender("driven on 2", operation, threads, driven(2, &open), &crowd),
            ];
            let others =
                ways.iter().map(|(name, way)| contender(name, operation, threads, way(&open), &crowd));
            contenders.extend(others);
            contenders.push(rivals.blocking(operation, threads, &crowd));
            contenders.retain(|one| {
                options.who.as_ref().is_none_or(|who| *who == one.name || one.name == "driver")
            });
            let operations = options.effort.operations(operation, threads);
            let samples =
                take_turns(&contenders, options.effort.rounds, operations, options.server, async || ()).await;
            let situation = Situation {
                backend,
                operation,
                api: "blocking",
                callers: threads,
                users: crowd.len(),
                added_ms: options.added_ms,
            };
            let measured = Row::all(&situation, &contenders, &samples);
            measured.iter().for_each(|row| println!("{row}"));
            rows.extend(measured);
        }
    }
    rows
}

fn handed_over<S: AsyncStore>(store: S) -> Blocking<S> {
    Blocking::open(move || async move { Ok(store) }).expect("a runtime of its own")
}

fn driven<S: AsyncStore>(runtimes: usize, open: impl Fn() -> S) -> Blocking<S> {
    let runtimes = NonZeroUsize::new(runtimes).expect("at least one");
    let open = || std::future::ready(Ok(open()));
    Blocking::open_driven_on(runtimes, open).expect("runtimes of its own")
}

fn with_own<S: Detach>(most: usize, open: impl Fn() -> S) -> Blocking<S> {
    driven(2, open).with_own(NonZeroUsize::new(most).expect("at least one"))
}

fn contender<S: AsyncStore>(
    name: &str,
    operation: Operation,
    threads: usize,
    store: Blocking<S>,
    crowd: &Crowd,
) -> Contender {
    let crowd = crowd.clone();
    Contender::blocking(name, threads, move |i, _| {
        let (user, call) = (crowd.nth(i), within());
        if operation == Operation::Put {
            let told = store.put(call, user, key(i % crowd.filled), entry(call));
            assert_eq!(told.expect("a put"), Outcome::Written);
        } else {
            assert_eq!(store.load(call, user).expect("a load").len(), crowd.filled);
        }
    })
}
