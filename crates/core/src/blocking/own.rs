//! Stores that callers have for their own, one caller at a time.
//!
//! A caller who finds none goes where all callers go, and one more is made in the meantime: nobody waits for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::jobs::Jobs;
use crate::detach::{Detach, Detaching};
use crate::error::Result;
use crate::id::Subject;

/// One that was not used for so long ends.
const UNUSED: Duration = Duration::from_secs(60);

/// After one was lost, or could not be made, none is made for so long.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Own<S> {
    most: usize,
    detach: fn(&S) -> Detaching<S>,
    is_ready: fn(&S, &Subject) -> bool,
    state: Mutex<State<S>>,
}

struct State<S> {
    /// Since when each is there; the last to come back is the first to go.
    idle: Vec<(S, Instant)>,
    /// How many there are, those that callers have and those that are being made among them.
    count: usize,
    /// When the next may be made.
    not_before: Option<Instant>,
    closed: bool,
}

impl<S: Detach> Own<S> {
    /// At most so many.
    pub(super) fn new(most: usize) -> Arc<Self> {
        let state = State { idle: Vec::new(), count: 0, not_before: None, closed: false };
        Arc::new(Self { most, detach: S::detach, is_ready: S::is_ready, state: Mutex::new(state) })
    }
}

impl<S: Send + Sync + 'static> Own<S> {
    /// One that is ready for this user; else, one is being made from `store` by these jobs, if there may be another.
    pub(super) fn take(
        self: &Arc<Self>,
        subject: &Subject,
        store: &Arc<S>,
        jobs: &Jobs,
    ) -> Option<Taken<'_, S>> {
        loop {
            let mut state = self.state();
            let Some((store, _)) = state.idle.pop() else { break };
            drop(state);
            let taken = Taken { own: self, store: Some(store) };
            if taken.store.as_ref().is_some_and(|store| (self.is_ready)(store, subject)) {
                return Some(taken);
            }
        }
        self.make(store, jobs);
        None
    }

    /// None of them is used any more.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.count -= state.idle.len();
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        drop(idle);
    }

    fn make(self: &Arc<Self>, store: &Arc<S>, jobs: &Jobs) {
        let mut state = self.state();
        let may = state.not_before.is_none_or(|time| Instant::now() >= time);
        if state.closed || state.count >= self.most || !may {
            return;
        }
        state.count += 1;
        drop(state);
        let (being, detaching) = (Being(Arc::downgrade(self)), (self.detach)(store));
        jobs.run(async move { being.made(detaching.await) });
    }

    fn lost(&self) {
        let mut state = self.state();
        state.count -= 1;
        state.not_before = Some(Instant::now() + PAUSE);
    }

    fn come_back(&self, store: S) {
        let now = Instant::now();
        let mut state = self.state();
        state.idle.push((store, now));
        let is_unused = |(_, since): &(S, Instant)| now.saturating_duration_since(*since) > UNUSED;
        let ends = if state.closed { state.idle.pop() } else { None };
        let ends = ends.or_else(|| {
            let first = state.idle.first().is_some_and(is_unused);
            first.then(|| state.idle.remove(0))
        });
        state.count -= usize::from(ends.is_some());
        drop(state);
        drop(ends);
    }

    fn state(&self) -> MutexGuard<'_, State<S>> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place for one that is being made, given up if that ends otherwise.
struct Being<S: Send + Sync + 'static>(Weak<Own<S>>);

impl<S: Send + Sync + 'static> Being<S> {
    fn made(mut self, made: Result<S>) {
        if let Ok(store) = made
            && let Some(own) = std::mem::take(&mut self.0).upgrade()
        {
            own.come_back(store);
        }
    }
}

impl<S: Send + Sync + 'static> Drop for Being<S> {
    fn drop(&mut self) {
        if let Some(own) = self.0.upgrade() {
            own.lost();
        }
    }
}

/// One that a caller has. It is lost, unless it is given back.
pub(super) struct Taken<'o, S: Send + Sync + 'static> {
    own: &'o Own<S>,
    store: Option<S>,
}

impl<S: Send + Sync + 'static> Taken<'_, S> {
    pub(super) fn store(&self) -> Option<&S> {
        self.store.as_ref()
    }

    pub(super) fn give_back(mut self) {
        if let Some(store) = self.store.take() {
            self.own.come_back(store);
        }
    }
}

impl<S: Send + Sync + 'static> Drop for Taken<'_, S> {
    fn drop(&mut self) {
        if self.store.take().is_some() {
            self.own.lost();
        }
    }
}
