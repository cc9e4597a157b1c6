//! Whose entries a commit reports of: by that they are counted.

use std::collections::BTreeMap;

/// The services of users' keys.
#[derive(Debug, Clone, Default)]
pub(super) struct Services(BTreeMap<String, BTreeMap<String, &'static str>>);

impl Services {
    pub(super) fn note(&mut self, user_id: &str, key: &str, service: &'static str) {
        self.0.entry(user_id.to_owned()).or_default().insert(key.to_owned(), service);
    }

    pub(super) fn of(&self, user_id: &str, key: &str) -> Option<&'static str> {
        self.0.get(user_id)?.get(key).copied()
    }
}
