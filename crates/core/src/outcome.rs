//! What became of a change: a lost condition is an answer, not an error.

use crate::entry::Entry;

/// What became of one change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The entry was inserted, by this attempt or by an earlier one of the same write.
    Inserted,
    /// The entry was written, whatever stood there.
    Written,
    /// The entry replaced the named one, by this attempt or by an earlier one of the same write.
    Replaced,
    /// The named entry stands and has this value already: nothing was written, its expiry stays.
    Unchanged,
    /// What stood there was removed.
    Removed,
    /// There was nothing to remove.
    WasAbsent,
    /// Another entry stands there, this one, and stays.
    Kept(Entry),
    /// Nothing live stands there, so there was nothing to replace.
    Gone,
    /// The user was erased since the writer read: nothing was written.
    Erased,
    /// The change's own expiry had passed: nothing was written.
    Expired,
}

impl Outcome {
    /// Its name for programs, as in reports and metrics: `was-absent`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Inserted => "inserted",
            Self::Written => "written",
            Self::Replaced => "replaced",
            Self::Unchanged => "unchanged",
            Self::Removed => "removed",
            Self::WasAbsent => "was-absent",
            Self::Kept(_) => "kept",
            Self::Gone => "gone",
            Self::Erased => "erased",
            Self::Expired => "expired",
        }
    }

    /// Whether the entry of the change stands because of it.
    pub fn is_applied(&self) -> bool {
        matches!(self, Self::Inserted | Self::Written | Self::Replaced | Self::Removed)
    }
}
