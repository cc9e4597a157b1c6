//! What was handed to an SDK as JSON that carries no proof: VWO's records, Optimizely's profiles without receipts.
//!
//! What comes back is charged to what was handed out, if that was always the same: of two lookups that were answered
//! differently nobody can say whose save it is, and it proves nothing.

use std::collections::BTreeMap;

use stickystore_core::{Epoch, Key};

use crate::optimizely::UserProfile;
use crate::receipt::Receipt;
use crate::vwo::Record;

/// What one user's lookups were handed since the pass began.
#[derive(Debug, Default)]
pub(super) struct Handed {
    profile: Option<Receipt>,
    /// A lookup failed: what its caller saves nobody can tell from what the others save.
    failed: bool,
    records: BTreeMap<Key, Given>,
}

/// What the gets of one campaign were handed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Given {
    /// Always this record, or always none under this epoch.
    Always(Option<Box<Record>>, Option<Epoch>),
    /// Not always the same, or one has failed.
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

    /// A lookup failed.
    pub(super) fn lookup_failed(&mut self) {
        self.failed = true;
    }

    /// What proves the profiles that were handed out.
    pub(super) fn profile(&self) -> Option<&Receipt> {
        self.profile.as_ref().filter(|_| !self.failed)
    }

    /// A get failed.
    pub(super) fn get_failed(&mut self, campaign: Key) {
        self.records.insert(campaign, Given::Mixed);
    }

    /// A record was handed out, or that there is none.
    pub(super) fn got(&mut self, campaign: Key, record: Option<&Record>, epoch: Option<Epoch>) {
        let new = Given::Always(record.cloned().map(Box::new), epoch);
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
