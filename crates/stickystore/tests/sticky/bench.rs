//! What the tests of this folder have at hand: a store in whose way something can be put just before a write.

use std::fmt;
use std::sync::{Arc, Mutex};

use stickystore::core::memory::MemoryStore;
use stickystore::core::{
    Call, Erase, ManualClock, Namespace, Outcome, Profile, Read, Store, StoreInfo, Subject, UnixMillis,
    UserId, Write,
};
use stickystore::{Result, Settings, Sticky};

type Surprise = Box<dyn FnOnce(&MemoryStore) + Send>;

/// A memory store; something happens behind each of the first writes.
#[derive(Clone, Default)]
pub(crate) struct Surprised {
    pub(crate) store: MemoryStore,
    surprises: Arc<Mutex<Vec<Surprise>>>,
}

impl Surprised {
    /// Happens just before the next write that has none yet.
    pub(crate) fn before_a_write(&self, happens: impl FnOnce(&MemoryStore) + Send + 'static) {
        self.surprises.lock().unwrap().insert(0, Box::new(happens));
    }

    /// A handle over it, at the start of 2026.
    pub(crate) fn sticky(&self) -> Sticky {
        let settings = Settings::new(Namespace::new("shop").unwrap());
        Sticky::new(self.clone(), settings.with_clock(ManualClock::new(UnixMillis::new(NOW).unwrap())))
    }
}

pub(crate) const NOW: u64 = 1_767_225_600_000;

pub(crate) fn ann() -> Subject {
    Subject::new(Namespace::new("shop").unwrap(), UserId::new("ann").unwrap())
}

impl fmt::Debug for Surprised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surprised").finish_non_exhaustive()
    }
}

impl Store for Surprised {
    fn info(&self) -> &StoreInfo {
        self.store.info()
    }

    fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        self.store.read(call, reads)
    }

    fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let surprise = self.surprises.lock().unwrap().pop();
        if let Some(happens) = surprise {
            happens(&self.store);
        }
        self.store.write(call, writes)
    }

    fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        self.store.erase(call, erases)
    }

    fn ping(&self, call: Call) -> Result<()> {
        self.store.ping(call)
    }

    fn close(&self, call: Call) -> Result<()> {
        self.store.close(call)
    }
}
