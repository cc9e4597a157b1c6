//! A line: who goes now, who waits, and who leaves together when something has come back.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stickystore_core::{AsyncStore, Call};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::Bounds;
use super::group::{Group, Ticket};
use super::kind::{Ask, Kind};
use super::waiting::Waiting;

/// How long the store may overrun the deadline of a batch: what the contract gives it.
pub(super) const OVERRUN: Duration = Duration::from_millis(100);

/// When so many callers have just got their answers together, most of them are about to ask again. Only reads wait for that:
/// of writes the server has more to do than the client, and they are better under way.
const MANY: usize = 8;

/// Calls of one kind, over one store.
pub(super) struct Line<K: Kind, S> {
    store: Arc<S>,
    bounds: Bounds,
    hasher: RandomState,
    process: u32,
    state: Mutex<State<K>>,
}

struct State<K: Kind> {
    /// How many calls and batches are in flight.
    flying: usize,
    /// Whom they change.
    busy: HashSet<u64>,
    /// In the order in which they came.
    waiting: VecDeque<Ticket<K>>,
    next_id: u64,
    /// How many callers the batch had that came back last.
    last: usize,
    /// Whether the next to leave is giving others the time to come along.
    is_gathering: bool,
}

/// When a call goes.
pub(super) enum Turn<K: Kind, S: AsyncStore> {
    /// At once, by itself.
    Now(Option<Flight<K, S>>),
    /// With others.
    Later(Waiting<K, S>),
}

impl<K: Kind, S: AsyncStore> Line<K, S> {
    pub(super) fn new(store: Arc<S>, bounds: Bounds) -> Arc<Self> {
        let state = State {
            flying: 0,
            busy: HashSet::new(),
            waiting: VecDeque::new(),
            next_id: 0,
            last: 0,
            is_gathering: false,
        };
        Arc::new(Self {
            store,
            bounds,
            hasher: RandomState::new(),
            process: std::process::id(),
            state: Mutex::new(state),
        })
    }

    pub(super) fn store(&self) -> &S {
        &self.store
    }

    /// Lets a call go, or has it wait.
    pub(super) fn enter<A: Ask<K>>(self: &Arc<Self>, call: Call, asked: &[A]) -> Turn<K, S> {
        if self.process != std::process::id() {
            // Nobody else's call comes back in a forked child, and who held the lock is not there. The store says so.
            return Turn::Now(None);
        }
        let users: Vec<_> = match K::IN_ORDER {
            true => asked.iter().map(|one| self.hasher.hash_one(one.subject())).collect(),
            false => Vec::new(),
        };
        let bytes = asked.iter().map(Ask::bytes).sum();
        let is_large = asked.is_empty() || asked.len() > self.bounds.users || bytes > self.bounds.bytes;
        let mut state = self.state();
        let goes = (is_large || state.flying < self.bounds.in_flight) && !state.is_held(&users);
        let gathers = !K::IN_ORDER && (state.is_gathering || state.last >= MANY);
        if goes && (is_large || !gathers) {
            state.depart(&users);
            drop(state);
            return Turn::Now(Some(Flight::new(self, users, 1)));
        }
        // Without one, nobody could tell it that its turn has come.
        let Ok(runtime) = Handle::try_current() else { return Turn::Now(None) };
        let id = state.next_id;
        state.next_id += 1;
        let (answer, receiver) = oneshot::channel();
        let items = asked.iter().map(Ask::item).collect();
        let alone = asked.iter().any(|one| one.ends_soon(call.now));
        let begins = (goes && !state.is_gathering).then(|| runtime.clone());
        state.is_gathering |= begins.is_some();
        state.waiting.push_back(Ticket { id, call, items, bytes, users, alone, runtime, answer });
        drop(state);
        if let Some(runtime) = begins {
            self.gather(&runtime);
        }
        Turn::Later(Waiting::new(Arc::clone(self), id, call.deadline, receiver))
    }

    /// Lets those who are about to ask come along: they have their answers and are next on the runtime.
    fn gather(self: &Arc<Self>, runtime: &Handle) {
        let gathering = Gathering(Arc::clone(self));
        drop(runtime.spawn(async move {
            tokio::task::yield_now().await;
            drop(gathering);
        }));
    }

    /// Lets one who has waited for long go, with others, however many are in flight; unless an earlier write of the same
    /// user has not come back.
    pub(super) fn hurry(self: &Arc<Self>, id: u64) {
        let mut state = self.state();
        let group = if state.bring_forward(id) { state.form(self.bounds) } else { None };
        drop(state);
        if let Some(group) = group {
            self.spawn(group);
        }
    }

    /// Takes one who waits out of the line; false if it has left.
    pub(super) fn withdraw(self: &Arc<Self>, id: u64) -> bool {
        let mut state = self.state();
        let Some(place) = state.waiting.iter().position(|ticket| ticket.id == id) else { return false };
        let ticket = state.waiting.remove(place);
        // Somebody may have waited behind it.
        let groups = state.leaving(self.bounds);
        drop(state);
        drop(ticket);
        groups.into_iter().for_each(|group| self.spawn(group));
        true
    }

