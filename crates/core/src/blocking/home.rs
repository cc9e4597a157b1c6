//! Where the stores of a `Blocking` live, and where they are dropped.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::jobs::Jobs;
use super::own::Own;
use crate::async_store::AsyncStore;

/// How long the last handle waits for its store to be dropped: far longer than that takes, unless the store hangs.
const GOODBYE: Duration = Duration::from_secs(1);

/// At least one home.
pub(super) struct Homes<S: AsyncStore> {
    first: Home<S>,
    others: Vec<Home<S>>,
    own: OnceLock<Arc<Own<S>>>,
}

impl<S: AsyncStore> Homes<S> {
    pub(super) fn new(first: Home<S>, others: Vec<Home<S>>) -> Self {
        Self { first, others, own: OnceLock::new() }
    }

    /// From now on callers may have stores of their own. The first to say so has said it.
    pub(super) fn share(&self, own: Arc<Own<S>>) {
        let _ = self.own.set(own);
    }

    pub(super) fn own(&self) -> Option<&Arc<Own<S>>> {
        self.own.get()
    }

    pub(super) fn first(&self) -> &Home<S> {
        &self.first
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Home<S>> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Where the fewest calls are, for one more; of several, the first: a caller alone has all that others left warm.
    pub(super) fn enter(&self) -> Visit<'_, S> {
        let mut home = &self.first;
        let mut fewest = home.calls();
        for other in &self.others {
            if fewest == 0 {
                break;
            }
            let calls = other.calls();
            if calls < fewest {
                (home, fewest) = (other, calls);
            }
        }
        home.enter()
    }
}

/// One store, and the runtime on which it lives.
pub(super) struct Home<S: AsyncStore> {
    /// Before `owner`, which by the time that it is dropped has the last hold of the store.
    store: Arc<S>,
    owner: Owner<S>,
    /// How many calls are in it.
    calls: AtomicUsize,
}

impl<S: AsyncStore> Home<S> {
    pub(super) fn of(store: Arc<S>, jobs: Jobs) -> Self {
        let owner = Owner { owns: Some((Arc::clone(&store), jobs)), process: std::process::id() };
        Self { store, owner, calls: AtomicUsize::new(0) }
    }

    pub(super) fn store(&self) -> &Arc<S> {
        &self.store
    }

    /// The way in; none in a forked child.
    pub(super) fn jobs(&self) -> Option<&Jobs> {
        let here = self.owner.owns.as_ref().filter(|_| self.owner.process == std::process::id());
        here.map(|(_, jobs)| jobs)
    }

    pub(super) fn enter(&self) -> Visit<'_, S> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Visit(self)
    }

    /// As good as it is right now: it decides nothing but who waits for whom.
    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

/// A call that is in a home.
pub(super) struct Visit<'a, S: AsyncStore>(&'a Home<S>);

impl<S: AsyncStore> std::ops::Deref for Visit<'_, S> {
    type Target = Home<S>;

    fn deref(&self) -> &Home<S> {
        self.0
    }
}

impl<S: AsyncStore> Drop for Visit<'_, S> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What drops a store where it has to be dropped.
struct Owner<S: AsyncStore> {
    /// Taken out only when it is dropped.
    owns: Option<(Arc<S>, Jobs)>,
    process: u32,
}

impl<S: AsyncStore> Drop for Owner<S> {
    fn drop(&mut self) {
        let Some((store, jobs)) = self.owns.take() else { return };
        if self.process != std::process::id() {
            // In a forked child the thread is not there, and its locks may be held for ever. And the store's
            // connections are the parent's: to drop them here would take them out of the parent's reactor too.
            std::mem::forget((store, jobs));
            return;
        }
        let (sender, receiver) = sync_channel(1);
        jobs.run(async move {
            // Where a driver that says goodbye to its server finds a runtime to do so.
            drop(store);
            let _ = sender.send(());
        });
        // So that what the store held, as a file's lock, is free when this returns. A store that hangs or panics
        // here has nobody left to be told.
        let _ = receiver.recv_timeout(GOODBYE);
    }
}
