//! How many rows are asked for at once. No I/O.
//!
//! A node makes a page whole in its memory, and no page may be longer than a frame: so one of the largest entries has to have
//! few rows. But each page of a user is a round trip more, and nearly all entries are small: how large they are is learned.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many bytes of rows a page shall have at most.
const PAGE_BYTES: u64 = 4 << 20;

/// Which part of what is known of the largest rows is forgotten with each page, so that one large user is not remembered for
/// ever.
const FORGOTTEN: u64 = 16;

/// How many rows a page has at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageSize(usize);

impl PageSize {
    /// How many there are of them.
    pub(crate) const COUNT: usize = 5;

    /// Few enough that a page of the largest entries does not fill a node's memory.
    pub(crate) const LEAST: Self = Self(0);

    /// As many as one write can have changes: for rows that are small whatever an entry is.
    pub(crate) const MOST: Self = Self(Self::COUNT - 1);

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }

    /// The largest that holds a page's bytes with rows of this size.
    fn of(row_bytes: u64) -> Self {
        let fits = |size: &Self| u64::from(size.rows().unsigned_abs()) * row_bytes <= PAGE_BYTES;
        Self::all().filter(fits).last().unwrap_or(Self::LEAST)
    }

    pub(crate) fn place(self) -> usize {
        self.0
    }

    pub(crate) fn rows(self) -> i32 {
        64 << self.0
    }
}

/// What is known of the sizes of rows: the largest mean of a page, lately.
#[derive(Debug)]
pub(crate) struct RowSizes(AtomicU64);

impl RowSizes {
    /// Nothing is known: rows may be as large as they can be.
    pub(crate) fn unknown() -> Self {
        Self(AtomicU64::new(Self::LARGE))
    }

    /// Pages of rows that are so large have the fewest.
    const LARGE: u64 = PAGE_BYTES / 64;

    /// What to ask for first of a user.
    pub(crate) fn first(&self) -> PageSize {
        PageSize::of(self.0.load(Ordering::Relaxed))
    }

    /// Learns from a page; what to ask for next of the same user.
    pub(crate) fn learn(&self, rows: usize, bytes: usize) -> PageSize {
        let Some(mean) = bytes.checked_div(rows) else { return self.first() };
        let mean = u64::try_from(mean).unwrap_or(u64::MAX);
        let known = self.0.load(Ordering::Relaxed);
        // Whoever learns at the same time is forgotten: the next page tells it again.
        let now_known = mean.max(known - known / FORGOTTEN);
        if now_known != known {
            self.0.store(now_known, Ordering::Relaxed);
        }
        PageSize::of(mean)
    }

    /// A page was not had: it may have been too large.
    pub(crate) fn forget(&self) {
        self.0.store(Self::LARGE, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGEST: usize = 1 << 20;

    fn used_to_small_rows() -> RowSizes {
        let sizes = RowSizes::unknown();
        for _ in 0..100 {
            sizes.learn(5, 500);
        }
        sizes
    }

    #[test]
    fn nothing_known_is_a_page_of_the_fewest_rows() {
        assert_eq!(RowSizes::unknown().first().rows(), 64);
    }

    #[test]
    fn small_rows_are_learned_and_asked_for_a_thousand_at_once() {
        let sizes = RowSizes::unknown();
        assert_eq!(sizes.learn(64, 64 * 100), PageSize::MOST, "the next page of the same user");
        assert_eq!(used_to_small_rows().first().rows(), 1_024);
    }

    #[test]
    fn one_page_of_large_rows_makes_the_next_ones_small_for_a_while() {
        let sizes = used_to_small_rows();
        assert_eq!(sizes.learn(3, 3 * LARGEST), PageSize::LEAST);
        for _ in 0..10 {
            sizes.learn(5, 500);
            assert_eq!(sizes.first(), PageSize::LEAST);
        }
    }

    #[test]
    fn a_page_that_was_not_had_is_asked_for_in_the_fewest_rows() {
        let sizes = used_to_small_rows();
        sizes.forget();
        assert_eq!(sizes.first(), PageSize::LEAST);
    }

    #[test]
    fn an_empty_page_teaches_nothing() {
        let sizes = RowSizes::unknown();
        for _ in 0..100 {
            assert_eq!(sizes.learn(0, 0), PageSize::LEAST);
        }
    }

    #[test]
    fn a_page_keeps_to_its_bytes_unless_it_has_the_fewest_rows() {
        for bytes in [1, 100, 4_095, 4_096, 4_097, 10_000, 65_536, 65_537, 1 << 20] {
            let size = PageSize::of(bytes);
            let held = u64::from(size.rows().unsigned_abs()) * bytes;
            assert!(size == PageSize::LEAST || held <= PAGE_BYTES, "{bytes}: {size:?}");
        }
    }
}
