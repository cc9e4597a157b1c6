//! A store with a queue before it is still a store.

use std::time::Duration;

use stickystore_conformance::{Harness, Opened, Plant, conformance_tests};
use stickystore_core::memory::MemoryStore;
use stickystore_core::{Call, Immediate, Key, Subject, SystemClock, async_trait};
use stickystore_layers::write_behind::{Journal, WriteBehind};

/// Small, because the cases about sweeping wait for it.
const GRACE: Duration = Duration::from_millis(200);

struct Beneath(MemoryStore);

#[async_trait]
impl Plant for Beneath {
    async fn damaged_entry(&self, subject: &Subject, key: &Key) {
        self.0.plant(subject, key.clone(), "written by another program");
    }

    async fn foreign_user(&self, subject: &Subject) {
        self.0.plant_foreign(subject);
    }
}

fn asynchronous() -> Harness {
    let open = || async {
        let store = MemoryStore::builder().grace(GRACE).build();
        let journal = Journal::new(Immediate::new(MemoryStore::new()));
        let behind = WriteBehind::over(Immediate::new(store.clone())).journal(journal);
        let behind = behind.start(Call::within(&SystemClock, Duration::from_secs(60))).await?;
        Ok(Opened::asynchronous(behind).with_plant(Beneath(store)))
    };
    Harness::asynchronous("memory with a queue before it", open).with_grace(GRACE)
}

conformance_tests!(behind_async, asynchronous);
