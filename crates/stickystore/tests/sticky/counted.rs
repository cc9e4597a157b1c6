//! A store that counts how often it is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use stickystore::Registry;
use stickystore::core::memory::MemoryStore;
use stickystore::core::{
    AsyncScan, AsyncStore, Call, Erase, Immediate, Outcome, Profile, Read, Result, StoreInfo, Write,
};

/// Counts reads; scans are not counted.
#[derive(Debug)]
struct Counted {
    store: Immediate<MemoryStore>,
    reads: Arc<AtomicUsize>,
    can_scan: bool,
}

#[async_trait::async_trait]
impl AsyncStore for Counted {
    fn info(&self) -> &StoreInfo {
        self.store.info()
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.store.read(call, reads).await
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        self.store.write(call, writes).await
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        self.store.erase(call, erases).await
    }

    async fn ping(&self, call: Call) -> Result<()> {
        self.store.ping(call).await
    }

    async fn close(&self, call: Call) -> Result<()> {
        self.store.close(call).await
    }

    fn scan(&self) -> Option<&dyn AsyncScan> {
        self.store.scan().filter(|_| self.can_scan)
    }
}

/// Opens handles of one store in memory as `counted:`, and counts their reads; as `blind:` they cannot scan.
pub(crate) fn registry() -> (Registry, Arc<AtomicUsize>) {
    let (memory, reads) = (MemoryStore::new(), Arc::new(AtomicUsize::new(0)));
    let open = |can_scan| {
        let (memory, reads) = (memory.clone(), Arc::clone(&reads));
        move |_| {
            let store = Immediate::new(memory.clone());
            let counted = Counted { store, reads: Arc::clone(&reads), can_scan };
            async move { Ok(counted) }
        }
    };
    (Registry::new().with("counted", open(true)).with("blind", open(false)), reads)
}
