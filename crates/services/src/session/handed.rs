//! What was handed to an SDK as JSON that carries no proof: VWO's records, Optimizely's profiles without receipts.
//!
//! What comes back is charged to what was handed out, if that was always the same: of two lookups that were answered
//! differently nobody can say whose save it is, and it proves nothing.

use std::collections::BTreeMap;

use stickystore_core::Key;

use crate::optimizely::UserProfile;
use crate::receipt::Receipt;
use crate::vwo::Record;

/// What one user's lookups were handed since the pass began.
#[derive(Debug, Default)]
pub(super) struct Handed {
    profile: Option<Receipt>,
    records: BTreeMap<Key, Given>,
}

/// What the gets of one campaign were handed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Given {
    /// Always this record, or always none.
    Always(Option<Box<Record>>),
    /// Not always the same.
    Mixed,
}

impl Handed {
    /// A profile was handed out.
    pub(super) fn looked_up(&mut self, profile: &UserProfile) {
        let Some(new) = profile.receipt() else { return };
        match &mut self.profile {
            Some(before) => before.agree(new),
            None => self.profile = Some(new.clone()),
        }
    }

    /// What proves the profiles that were handed out.
    pub(super) fn profile(&self) -> Option<&Receipt> {
        self.profile.as_ref()
    }

    /// A record was handed out, or that there is none.
    pub(super) fn got(&mut self, campaign: Key, record: Option<&Record>) {
        let new = Given::Always(record.cloned().map(Box::new));
        let given = self.records.entry(campaign).or_insert_with(|| new.clone());
        if *given != new {
            *given = Given::Mixed;
        }
    }

    /// What the gets of this campaign were handed, if there were any.
    pub(super) fn record(&self, campaign: &str) -> Option<&Given> {
        self.records.get(campaign)
    }
}
