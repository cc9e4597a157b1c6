//! The contract, through both APIs.

use std::sync::Arc;
use std::time::Duration;

use stickystore_conformance::{Harness, Opened, Plant};
use stickystore_core::{Key, Subject, async_trait};
use stickystore_embedded::{AsyncEmbeddedStore, EmbeddedStore};

use crate::scratch::{Scratch, call};

/// Small, so that the cases about sweeping need not wait long.
const GRACE: Duration = Duration::from_millis(100);

/// Writes into the open file, and keeps its folder for as long as the case runs.
struct Planter(
    EmbeddedStore,
    #[expect(dead_code, reason = "removes the folder when it is dropped")] Arc<Scratch>,
);

#[async_trait]
impl Plant for Planter {
    async fn damaged_entry(&self, subject: &Subject, key: &Key) {
        self.0.plant(call(), subject, key, b"{\"v\":1,\"revision\":\xff").unwrap();
    }

    async fn foreign_user(&self, subject: &Subject) {
        self.0.plant_mark(call(), subject, b"somebody else's").unwrap();
    }
}

fn open() -> stickystore_core::Result<(EmbeddedStore, Planter)> {
    let scratch = Arc::new(Scratch::new());
    let store = EmbeddedStore::open(scratch.config().with_grace(GRACE))?;
    Ok((store.clone(), Planter(store, scratch)))
}

fn blocking() -> Harness {
    let open = || open().map(|(store, plant)| Opened::blocking(store).with_plant(plant));
    Harness::blocking("embedded", open).with_grace(GRACE)
}

fn asynchronous() -> Harness {
    let open = || async {
        let (store, plant) = open()?;
        Ok(Opened::asynchronous(AsyncEmbeddedStore::new(store)).with_plant(plant))
    };
    Harness::asynchronous("embedded", open).with_grace(GRACE)
}

stickystore_conformance::conformance_tests!(embedded_blocking, blocking);
stickystore_conformance::conformance_tests!(embedded_async, asynchronous);
