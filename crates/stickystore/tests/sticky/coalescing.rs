//! Stores whose URL says `coalesce=on`. What ours do by default is tested beside `registry::around`.

use std::sync::{Arc, Mutex};

use stickystore::core::memory::MemoryStore;
use stickystore::core::{
    AsyncStore, Call, Erase, Outcome, Profile, Read, Result, Store as _, StoreInfo, Write, async_trait,
};
use stickystore::{ErrorKind, Registry};
use tokio::sync::Semaphore;

/// Answers nobody before it is opened; notes how many users each read has.
#[derive(Debug, Clone)]
struct Gated {
    memory: MemoryStore,
    gate: Arc<Semaphore>,
    seen: Arc<Mutex<Vec<usize>>>,
}

#[async_trait]
impl AsyncStore for Gated {
    fn info(&self) -> &StoreInfo {
        self.memory.info()
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        self.seen.lock().unwrap().push(reads.len());
        drop(self.gate.acquire().await);
        self.memory.read(call, reads)
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        self.memory.write(call, writes)
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        self.memory.erase(call, erases)
    }

    async fn ping(&self, call: Call) -> Result<()> {
        self.memory.ping(call)
    }

    async fn close(&self, call: Call) -> Result<()> {
        self.memory.close(call)
    }
}

/// How many users each read of ten callers had.
async fn ten_loads(url: &str) -> Vec<usize> {
    let gated = Gated { memory: MemoryStore::new(), gate: Arc::new(Semaphore::new(0)), seen: Arc::default() };
    let store = gated.clone();
    let registry = Registry::new().with("theirs", move |_| {
        let store = store.clone();
        async move { Ok(store) }
    });
    let sticky = registry.open_async(url).await.unwrap();
    let loads: Vec<_> = (0..10)
        .map(|user| {
            let sticky = sticky.clone();
            tokio::spawn(async move { sticky.load(format!("user {user}").as_str()).await })
        })
        .collect();
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    gated.gate.add_permits(100);
    for load in loads {
        load.await.unwrap().unwrap();
    }
    gated.seen.lock().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn concurrent_calls_leave_together_where_the_url_says_so() {
    assert_eq!(ten_loads("theirs:?namespace=n&deadline=60s&coalesce=on").await, [1, 1, 8]);
}

#[tokio::test(start_paused = true)]
async fn each_goes_by_itself_where_it_does_not() {
    assert_eq!(ten_loads("theirs:?namespace=n&deadline=60s").await, [1; 10]);
    assert_eq!(ten_loads("theirs:?namespace=n&deadline=60s&coalesce=off").await, [1; 10]);
}

#[test]
fn the_blocking_api_has_the_layer_too_and_errors_of_opening_stay_the_stores() {
    let sticky = stickystore::open("memory:?namespace=n&coalesce=on").unwrap();
    assert_eq!(sticky.assign("ann", "button", || "red").unwrap().text().as_deref(), Some("red"));
    let error = stickystore::open("memory:?namespace=n&coalesce=on&gruce=1s").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.context().contains("did you mean grace?"), "{error}");
}
