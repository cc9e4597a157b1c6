//! A store inside the layer is still a store, also where nearly every call has to wait for another.

use std::time::Duration;

use stickystore_conformance::{Harness, Opened, Plant, conformance_tests};
use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    AsyncStore, Call, Erase, Finding, Key, Outcome, Profile, Read, Result, Store as _, StoreInfo, Subject,
    Write, async_trait,
};
use stickystore_layers::coalesce::{Bounds, Coalesced};

/// Small, because the cases about sweeping wait for it.
const GRACE: Duration = Duration::from_millis(200);

/// The memory store, except that others have their turn before a call and before its answer.
#[derive(Debug, Clone)]
struct Far(MemoryStore);

#[async_trait]
impl AsyncStore for Far {
    fn info(&self) -> &StoreInfo {
        self.0.info()
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        tokio::task::yield_now().await;
        let answers = self.0.read(call, reads);
        tokio::task::yield_now().await;
        answers
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        tokio::task::yield_now().await;
        let answers = self.0.write(call, writes);
        tokio::task::yield_now().await;
        answers
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        tokio::task::yield_now().await;
        let answers = self.0.erase(call, erases);
        tokio::task::yield_now().await;
        answers
    }

    async fn ping(&self, call: Call) -> Result<()> {
        self.0.ping(call)
    }

    async fn close(&self, call: Call) -> Result<()> {
        self.0.close(call)
    }

    async fn diagnose(&self, call: Call) -> Vec<Finding> {
        self.0.diagnose(call)
    }
}

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

fn harness(name: &str, bounds: Bounds) -> Harness {
    let open = move || async move {
        let store = MemoryStore::builder().grace(GRACE).build();
        let coalesced = Coalesced::with(Far(store.clone()), bounds);
        Ok(Opened::asynchronous(coalesced).with_plant(Behind(store)))
    };
    Harness::asynchronous(name, open).with_grace(GRACE)
}

fn as_it_comes() -> Harness {
    harness("coalesced memory", Bounds::default())
}

fn one_in_flight() -> Harness {
    harness("coalesced memory, one in flight", Bounds::default().with_in_flight(1))
}

fn small_batches() -> Harness {
    harness(
        "coalesced memory, small batches",
        Bounds::default().with_in_flight(2).with_users(3).with_bytes(64),
    )
}

conformance_tests!(coalesced, as_it_comes);
conformance_tests!(coalesced_one_in_flight, one_in_flight);
conformance_tests!(coalesced_small_batches, small_batches);
