//! What a store says about itself: what a write survives, who shares it, its limits, what it found wrong.
//!
//! Documentation, `doctor` and the conformance suite all print and check this same data.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// What a store is and promises, without asking a server.
///
/// ```
/// use stickystore_core::{Loss, Scope, Sharing, StoreInfo};
///
/// let info = StoreInfo::new("mine").survives(&[Loss::ProcessExit], "what its file holds").winner(Scope::Process);
/// assert_eq!(info.sharing, Sharing::Handle);
/// assert_eq!(info.survival(), "an acknowledged write survives the end of the process (what its file holds)");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreInfo {
    /// The store's name in URLs and errors, as `redis`.
    pub scheme: &'static str,
    /// What an acknowledged write survives; nothing if empty.
    pub survives: &'static [Loss],
    /// A few words more about that.
    pub survives_note: Cow<'static, str>,
    /// Among whom an insert has one winner.
    pub winner: Scope,
    /// Who sees the same data.
    pub sharing: Sharing,
    /// Whether it may forget live entries to make room.
    pub eviction: Eviction,
    /// What it refuses as too large.
    pub limits: Limits,
    /// How old an answer to a read may be at most, where it is not as of the call: so long a read may miss what others
    /// wrote by another handle. What this handle and its clones wrote, a read never misses.
    pub reads_behind: Option<Duration>,
    /// Whether reads show what waits in this process to be written, which no call of the store's methods tells: a layer that
    /// keeps answers has nothing to keep here.
    pub shows_queued: bool,
}

impl StoreInfo {
    /// A store that promises nothing yet: survives nothing, shared by clones of a handle, never evicts.
    pub const fn new(scheme: &'static str) -> Self {
        Self {
            scheme,
            survives: &[],
            survives_note: Cow::Borrowed(""),
            winner: Scope::Process,
            sharing: Sharing::Handle,
            eviction: Eviction::Never,
            limits: Limits { entry_bytes: Limits::ENTRY_BYTES, user_bytes: None },
            reads_behind: None,
            shows_queued: false,
        }
    }

    /// Declares how old an answer to a read may be.
    #[must_use]
    pub const fn reads_behind(mut self, behind: Duration) -> Self {
        self.reads_behind = Some(behind);
        self
    }

    /// Declares that reads show what waits in this process to be written.
    #[must_use]
    pub const fn showing_queued(mut self) -> Self {
        self.shows_queued = true;
        self
    }

    /// Declares what an acknowledged write survives.
    #[must_use]
    pub fn survives(mut self, losses: &'static [Loss], note: impl Into<Cow<'static, str>>) -> Self {
        self.survives = losses;
        self.survives_note = note.into();
        self
    }

    /// Declares among whom an insert has one winner.
    #[must_use]
    pub const fn winner(mut self, scope: Scope) -> Self {
        self.winner = scope;
        self
    }

    /// Declares who sees the same data.
    #[must_use]
    pub const fn sharing(mut self, sharing: Sharing) -> Self {
        self.sharing = sharing;
        self
    }

    /// Declares whether it may forget live entries.
    #[must_use]
    pub const fn eviction(mut self, eviction: Eviction) -> Self {
        self.eviction = eviction;
        self
    }

    /// Declares what it refuses as too large.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What an acknowledged write survives, in one line.
    pub fn survival(&self) -> String {
        let losses: Vec<_> = self.survives.iter().map(ToString::to_string).collect();
        let losses = match losses.as_slice() {
            [] => "nothing".to_owned(),
            [one] => one.clone(),
            [some @ .., last] => format!("{} and {last}", some.join(", ")),
        };
        let note =
            if self.survives_note.is_empty() { String::new() } else { format!(" ({})", self.survives_note) };
        format!("an acknowledged write survives {losses}{note}")
    }

