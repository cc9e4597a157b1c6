//! A store inside the cache is still a store; and where two handles share a server, as it declares.

use std::time::Duration;

use stickystore_conformance::{Harness, Opened, Plant, conformance_tests};
use stickystore_core::memory::MemoryStore;
use stickystore_core::{AsyncStore, Blocking, Immediate, Key, Subject, async_trait};
use stickystore_layers::cache::{Cached, Config};

use crate::network::Network;

/// Small, because the cases about sweeping wait for it.
const GRACE: Duration = Duration::from_millis(200);

/// What the suite does behind the store's back is what another process does: it is seen when the age has passed, or when the
/// user is forgotten.
struct Behind<S>(MemoryStore, Cached<S>);

#[async_trait]
impl<S: AsyncStore> Plant for Behind<S> {
    async fn damaged_entry(&self, subject: &Subject, key: &Key) {
        self.0.plant(subject, key.clone(), "written by another program");
        self.1.forget(subject);
    }

    async fn foreign_user(&self, subject: &Subject) {
        self.0.plant_foreign(subject);
        self.1.forget(subject);
    }
}

fn asynchronous() -> Harness {
    let open = || async {
        let store = MemoryStore::builder().grace(GRACE).build();
        let cached = Cached::new(Immediate::new(store.clone()), &Config::new());
        Ok(Opened::asynchronous(cached.clone()).with_plant(Behind(store, cached)))
    };
    Harness::asynchronous("cached memory", open).with_grace(GRACE)
}

/// Hardly anything fits, so that nearly every read is a miss or pushes somebody out.
fn tiny() -> Harness {
    let open = || async {
        let store = MemoryStore::builder().grace(GRACE).build();
        let cached = Cached::new(Immediate::new(store.clone()), &Config::new().with_bytes(2_000));
        Ok(Opened::asynchronous(cached.clone()).with_plant(Behind(store, cached)))
    };
    Harness::asynchronous("memory in a tiny cache", open).with_grace(GRACE)
}

fn blocking() -> Harness {
    let open = || {
        let store = MemoryStore::builder().grace(GRACE).build();
        let cached = Cached::new(Immediate::new(store.clone()), &Config::new());
        let inside = cached.clone();
        let blocking = Blocking::open(move || async { Ok(inside) })?;
        Ok(Opened::blocking(blocking).with_plant(Behind(store, cached)))
    };
    Harness::blocking("cached memory", open).with_grace(GRACE)
}

/// Every handle has a cache of its own around one server.
fn shared() -> Harness {
    let server = MemoryStore::builder().grace(GRACE).build();
    let open = move || {
        let server = server.clone();
        async move {
            let cached = Cached::new(Network::to(&server), &Config::new());
            Ok(Opened::asynchronous(cached.clone()).with_plant(Behind(server, cached)))
        }
    };
    Harness::asynchronous("cached network", open).with_grace(GRACE)
}

conformance_tests!(cached_async, asynchronous);
conformance_tests!(cached_tiny, tiny);
conformance_tests!(cached_blocking, blocking);
conformance_tests!(cached_shared, shared);
