//! What became of a session's changes, user by user, and of a decision that was to be kept before it is served.

use std::collections::BTreeMap;
use std::fmt;

use stickystore_core::Error;
use stickystore_core::json::ObjectWriter;

use super::numbers::Services;
use super::overlay::Shape;
use super::said::Said;
use crate::report::{SaveReport, Saved};

/// What became of what a session saved since it began, or since its last commit.
#[derive(Debug, Clone, Default)]
pub struct CommitReport {
    users: BTreeMap<String, SaveReport>,
    /// The view shows now what it did not show to those who decided.
    learned: bool,
    /// Why it does not show what stands there.
    unread: Option<Error>,
    /// Whose entries they are.
    services: Services,
}

impl CommitReport {
    /// What became of this user's entries, if anything was saved of them.
    pub fn user(&self, user_id: &str) -> Option<&SaveReport> {
        self.users.get(user_id)
    }

    /// All users of whom something was saved, in the order of their ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &SaveReport)> {
        self.users.iter().map(|(user, report)| (user.as_str(), report))
    }

    /// The first error, if an entry failed.
    pub fn error(&self) -> Option<&Error> {
        self.users.values().find_map(SaveReport::error)
    }

    /// Whether everything that was saved stands in the store: nothing was kept from it and nothing failed.
    pub fn is_kept(&self) -> bool {
        let mut all = self.users.values().flat_map(SaveReport::iter);
        all.all(|(_, saved)| !matches!(saved, Saved::Kept { .. } | Saved::Failed { .. }))
    }

    /// As JSON: `{"users":{"<user>":{"entries":{..}}}}`, each user as in [`SaveReport::to_json`].
    pub fn to_json(&self) -> String {
        let mut users = ObjectWriter::new();
        for (user, report) in &self.users {
            users.raw(user, &report.to_json());
        }
        let mut report = ObjectWriter::new();
        report.raw("users", &users.finish());
        report.finish()
    }

    pub(super) fn of(&mut self, user_id: &str) -> &mut SaveReport {
        self.users.entry(user_id.to_owned()).or_default()
    }

    /// What a service said of an entry.
    pub(super) fn tell(&mut self, user_id: &str, key: &str, said: Said) {
        self.is_of(user_id, key, said.shape);
        let report = self.of(user_id);
        report.set(key, said.saved);
        report.set_goals_added(key, said.goals_added);
    }

    pub(super) fn is_of(&mut self, user_id: &str, key: &str, shape: Shape) {
        self.services.note(user_id, key, shape.service());
    }

    /// Counts its entries; and whether what was decided in this pass is served.
    pub(super) fn count(&self, is_served: bool) {
        for (user, report) in &self.users {
            for (key, saved) in report.iter() {
                if let Some(service) = self.services.of(user, key) {
                    saved.count(service, is_served);
                }
            }
        }
    }

    pub(super) fn unread(&mut self, error: Option<&Error>) {
        self.unread = self.unread.take().or_else(|| error.cloned());
    }

    /// Why who decides again would not know what stands there.
    pub(super) fn is_unread(&self) -> Option<&Error> {
        self.unread.as_ref()
    }

    pub(super) fn learn(&mut self) {
        self.learned = true;
    }

    /// Whether who decides again may decide something else.
    pub(super) fn has_learned(&self) -> bool {
        self.learned
    }
}

/// What was decided and committed before it is served.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Decided<T> {
    /// What the last pass decided.
    pub value: T,
    /// What became of what it saved. Where it says [`is_kept`](CommitReport::is_kept) the value agrees with the store; else
    /// something else stands there that the one who decided does not go by, as a variation that its datafile lacks.
    pub report: CommitReport,
    /// What became of what the first pass saved, if another request had won there and there was a second.
    pub first: Option<CommitReport>,
}

/// A decision that is not kept: nobody knows whether the next request is answered the same.
#[non_exhaustive]
pub struct NotKept<T> {
    /// What was decided, for who serves it all the same.
    pub value: T,
    /// Why it is not kept; [`effect`](Error::effect) says whether it may be.
    pub error: Error,
    /// What became of each entry.
    pub report: CommitReport,
    /// What became of what the first pass saved, if another request had won there and there was a second.
    pub first: Option<CommitReport>,
}

impl<T> fmt::Debug for NotKept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotKept").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for NotKept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what was decided is not kept")
    }
}

impl<T> std::error::Error for NotKept<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
