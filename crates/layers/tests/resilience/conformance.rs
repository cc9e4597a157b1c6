//! A store inside the layer is still a store.

use std::time::Duration;

use stickystore_conformance::{Harness, Opened, Plant, conformance_tests};
use stickystore_core::memory::MemoryStore;
use stickystore_core::{Immediate, Key, Subject, async_trait};
use stickystore_layers::resilience::{Config, Resilient};

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
        let resilient = Resilient::new(Immediate::new(store.clone()), &Config::new());
        Ok(Opened::asynchronous(resilient).with_plant(Behind(store)))
    };
    Harness::asynchronous("resilient memory", open).with_grace(GRACE)
}

conformance_tests!(resilient_async, asynchronous);
