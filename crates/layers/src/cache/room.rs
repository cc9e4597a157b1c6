//! How many users may be held as they are handed out: they are quicker to answer, and several times as large.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quick_cache::Lifecycle;
use stickystore_core::Subject;

use super::held::Held;

/// The part of the bound that they may take.
const PART: u64 = 4;

/// About what one of them costs, with some three entries.
const EACH_BYTES: u64 = 512;

/// How many more may be. About so many: nothing is lost with the count, since all that is held is bounded by its bytes.
#[derive(Debug, Clone)]
pub(super) struct Room(Arc<AtomicUsize>);

impl Room {
    /// The room in a cache with this bound.
    pub(super) fn of(bytes: u64) -> Self {
        let users = usize::try_from(bytes / PART / EACH_BYTES).unwrap_or(usize::MAX);
        Self(Arc::new(AtomicUsize::new(users)))
    }

    /// Takes a place; false if there is none.
    pub(super) fn take(&self) -> bool {
        let left = |users: usize| users.checked_sub(1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok()
    }

    /// This one is not held any more.
    pub(super) fn give_back(&self, held: &Held) {
        if held.is_often {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[expect(clippy::missing_trait_methods, reason = "what the lint is for are the methods of stores")]
impl Lifecycle<Subject, Held> for Room {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _: Subject, held: Held) {
        self.give_back(&held);
    }
}
