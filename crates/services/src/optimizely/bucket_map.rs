//! The bare bucket map, for `$opt_experiment_bucket_map`: fetched before the decision, passed by attribute.

use std::fmt;

use super::profile::{MAP_RECEIPT_KEY, UserProfile};

/// A user's bucket map as it is passed by the attribute `$opt_experiment_bucket_map`.
///
/// The SDK lays it over what its own lookup gives, entry by entry, and the next save carries the outcome. Its receipt, one
/// more entry under `stickystoremap`, tells a map that was fetched here from one that is older than the lookup beside it:
/// without it, an early map rolls newer assignments back. So pass it on as it is.
#[derive(Clone, PartialEq)]
pub struct BucketMap(UserProfile);

impl BucketMap {
    pub(super) fn new(profile: UserProfile) -> Self {
        Self(profile)
    }

    /// The SDK's JSON: `{"<experiment id>":{"variation_id":".."}}`, with the receipt.
    pub fn to_json(&self) -> String {
        self.0.map_json(MAP_RECEIPT_KEY)
    }

    /// The variation of this experiment.
    pub fn variation(&self, experiment_id: &str) -> Option<&str> {
        self.0.variation(experiment_id)
    }

    /// All experiments and their variations, in the order of the experiments' ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter()
    }

    /// Whether it has no experiments.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How many, never what.
impl fmt::Debug for BucketMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BucketMap").field("entries", &self.iter().len()).finish_non_exhaustive()
    }
}
