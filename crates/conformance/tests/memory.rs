//! The memory store under the suite, through both APIs.

use std::time::Duration;

use stickystore_conformance::{Harness, Opened, Plant, conformance_tests};
use stickystore_core::memory::MemoryStore;
use stickystore_core::{Immediate, Key, Subject, async_trait};

/// Small, because the cases about sweeping wait for it.
const GRACE: Duration = Duration::from_millis(200);

struct Behind(MemoryStore);

#[async_trait]
impl Plant for Behind {
    async fn damaged_entry(&self, subject: &Subject, key: &Key) {
        self.0.plant(subject, key.clone(), "written by another program");
    }

    async fn foreign_user(&self, subject: &Subject) {
        self.0.plant_foreign(subject);
    }
}

fn store() -> MemoryStore {
    MemoryStore::builder().grace(GRACE).build()
}

fn asynchronous() -> Harness {
    let open = || async {
        let store = store();
        Ok(Opened::asynchronous(Immediate::new(store.clone())).with_plant(Behind(store)))
    };
    Harness::asynchronous("memory", open).with_grace(GRACE)
}

fn blocking() -> Harness {
    let open = || {
        let store = store();
        Ok(Opened::blocking(store.clone()).with_plant(Behind(store)))
    };
    Harness::blocking("memory", open).with_grace(GRACE)
}

conformance_tests!(memory_async, asynchronous);
conformance_tests!(memory_blocking, blocking);
