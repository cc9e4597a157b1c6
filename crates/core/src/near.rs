//! Which of some reads are at hand, and how the others' answers come between theirs. No I/O.

use crate::async_store::{AsyncStore, wrong_count};
use crate::call::{Call, Read};
use crate::error::{Operation, Result};
use crate::info::StoreInfo;
use crate::profile::Profile;

/// The answers that are at hand, each in the place of its read.
pub(crate) struct Near(Vec<Option<Result<Profile>>>);

impl Near {
    /// Asks the store what of these it has at hand.
    pub(crate) fn look<S: AsyncStore + ?Sized>(store: &S, call: Call, reads: &[Read]) -> Self {
        let near = reads.iter().map(|read| store.at_hand(call, &read.subject, &read.keys));
        Self(near.collect())
    }

    /// Whether nothing is at hand, so that all of it has to be read.
    pub(crate) fn is_nothing(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Of these, which it was asked for, those that have to be read.
    pub(crate) fn far(&self, reads: &[Read]) -> Vec<Read> {
        let far = self.0.iter().zip(reads).filter(|(near, _)| near.is_none());
        far.map(|(_, read)| read.clone()).collect()
    }

    /// All answers, with those to the reads that were not at hand.
    pub(crate) fn with(self, far: Vec<Result<Profile>>, info: &StoreInfo) -> Vec<Result<Profile>> {
        let missing = self.0.iter().filter(|near| near.is_none()).count();
        let is_right = far.len() == missing;
        let mut far = far.into_iter().filter(|_| is_right);
        let lost = || Err(wrong_count(info, Operation::Read));
        self.0.into_iter().map(|near| near.or_else(|| far.next()).unwrap_or_else(lost)).collect()
    }
}
