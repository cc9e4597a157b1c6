//! Planted bugs: stores that break their promise, each in a way that somebody's store does. A run has to find every one.
//!
//! Those that keep books instead of taking receipts are in `bookkeeping`, and those whose profiles carry what was read in
//! `carried`; those that are stores in `broken` and `buffered`.

use std::sync::Arc;

use stickystore_core::AsyncStore;
use stickystore_services::Settings;

use super::naive::Whole;
use super::profiles::Profiles;

mod bookkeeping;
mod broken;
mod buffered;
mod carried;

use bookkeeping::{Bookkeeper, Books};
use broken::{Broken, Bug};
use buffered::Buffered;
use carried::{Carrier, Known};

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plant {
    /// In what SDKs are given: the whole profile is overwritten.
    WholeProfile,
    /// In what SDKs are given: a read is proved by books.
    Books(Books),
    /// In what SDKs are given: a read is proved by what the profile carries.
    Carried(Known),
    /// In the store.
    Store(Bug),
    /// In the store, which keeps writes in its process for a while; to be found where processes are killed, and one alone has the
    /// users, as others would find it by looking.
    BufferedInTheProcess,
    /// In the server, which has nothing on its disk when it is killed; to be found on Redis.
    NothingOnDisk,
}

/// All of them, by name.
pub(crate) const ALL: [(&str, Plant); 22] = [
    ("whole-profile", Plant::WholeProfile),
    ("last-write-wins", Plant::Store(Bug::LastWriteWins)),
    ("only-adds", Plant::Books(Books::OnlyAdds)),
    ("thread-local", Plant::Books(Books::ThreadLocal)),
    ("task-local", Plant::Books(Books::TaskLocal)),
    ("last-lookup", Plant::Books(Books::LastLookup)),
    ("fifo-ledger", Plant::Books(Books::Fifo)),
    ("lifo-ledger", Plant::Books(Books::Lifo)),
    ("any-match-ledger", Plant::Books(Books::AnyMatch)),
    ("all-agree-unfailed-ledger", Plant::Books(Books::AllAgreeUnfailed)),
    ("all-agree-ledger", Plant::Books(Books::AllAgree)),
    ("consistent-ledger", Plant::Books(Books::Consistent)),
    ("value-comparison", Plant::Carried(Known::ByValue)),
    ("insert-without-epoch", Plant::Store(Bug::NoEpoch)),
    ("failed-lookup-overwrites", Plant::Store(Bug::FailedLookupOverwrites)),
    ("acknowledged-before-written", Plant::Store(Bug::AcknowledgedEarly)),
    ("unknown-is-written-again", Plant::Store(Bug::UnknownAgain)),
    ("error-is-success", Plant::Store(Bug::ErrorIsSuccess)),
    ("duplicate-overwrites", Plant::Store(Bug::DuplicateOverwrites)),
    ("buffered-in-the-process", Plant::BufferedInTheProcess),
    ("last-goal-only", Plant::Store(Bug::LastGoal)),
    ("nothing-on-disk", Plant::NothingOnDisk),
];

/// Made as some of these are, and without a bug: nothing is to be found in it.
pub const SOUND: &str = "carried-revisions";

/// Their names.
pub const PLANTS: [&str; ALL.len()] = {
    let mut names = [""; ALL.len()];
    let mut at = 0;
    while at < ALL.len() {
        names[at] = ALL[at].0;
        at += 1;
    }
    names
};

impl Plant {
    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let sound = (SOUND, Self::Carried(Known::ByRevision));
        ALL.into_iter().chain([sound]).find(|(known, _)| *known == name).map(|(_, plant)| plant)
    }

    /// The store with this bug.
    pub(crate) fn in_store(self, store: Arc<dyn AsyncStore>) -> Arc<dyn AsyncStore> {
        match self {
            Self::Store(bug) => Arc::new(Broken::new(store, bug)),
            Self::BufferedInTheProcess => Arc::new(Buffered::new(store)),
            Self::WholeProfile | Self::Books(_) | Self::Carried(_) | Self::NothingOnDisk => store,
        }
    }

    /// What SDKs are given in the place of ours, if the bug is there.
    pub(crate) fn in_profiles(
        self,
        store: &Arc<dyn AsyncStore>,
        settings: &Settings,
    ) -> Option<Arc<dyn Profiles>> {
        match self {
            Self::WholeProfile => Some(Arc::new(Whole::new(Arc::clone(store), settings.clone()))),
            Self::Books(books) => Some(Arc::new(Bookkeeper::new(Arc::clone(store), settings.clone(), books))),
            Self::Carried(known) => Some(Arc::new(Carrier::new(Arc::clone(store), settings.clone(), known))),
            Self::Store(_) | Self::BufferedInTheProcess | Self::NothingOnDisk => None,
        }
    }
}
