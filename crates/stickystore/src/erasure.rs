//! What an erasure answers: whether there was anything, and what may bring it back.

use stickystore_core::{Epoch, Erase, StoreInfo, UnixMillis};

/// A user was erased: no entry stands, and for a while a mark keeps writes that were under way from bringing one back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Erasure {
    /// Whether anything stood.
    pub stood: bool,
    /// The erasure's epoch, which the mark holds; it holds no assignment, but stands under the user's storage key.
    pub epoch: Epoch,
    /// When the mark ends.
    pub mark_until: UnixMillis,
    /// Why the server may hold the erased data again one day, in words; nothing if it cannot.
    pub may_return: Option<String>,
}

impl Erasure {
    pub(crate) fn new(erase: &Erase, stood: bool, info: &StoreInfo) -> Self {
        let Erase { epoch, mark_until, .. } = *erase;
        Self { stood, epoch, mark_until, may_return: info.erased_may_return() }
    }
}