    /// Whether the server may hold erased data again one day, and how: an erase survives what a write survives. Nothing
    /// if neither a restart nor power loss nor eviction can undo a write.
    pub fn erased_may_return(&self) -> Option<String> {
        let keeps = |loss| self.survives.contains(&loss);
        let from_disk = keeps(Loss::PowerLoss) || keeps(Loss::NodeLoss);
        (!from_disk && self.sharing == Sharing::Network).then(|| {
            format!("{}; what was erased may be there again after the server lost the erase", self.survival())
        })
    }
}

/// Something that an acknowledged write may have to survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Loss {
    /// The process that wrote ends, also by kill -9.
    ProcessExit,
    /// The server's process restarts.
    ServerRestart,
    /// The power fails.
    PowerLoss,
    /// One node is lost for ever.
    NodeLoss,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ProcessExit => "the end of the process",
            Self::ServerRestart => "a restart of the server",
            Self::PowerLoss => "power loss",
            Self::NodeLoss => "the loss of one node",
        })
    }
}

/// Among whom an insert has exactly one winner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// All threads of this process.
    Process,
    /// All clients of one primary.
    Primary,
    /// All clients with one server list, while the item stays.
    ServerList,
    /// All clients of one replica set.
    ReplicaSet,
    /// All clients in one datacenter.
    Datacenter,
    /// All clients of the cluster.
    Cluster,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Process => "all threads of this process",
            Self::Primary => "all clients of one primary",
            Self::ServerList => "all clients with one server list, while the item stays",
            Self::ReplicaSet => "all clients of one replica set",
            Self::Datacenter => "all clients in one datacenter",
            Self::Cluster => "all clients of the cluster",
        })
    }
}

/// Who sees the same data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Sharing {
    /// Clones of one handle.
    Handle,
    /// Everybody who connects with the same configuration.
    Network,
}

impl fmt::Display for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handle => "clones of one handle",
            Self::Network => "everybody who connects with the same configuration",
        })
    }
}

/// Whether a store may forget live entries to make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Eviction {
    /// It refuses new entries instead.
    Never,
    /// It may forget users whole.
    WholeUsers,
}

impl fmt::Display for Eviction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Never => "never",
            Self::WholeUsers => "users whole, to make room",
        })
    }
}

/// What a store refuses with [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge), before it sends anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest entry that is accepted, by [`Entry::size_bytes`](crate::Entry::size_bytes): the JSON text of its value,
    /// and of members that it carries on from a newer version.
    pub entry_bytes: usize,
    /// The most that all of a user's entries may take together, with what the store writes around them, where the store
    /// keeps a user in one piece.
    pub user_bytes: Option<usize>,
}

impl Limits {
    /// The largest value unless a store says otherwise: 1 MiB.
    pub const ENTRY_BYTES: usize = 1 << 20;

    /// These limits with a most for all entries of a user together.
    #[must_use]
    pub const fn with_user_bytes(mut self, bytes: usize) -> Self {
        self.user_bytes = Some(bytes);
        self
    }

    /// These limits with another largest value.
    #[must_use]
    pub const fn with_entry_bytes(mut self, bytes: usize) -> Self {
        self.entry_bytes = bytes;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { entry_bytes: Self::ENTRY_BYTES, user_bytes: None }
    }
}

/// One thing that a store found when it diagnosed itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// Its name, lower-case with dashes, stable for programs: `may-evict`.
    pub name: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What was seen, with the server's own words for it.
    pub evidence: String,
    /// What to do about it; empty if there is nothing to do.
    pub mend: String,
}

impl Finding {
    /// A finding.
    pub fn new(
        name: &'static str,
        severity: Severity,
        evidence: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self { name, severity, evidence: evidence.into(), mend: mend.into() }
    }
}

/// How bad a [`Finding`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// Good to know.
    Note,
    /// Assignments can be lost in circumstances that happen.
    Warning,
    /// Assignments will be lost, or cannot be written.
    Problem,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Problem => "problem",
        })
    }
}