    /// Something has come back: those leave who waited for that.
    fn land(self: &Arc<Self>, users: &[u64], callers: usize) {
        let mut state = self.state();
        state.land(users);
        state.last = callers;
        if callers >= MANY
            && !K::IN_ORDER
            && !state.is_gathering
            && let Some(next) = state.waiting.front()
        {
            let runtime = next.runtime.clone();
            state.is_gathering = true;
            drop(state);
            return self.gather(&runtime);
        }
        let groups = state.leaving(self.bounds);
        drop(state);
        groups.into_iter().for_each(|group| self.spawn(group));
    }

    /// Asks for a group, where one of its callers is.
    fn spawn(self: &Arc<Self>, group: Group<K>) {
        let flight = Flight::new(self, group.users(), group.callers());
        let runtime = group.runtime().clone();
        drop(runtime.spawn(async move {
            let answered = group.ask(flight.line.store()).await;
            // First, so that what a caller asks next finds its user free.
            drop(flight);
            answered.give();
        }));
    }

    fn state(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Kind> State<K> {
    /// Whether a change of these users has not come back, or has not left and came earlier.
    fn is_held(&self, users: &[u64]) -> bool {
        users.iter().any(|user| {
            self.busy.contains(user) || self.waiting.iter().any(|ticket| ticket.users.contains(user))
        })
    }

    fn depart(&mut self, users: &[u64]) {
        self.flying += 1;
        self.busy.extend(users);
    }

    fn land(&mut self, users: &[u64]) {
        self.flying = self.flying.saturating_sub(1);
        for user in users {
            self.busy.remove(user);
        }
    }

    /// Those who leave now, in as many groups as there is room for: many of them in groups of one size, so that one is made or
    /// taken apart while the other is under way.
    fn leaving(&mut self, bounds: Bounds) -> Vec<Group<K>> {
        let free = bounds.in_flight.saturating_sub(self.flying).max(1);
        let share = self.waiting.len().div_ceil(free).max(MANY);
        let bounds = Bounds { users: bounds.users.min(share), ..bounds };
        let mut groups = Vec::new();
        while !self.is_gathering
            && self.flying < bounds.in_flight
            && let Some(group) = self.form(bounds)
        {
            groups.push(group);
        }
        groups
    }

    /// Takes the next group out of the line.
    fn form(&mut self, bounds: Bounds) -> Option<Group<K>> {
        if self.waiting.is_empty() {
            return None;
        }
        let now = Instant::now();
        let mut forming: Option<Group<K>> = None;
        let (mut passed, mut held) = (Vec::new(), HashSet::new());
        while !forming.as_ref().is_some_and(|group| group.is_full(bounds))
            && let Some(ticket) = self.waiting.pop_front()
        {
            let users = ticket.users.clone();
            let is_held = users.iter().any(|user| self.busy.contains(user) || held.contains(user));
            let left_behind = if is_held || ticket.call.deadline <= now {
                Some(ticket)
            } else if let Some(group) = &mut forming {
                group.take(ticket, bounds).err()
            } else {
                forming = Some(Group::of(ticket));
                None
            };
            match left_behind {
                Some(ticket) => {
                    held.extend(users);
                    passed.push(ticket);
                }
                // At once, so that nobody of the same group changes the same user.
                None => self.busy.extend(users),
            }
        }
        passed.into_iter().rev().for_each(|ticket| self.waiting.push_front(ticket));
        if forming.is_some() {
            self.flying += 1;
        }
        forming
    }

    /// Puts this one before all others; false if it may not go yet, or is not there any more.
    fn bring_forward(&mut self, id: u64) -> bool {
        let Some(place) = self.waiting.iter().position(|ticket| ticket.id == id) else { return false };
        let is_held = self.waiting.get(place).is_none_or(|ticket| {
            let mut before = self.waiting.iter().take(place);
            let shares = |other: &Ticket<K>| ticket.users.iter().any(|user| other.users.contains(user));
            ticket.users.iter().any(|user| self.busy.contains(user)) || before.any(shares)
        });
        if is_held {
            return false;
        }
        if let Some(ticket) = self.waiting.remove(place) {
            self.waiting.push_front(ticket);
        }
        true
    }
}

/// Those who wait leave when this is dropped, also by a runtime that ends.
struct Gathering<K: Kind, S: AsyncStore>(Arc<Line<K, S>>);

impl<K: Kind, S: AsyncStore> Drop for Gathering<K, S> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_gathering = false;
        let groups = state.leaving(self.0.bounds);
        drop(state);
        groups.into_iter().for_each(|group| self.0.spawn(group));
    }
}

/// A call or batch that is in flight; it has come back when this is dropped.
pub(super) struct Flight<K: Kind, S: AsyncStore> {
    line: Arc<Line<K, S>>,
    users: Vec<u64>,
    callers: usize,
}

impl<K: Kind, S: AsyncStore> Flight<K, S> {
    fn new(line: &Arc<Line<K, S>>, users: Vec<u64>, callers: usize) -> Self {
        Self { line: Arc::clone(line), users, callers }
    }
}

impl<K: Kind, S: AsyncStore> Drop for Flight<K, S> {
    fn drop(&mut self) {
        self.line.land(&self.users, self.callers);
    }
}

impl<K: Kind, S> fmt::Debug for Line<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("bounds", &self.bounds).finish_non_exhaustive()
    }
}
