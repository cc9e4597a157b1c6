//! One read of the store that any number of callers wait for.
//!
//! Whoever of them is left drives it on: one that is dropped takes it away from nobody, and when all are, it is dropped.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, WeakShared};
use stickystore_core::{AsyncStore, Call, Effect, Error, ErrorKind, Operation, Profile, Read, Result};

use super::Inner;

/// The answers of a read, for everybody who waits.
pub(super) type Answers = Arc<[Result<Profile>]>;

pub(super) type Reading = Shared<BoxFuture<'static, Answers>>;
pub(super) type WeakReading = WeakShared<BoxFuture<'static, Answers>>;

/// The read under this ticket.
pub(super) fn reading<S: AsyncStore>(
    inner: Arc<Inner<S>>,
    ticket: u64,
    call: Call,
    reads: Vec<Read>,
) -> Reading {
    let landing = Landing { inner, ticket, reads };
    async move {
        let Landing { inner, reads, .. } = &landing;
        let answers = AssertUnwindSafe(inner.store.read(call, reads)).catch_unwind().await;
        let wrong = |what: &str| {
            let error = Error::new(ErrorKind::Unexpected, what).with_effect(Effect::NotApplied);
            vec![Err(error.with_origin(inner.info.scheme, Operation::Read)); reads.len()]
        };
        let answers = match answers {
            Ok(answers) if answers.len() == reads.len() => answers,
            Ok(_) => wrong("the store gave another number of answers than was asked for"),
            Err(_) => wrong("the store panicked"),
        };
        inner.memory.land(ticket, call.now, reads, &answers);
        Answers::from(answers)
    }
    .boxed()
    .shared()
}

/// Nobody joins a read any more that was dropped.
struct Landing<S: AsyncStore> {
    inner: Arc<Inner<S>>,
    ticket: u64,
    reads: Vec<Read>,
}

impl<S: AsyncStore> Drop for Landing<S> {
    fn drop(&mut self) {
        self.inner.memory.give_up(self.ticket, &self.reads);
    }
}
