//! What the driver tells of the servers: which one takes writes, how many did so far, and why there is none.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use mongodb::ServerType;
use mongodb::event::sdam::SdamEvent;
use mongodb::options::ServerAddress;
use stickystore_core::Error;

use crate::error;

/// What the driver knows of the servers.
#[derive(Default)]
pub(crate) struct Topology {
    known: Mutex<Known>,
    /// How many primaries there were, one after the other.
    term: AtomicU64,
}

#[derive(Default)]
struct Known {
    primary: Option<ServerAddress>,
    /// Why a server could not be asked.
    reason: Option<Error>,
}

impl Topology {
    pub(crate) fn hear(&self, event: &SdamEvent) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            SdamEvent::TopologyDescriptionChanged(change) => {
                let takes_writes = |kind: ServerType| {
                    matches!(
                        kind,
                        ServerType::RsPrimary
                            | ServerType::Mongos
                            | ServerType::Standalone
                            | ServerType::LoadBalancer
                    )
                };
                let servers = change.new_description.servers();
                let primary = servers.iter().find(|(_, server)| takes_writes(server.server_type()));
                let primary = primary.map(|(address, _)| (*address).clone());
                if primary.is_some() && primary != known.primary {
                    self.term.fetch_add(1, Ordering::SeqCst);
                }
                known.primary = primary;
                let reason = servers.values().find_map(|server| server.error().map(error::unreachable));
                // Others have answered, and none of them is it.
                let has_others = servers.values().any(|server| server.server_type() != ServerType::Unknown);
                let others = || has_others.then(error::no_primary);
                known.reason = reason.or_else(others).or(known.reason.take());
            }
            SdamEvent::ServerHeartbeatFailed(failed) => {
                known.reason = Some(error::unreachable(&failed.failure));
            }
            _ => {}
        }
    }

    /// Why nothing takes writes, if that is known of nothing.
    pub(crate) fn missing(&self) -> Option<Error> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.reason.clone().filter(|_| known.primary.is_none())
    }

    /// Which primary it is that there is, or was last: the first, the second, and so on; 0 if there was none yet.
    pub(crate) fn term(&self) -> u64 {
        self.term.load(Ordering::SeqCst)
    }
}
