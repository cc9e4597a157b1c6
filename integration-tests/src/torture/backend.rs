//! The stores that can be tortured: what each needs, and what it claims to survive.

use super::faulty::Rates;

/// A store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// In memory: one process, for the run's own tests.
    Memory,
    /// In a file: one process, killed and opened again.
    Embedded,
    /// Redis, with every write on disk before its answer.
    Redis,
    /// Memcached, which survives nothing and is not killed.
    Memcached,
    /// MongoDB, one node or three.
    MongoDb,
    /// Cassandra, one node or three.
    Cassandra,
}

/// What goes wrong where no proxy is on the wire.
const WIRELESS: Rates = Rates { failed: 20, delayed: 60, cut: 20, duplicated: 50 };

/// What goes wrong besides where one is that does not know the protocol.
const BESIDES: Rates = Rates { failed: 0, delayed: 0, cut: 0, duplicated: 50 };

impl Backend {
    /// All of them, by name.
    pub const ALL: [(&'static str, Self); 6] = [
        ("memory", Self::Memory),
        ("embedded", Self::Embedded),
        ("redis", Self::Redis),
        ("memcached", Self::Memcached),
        ("mongodb", Self::MongoDb),
        ("cassandra", Self::Cassandra),
    ];

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, backend)| *backend)
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| name)
    }

    /// How many processes there are.
    pub(super) fn processes(self) -> u64 {
        if matches!(self, Self::Memory | Self::Embedded) { 1 } else { 3 }
    }

    /// Whether it claims to survive that the process that uses it is killed.
    pub(super) fn survives_kills(self) -> bool {
        self != Self::Memory
    }

    /// Whether it can have so many nodes.
    pub(super) fn has_nodes(self, nodes: u8) -> bool {
        nodes == 1 || nodes == 3 && matches!(self, Self::MongoDb | Self::Cassandra)
    }

    /// How long a wire is left alone after a disturbance, in milliseconds: it takes these drivers that long until they trust the
    /// server again.
    pub(super) fn calm(self) -> u64 {
        if matches!(self, Self::MongoDb | Self::Cassandra) { 120 } else { 20 }
    }

    /// What goes wrong in a process of its own, besides what goes wrong on the wire.
    pub(super) fn rates(self, nodes: u8) -> Rates {
        match self {
            Self::Memory | Self::Embedded => WIRELESS,
            // Its proxy knows what a write is, and sends it twice.
            Self::Redis => Rates::default(),
            // A driver that hears of three nodes goes to them itself, past any proxy.
            Self::Memcached | Self::MongoDb | Self::Cassandra if nodes > 1 => WIRELESS,
            Self::Memcached | Self::MongoDb | Self::Cassandra => BESIDES,
        }
    }
}
