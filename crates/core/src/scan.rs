//! What a scan gives: pages of users with their profiles, and the cursor between them.
//!
//! Pages instead of a stream: they work the same way blocking and async, hold no connection between two of them,
//! and a cursor can be kept to go on after a restart.

use crate::id::UserId;
use crate::profile::Profile;

/// Where a scan goes on; only the store that made it can read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(String);

impl Cursor {
    /// A cursor from its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Its text, to keep.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A part of a scan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Page {
    /// Users with a live or damaged entry; original ids.
    pub users: Vec<(UserId, Profile)>,
    /// How many users more there are whose storage key holds something that is not ours.
    pub foreign: usize,
    /// Where to go on; the scan is complete without one. A page may be empty and still have one.
    pub next: Option<Cursor>,
}

impl Page {
    /// These users, with the cursor for the next page if there may be more.
    pub fn new(users: Vec<(UserId, Profile)>, next: Option<Cursor>) -> Self {
        Self { users, foreign: 0, next }
    }

    /// With so many storage keys that hold something that is not ours.
    #[must_use]
    pub fn with_foreign(self, foreign: usize) -> Self {
        Self { foreign, ..self }
    }
}
