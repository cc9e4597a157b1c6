//! A group: what several callers ask, which leaves as one call of the store.

use std::time::Instant;

use stickystore_core::{AsyncStore, Call, Error, ErrorKind, Result, UnixMillis};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use super::Bounds;
use super::kind::{Kind, SPREAD};
use super::line::OVERRUN;

/// What one caller asks, while it waits.
pub(super) struct Ticket<K: Kind> {
    pub(super) id: u64,
    pub(super) call: Call,
    pub(super) items: Vec<K::Item>,
    pub(super) bytes: usize,
    /// Whom it changes; empty where order does not matter.
    pub(super) users: Vec<u64>,
    /// It goes under its own `now`.
    pub(super) alone: bool,
    /// Where its caller is, and somebody drives what is spawned.
    pub(super) runtime: Handle,
    pub(super) answer: oneshot::Sender<Result<Vec<K::Answer>>>,
}

/// Those who leave together: at least one.
pub(super) struct Group<K: Kind> {
    tickets: Vec<Ticket<K>>,
    runtime: Handle,
    earliest: UnixMillis,
    latest: UnixMillis,
    deadline: Instant,
    count: usize,
    bytes: usize,
}

impl<K: Kind> Group<K> {
    pub(super) fn of(ticket: Ticket<K>) -> Self {
        Self {
            runtime: ticket.runtime.clone(),
            earliest: ticket.call.now,
            latest: ticket.call.now,
            deadline: ticket.call.deadline,
            count: ticket.items.len(),
            bytes: ticket.bytes,
            tickets: vec![ticket],
        }
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// How many callers have something in it.
    pub(super) fn callers(&self) -> usize {
        self.tickets.len()
    }

    /// Whom it changes.
    pub(super) fn users(&self) -> Vec<u64> {
        self.tickets.iter().flat_map(|ticket| &ticket.users).copied().collect()
    }

    pub(super) fn is_full(&self, bounds: Bounds) -> bool {
        self.count >= bounds.users || self.tickets.iter().any(|ticket| ticket.alone)
    }

    /// Takes this one along, or gives it back.
    pub(super) fn take(&mut self, ticket: Ticket<K>, bounds: Bounds) -> Result<(), Ticket<K>> {
        let earliest = self.earliest.min(ticket.call.now);
        let latest = self.latest.max(ticket.call.now);
        let fits = |(one, other): (&K::Item, &K::Item)| K::fit(one, other);
        let first = self.tickets.first().and_then(|first| first.items.first());
        let goes_along = !ticket.alone
            && self.count + ticket.items.len() <= bounds.users
            && self.bytes + ticket.bytes <= bounds.bytes
            && latest.since(earliest) <= SPREAD
            && first.zip(ticket.items.first()).is_some_and(fits);
        if !goes_along {
            return Err(ticket);
        }
        (self.earliest, self.latest) = (earliest, latest);
        self.deadline = self.deadline.max(ticket.call.deadline);
        self.count += ticket.items.len();
        self.bytes += ticket.bytes;
        self.tickets.push(ticket);
        Ok(())
    }

    /// Asks the store. A store that overruns is cut off.
    pub(super) async fn ask<S: AsyncStore>(mut self, store: &S) -> Answered<K> {
        let now = K::moment(self.earliest, self.latest);
        let mut items = Vec::with_capacity(self.count);
        let mut callers = Vec::with_capacity(self.tickets.len());
        for ticket in self.tickets.drain(..) {
            callers.push(Caller { count: ticket.items.len(), now: ticket.call.now, answer: ticket.answer });
            items.extend(ticket.items);
        }
        let call = Call::new(now, self.deadline);
        let end = self.deadline.checked_add(OVERRUN).unwrap_or(self.deadline);
        let answers = timeout_at(end.into(), K::send(store, call, items)).await;
        let answers = match answers {
            Ok(answers) if answers.len() == self.count => Ok(answers),
            Ok(_) => {
                Err((ErrorKind::Unexpected, "the store gave another number of answers than was asked for"))
            }
            Err(_) => Err((ErrorKind::Timeout, "the store did not end by the deadline")),
        };
        let scheme = store.info().scheme;
        let fail = |(kind, context)| Error::new(kind, context).with_origin(scheme, K::OPERATION);
        Answered { callers, now, answers: answers.map_err(fail) }
    }
}

/// A group with its answers.
pub(super) struct Answered<K: Kind> {
    callers: Vec<Caller<K>>,
    now: UnixMillis,
    answers: Result<Vec<K::Answer>>,
}

struct Caller<K: Kind> {
    count: usize,
    now: UnixMillis,
    answer: oneshot::Sender<Result<Vec<K::Answer>>>,
}

impl<K: Kind> Answered<K> {
    /// Gives each caller its own.
    pub(super) fn give(self) {
        let mut answers = match self.answers {
            Ok(answers) => answers.into_iter(),
            Err(error) => {
                // Who has left needs none.
                self.callers.into_iter().for_each(|caller| drop(caller.answer.send(Err(error.clone()))));
                return;
            }
        };
        for caller in self.callers {
            let own = answers.by_ref().take(caller.count);
            let own = if caller.now == self.now {
                own.collect()
            } else {
                own.map(|answer| K::answer_at(answer, caller.now)).collect()
            };
            drop(caller.answer.send(Ok(own)));
        }
    }
}
