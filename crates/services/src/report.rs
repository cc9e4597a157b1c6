//! What became of a save, entry by entry: every service reports in these words.

use std::collections::BTreeMap;
use std::time::Duration;

use stickystore_core::json::{ObjectWriter, quoted};
use stickystore_core::{Effect, Error, ErrorKind, Value};

#[cfg(feature = "metrics")]
mod numbers;
#[cfg(not(feature = "metrics"))]
#[path = "report/no_numbers.rs"]
mod numbers;

/// What became of each entry of a save.
///
/// ```
/// # use stickystore_core::{Namespace, memory::MemoryStore};
/// # use stickystore_services::{Settings, optimizely::UserProfileService};
/// # let service = UserProfileService::new(MemoryStore::new(), Settings::new(Namespace::new("shop")?));
/// let report = service.save_json(r#"{"user_id":"ann","experiment_bucket_map":{"e1":{"variation_id":"red"}}}"#)?;
/// assert_eq!(report.to_json(), r#"{"entries":{"e1":{"outcome":"inserted"}}}"#);
/// # Ok::<(), stickystore_core::Error>(())
/// ```
///
/// # Metrics (feature `metrics`)
///
/// | name | kind | labels | counts |
/// |---|---|---|---|
/// | `stickystore_saved_total` | counter | `service`, `outcome` | entries of saves and commits, by what became of them: `inserted`, `kept`, .. |
/// | `stickystore_replaced_total` | counter | `service` | stored assignments that a save replaced: an exact count of changed ones |
/// | `stickystore_served_once_total` | counter | `service`, `why` | entries where another value stood and stayed: that request had already served its own |
#[derive(Debug, Clone, Default)]
pub struct SaveReport {
    entries: BTreeMap<String, Saved>,
    /// Only of entries to which goals were added.
    goals_added: BTreeMap<String, Vec<String>>,
}

/// What became of one entry of a save.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Saved {
    /// It is new.
    Inserted,
    /// There was nothing to write: it came back as it was read, or what stands there has this value already.
    Unchanged,
    /// What stands there stays and lacked something, as a goal: that was added to it.
    Added,
    /// It replaced what its caller had read.
    Replaced {
        /// What it replaced.
        old: Value,
    },
    /// Something else stands there, and stays; or nothing, and nothing comes.
    Kept {
        /// Why.
        why: Why,
        /// What stands there, if anything.
        winner: Option<Value>,
    },
    /// It failed.
    Failed {
        /// With this; it says whether the entry may have been written all the same.
        error: Error,
    },
}

/// Why an entry of a save was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Why {
    /// Somebody else wrote there since the caller read.
    Raced,
    /// Nothing proves that the caller had read what stands there, as what is of another shape and never handed out.
    Unproven,
    /// What the caller had read expired or was removed since.
    Gone,
    /// The user was erased since the caller read.
    Erased,
    /// It would bring back a value that was replaced a short while ago, or replace once too often: two datafiles do
    /// not know each other's variations.
    War,
    /// Lookups of the user were answered differently or failed, so that nobody knows what the caller had read: of a
    /// service with a [`Ledger`](crate::vwo::Ledger).
    Ambiguous {
        /// For how long that has been so.
        age: Duration,
    },
}

impl Why {
    /// Its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raced => "raced",
            Self::Unproven => "unproven",
            Self::Gone => "gone",
            Self::Erased => "erased",
            Self::War => "war",
            Self::Ambiguous { .. } => "ambiguous",
        }
    }
}

impl SaveReport {
    /// What became of the entry under this key.
    pub fn get(&self, key: &str) -> Option<&Saved> {
        self.entries.get(key)
    }

    /// All entries, in the order of their keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Saved)> {
        self.entries.iter().map(|(key, saved)| (key.as_str(), saved))
    }

    /// The goals that were added to what stands under this key, whichever assignment that is.
    pub fn goals_added(&self, key: &str) -> &[String] {
        self.goals_added.get(key).map_or(&[], Vec::as_slice)
    }

    /// The first error, if an entry failed.
    pub fn error(&self) -> Option<&Error> {
        self.entries.values().find_map(|saved| match saved {
            Saved::Failed { error } => Some(error),
            _ => None,
        })
    }

    /// As JSON: `{"entries":{"<key>":{"outcome":"kept","why":"raced","winner":{..}}}}`.
    ///
    /// Outcomes are `inserted`, `unchanged`, `added`, `replaced` (with `old`), `kept` (with `why`, `winner` if something
    /// stands there, and `age_ms` if it is `ambiguous`) and `failed` (with `effect`, `not-applied` or `unknown`, and
    /// `error`). Where goals were added to what stood there, `goals_added` lists them beside the outcome.
    pub fn to_json(&self) -> String {
        let mut entries = ObjectWriter::new();
        for (key, saved) in &self.entries {
            entries.raw(key, &saved.to_json(self.goals_added(key)));
        }
        let mut report = ObjectWriter::new();
        report.raw("entries", &entries.finish());
        report.finish()
    }

    /// The same; with the feature `metrics` its entries are counted as those of this service.
    pub(crate) fn counted(self, service: &'static str) -> Self {
        self.entries.values().for_each(|saved| saved.count(service, true));
        self
    }

    pub(crate) fn set(&mut self, key: &str, saved: Saved) {
        self.entries.insert(key.to_owned(), saved);
    }

    pub(crate) fn set_goals_added(&mut self, key: &str, goals: Vec<String>) {
        if goals.is_empty() {
            self.goals_added.remove(key);
        } else {
            self.goals_added.insert(key.to_owned(), goals);
        }
    }
}

impl Saved {
    /// What is reported of an entry that nothing proves where an error is wanted.
    pub(crate) fn unproven() -> Self {
        let context = "nothing proves that the save's caller had read what stands there, which stays";
        Self::Failed { error: Error::new(ErrorKind::Invalid, context) }
    }

    /// With the feature `metrics`, counts it as an entry of this service; and whether what was to be saved is served whatever
    /// became of it.
    pub(crate) fn count(&self, service: &'static str, is_served: bool) {
        numbers::saved(service, self, is_served);
    }

    /// What became of it, as reports name it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Inserted => "inserted",
            Self::Unchanged => "unchanged",
            Self::Added => "added",
            Self::Replaced { .. } => "replaced",
            Self::Kept { .. } => "kept",
            Self::Failed { .. } => "failed",
        }
    }

    fn to_json(&self, goals_added: &[String]) -> String {
        let mut object = ObjectWriter::new();
        match self {
            Self::Inserted => object.string("outcome", "inserted"),
            Self::Unchanged => object.string("outcome", "unchanged"),
            Self::Added => object.string("outcome", "added"),
            Self::Replaced { old } => {
                object.string("outcome", "replaced");
                object.raw("old", old.as_str());
            }
            Self::Kept { why, winner } => {
                object.string("outcome", "kept");
                object.string("why", why.as_str());
                if let Why::Ambiguous { age } = why {
                    object.raw("age_ms", &age.as_millis().to_string());
                }
                if let Some(winner) = winner {
                    object.raw("winner", winner.as_str());
                }
            }
            Self::Failed { error } => {
                object.string("outcome", "failed");
                let effect = match error.effect() {
                    Effect::NotApplied => "not-applied",
                    Effect::Unknown => "unknown",
                };
                object.string("effect", effect);
                object.string("error", &error.to_string());
            }
        }
        if !goals_added.is_empty() {
            let goals: Vec<_> = goals_added.iter().map(|goal| quoted(goal)).collect();
            object.raw("goals_added", &format!("[{}]", goals.join(",")));
        }
        object.finish()
    }
}
