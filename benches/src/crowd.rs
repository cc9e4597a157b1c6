//! Users who all have as many entries, and in which order they are asked for.

use std::sync::Arc;

use stickystore_core::Subject;

use crate::operation::MANY;
use crate::words::subject;

/// An odd number: users come in an order that no cache knows.
const STRIDE: usize = 2_654_435_761;

/// How many entries are filled at a time, unless one user has more.
const ENTRIES_AT_ONCE: usize = 250;

/// Users of an operation. Clones share them.
#[derive(Clone)]
pub(crate) struct Crowd {
    users: Arc<Vec<Subject>>,
    /// How many entries each has: the first so many keys.
    pub(crate) filled: usize,
}

impl Crowd {
    pub(crate) fn new(users: usize, filled: usize) -> Self {
        Self { users: Arc::new((0..users.max(1)).map(|_| subject()).collect()), filled }
    }

    pub(crate) fn len(&self) -> usize {
        self.users.len()
    }

    /// All of them, a few at a time: as many as a server fills at once without trouble.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &[Subject]> {
        self.users.chunks((ENTRIES_AT_ONCE / self.filled).max(1))
    }

    /// The user of this call: all of them in turn.
    pub(crate) fn nth(&self, call: usize) -> &Subject {
        self.users.get(call.wrapping_mul(STRIDE) % self.users.len()).expect("a remainder is in the list")
    }

    /// The users of this call of a read of many.
    pub(crate) fn many(&self, call: usize) -> impl Iterator<Item = &Subject> {
        (call * MANY..(call + 1) * MANY).map(|one| self.nth(one))
    }
}
