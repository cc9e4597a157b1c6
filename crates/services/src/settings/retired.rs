//! The values that an operator has retired: they stand in the store, and are given to nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stickystore_core::Value;

/// Retired values by their keys. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Retired(Arc<BTreeMap<String, BTreeSet<String>>>);

impl Retired {
    pub(super) fn add(&mut self, key: String, value: String) {
        Arc::make_mut(&mut self.0).entry(key).or_default().insert(value);
    }

    /// Whether this value under this key is retired, as its service names values.
    pub(crate) fn has(&self, key: &str, value: &str) -> bool {
        self.0.get(key).is_some_and(|values| values.contains(value))
    }

    /// The same of a value as it is stored: by its text if it is a JSON string, or by its JSON.
    pub(crate) fn has_value(&self, key: &str, value: &Value) -> bool {
        self.has(key, value.as_str()) || value.as_string().is_some_and(|text| self.has(key, &text))
    }
}
