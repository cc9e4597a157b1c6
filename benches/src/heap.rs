//! What is allocated: counted only in the program `counted`, whose every allocation takes a little longer for it.

use std::alloc::System;
use std::sync::OnceLock;

use stats_alloc::{Stats, StatsAlloc};

/// The program's allocator, if it counts.
static COUNTS: OnceLock<&'static StatsAlloc<System>> = OnceLock::new();

/// What was allocated since the program began, or since another time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Heap {
    pub(crate) allocations: usize,
    pub(crate) bytes: usize,
    /// What of it is still held.
    pub(crate) held: isize,
}

/// From now on, what this one counts is told.
pub(crate) fn count(counts: &'static StatsAlloc<System>) {
    // A second one would be the same.
    let _ = COUNTS.set(counts);
}

pub(crate) fn is_counted() -> bool {
    COUNTS.get().is_some()
}

/// What was allocated so far; nothing where it is not counted.
pub(crate) fn so_far() -> Heap {
    COUNTS.get().map_or(Heap::default(), |counts| counts.stats().into())
}

impl Heap {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            allocations: self.allocations.wrapping_sub(before.allocations),
            bytes: self.bytes.wrapping_sub(before.bytes),
            held: self.held - before.held,
        }
    }
}

impl From<Stats> for Heap {
    fn from(stats: Stats) -> Self {
        let (allocated, freed) = (stats.bytes_allocated as isize, stats.bytes_deallocated as isize);
        Self {
            // A text that grows is allocated anew.
            allocations: stats.allocations + stats.reallocations,
            bytes: stats.bytes_allocated,
            held: allocated - freed,
        }
    }
}
