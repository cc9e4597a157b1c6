//! The budget of retries: what keeps an outage from being answered by several times the calls.

use std::sync::atomic::{AtomicU32, Ordering};

/// What a retry costs; a call brings 1.
const COST: u32 = 10;

/// The most that is saved up, and what there is at first: a burst of so many retries.
const MOST: u32 = 100 * COST;

/// Retries that may still be made, in tenths.
#[derive(Debug)]
pub(super) struct Budget(AtomicU32);

impl Budget {
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(MOST))
    }

    /// A call was made.
    pub(super) fn earn(&self) {
        let more = |saved: u32| (saved < MOST).then(|| saved + 1);
        // Full is fine.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// Pays for a retry; false if there is not enough.
    pub(super) fn pay(&self) -> bool {
        let less = |saved: u32| saved.checked_sub(COST);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}
