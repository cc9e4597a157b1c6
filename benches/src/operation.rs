//! What is measured: the operations, the same for every backend.

use std::fmt;

/// How many entries a user has in most operations, and how many a save has.
pub(crate) const ENTRIES: usize = 5;

/// How many users a read of many asks for.
pub(crate) const MANY: usize = 100;

/// One of how many a get asks for.
const AMONG: usize = 1_000;

/// How many entries the users of an operation have together, at most: that filling takes no longer than measuring.
const FILLED: usize = 10_000;

/// What a contender does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Loads a user who has so many entries.
    Load(usize),
    /// Reads one entry of a user who has a thousand.
    Get,
    /// Inserts one entry of somebody new.
    AssignNew,
    /// Inserts one entry where another stands, which is told.
    AssignExisting,
    /// Puts one entry with an expiry over another.
    Put,
    /// Optimizely's save of five experiments of somebody new; by hand, the same five inserts.
    Save,
    /// Reads all entries of a hundred users.
    ReadMany,
    /// Erases a user; each once in a sample, before which all are filled again.
    Erase,
}

impl Operation {
    pub(crate) const ALL: [Self; 11] = [
        Self::Load(1),
        Self::Load(ENTRIES),
        Self::Load(50),
        Self::Load(500),
        Self::Get,
        Self::AssignNew,
        Self::AssignExisting,
        Self::Put,
        Self::Save,
        Self::ReadMany,
        Self::Erase,
    ];

    /// Without the numbers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Load(_) => "load",
            Self::Get => "get",
            Self::AssignNew => "assign new",
            Self::AssignExisting => "assign existing",
            Self::Put => "put with TTL",
            Self::Save => "save",
            Self::ReadMany => "read of many users",
            Self::Erase => "erase",
        }
    }

    /// How many entries go over the wire or away.
    pub(crate) fn entries(self) -> usize {
        match self {
            Self::Load(entries) => entries,
            Self::Get | Self::AssignNew | Self::AssignExisting | Self::Put => 1,
            Self::Save | Self::Erase => ENTRIES,
            Self::ReadMany => MANY * ENTRIES,
        }
    }

    /// How many entries its users have.
    pub(crate) fn filled(self) -> usize {
        match self {
            Self::Load(entries) => entries,
            Self::Get => AMONG,
            _ => ENTRIES,
        }
    }

    /// How many users there are, if so many are wanted.
    pub(crate) fn users(self, wanted: usize, in_a_sample: usize) -> usize {
        match self {
            Self::Erase => wanted.min(in_a_sample),
            // More would be another operation's: that of many users.
            _ if self.filled() > ENTRIES => wanted.min(FILLED / self.filled()),
            _ => wanted,
        }
    }

    /// The most callers at once that are worth their time.
    pub(crate) fn most_callers(self) -> usize {
        match self {
            Self::Load(ENTRIES) | Self::Put => usize::MAX,
            // Each of them makes a hundred calls at once by the bare driver.
            Self::ReadMany => 16,
            _ => 64,
        }
    }

    /// How many times a load of five it takes, about.
    pub(crate) fn weight(self) -> usize {
        match self {
            Self::Load(entries) => entries.div_ceil(10),
            Self::ReadMany => MANY / 2,
            Self::Save => 2,
            _ => 1,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(entries) => write!(f, "load of {entries}"),
            Self::Get => write!(f, "get of 1 in {AMONG}"),
            Self::Save => write!(f, "save of {ENTRIES}"),
            Self::ReadMany => write!(f, "read of {MANY} users"),
            _ => f.write_str(self.name()),
        }
    }
}
