//! A store inside the layer is still a store.

use std::time::Duration;

use stickystore_conformance::{Harness, Opened, Plant, conformance_tests};
use stickystore_core::memory::MemoryStore;
use stickystore_core::{Immediate, Key, Subject, async_trait};
use stickystore_layers::observe::{AsyncObserved, Observed};

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

fn asynchronous() -> Harness {
    let open = || async {
        let store = MemoryStore::builder().grace(GRACE).build();
        let observed = AsyncObserved::new(Immediate::new(store.clone()));
        Ok(Opened::asynchronous(observed).with_plant(Behind(store)))
    };
    Harness::asynchronous("observed memory", open).with_grace(GRACE)
}

fn blocking() -> Harness {
    let open = || {
        let store = MemoryStore::builder().grace(GRACE).build();
        Ok(Opened::blocking(Observed::new(store.clone())).with_plant(Behind(store)))
    };
    Harness::blocking("observed memory", open).with_grace(GRACE)
}

conformance_tests!(observed_async, asynchronous);
conformance_tests!(observed_blocking, blocking);
