//! The stores that can be tortured: what each needs, and what it claims to survive.

use std::collections::BTreeMap;

use super::dice::Dice;
use super::log::Logged;
use crate::server::{Folder, Missing};

/// A store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// In memory: one process, for the run's own tests.
    Memory,
    /// In a file: one process, killed and opened again.
    Embedded,
}

/// Where a run takes place.
#[derive(Debug)]
pub(super) enum Place {
    Memory,
    Embedded(Folder),
}

impl Backend {
    /// All of them, by name.
    pub const ALL: [(&'static str, Self); 2] = [("memory", Self::Memory), ("embedded", Self::Embedded)];

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, backend)| *backend)
    }

    /// Whether its calls go over no wire that a proxy could disturb.
    pub fn is_wireless(self) -> bool {
        matches!(self, Self::Memory | Self::Embedded)
    }

    /// Whether it claims to survive that the process that uses it is killed.
    pub fn survives_kills(self) -> bool {
        self != Self::Memory
    }
}

impl Place {
    pub(super) fn start(backend: Backend) -> Result<Self, Missing> {
        Ok(match backend {
            Backend::Memory => Self::Memory,
            Backend::Embedded => Self::Embedded(Folder::new("torture-embedded")),
        })
    }

    /// How many processes there are.
    pub(super) fn processes(&self) -> u64 {
        match self {
            Self::Memory | Self::Embedded(_) => 1,
        }
    }

    /// Where this process finds the store.
    pub(super) fn url(&self, _process: u64) -> String {
        match self {
            Self::Memory => "memory:".to_owned(),
            Self::Embedded(folder) => format!("embedded:{}", folder.path().join("store").display()),
        }
    }

    /// Disturbs wires and servers, if it is time; unless it is over.
    pub(super) fn disturb(&mut self, _is_over: bool, _dice: &mut Dice) {}

    /// Ends all disturbances.
    pub(super) fn calm(&mut self) {}

    /// The faults that hit a call in flight of the process that logged it.
    pub(super) fn faults(&self, _logs: &[Logged]) -> BTreeMap<String, u64> {
        BTreeMap::new()
    }
}
