//! The async face, as JavaScript's SDK 6 uses it: a map that is awaited before the decision, a save that nobody awaits.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    AsyncStore, Call, Erase, Immediate, Namespace, Outcome, Profile, Read, Result, Store as _, StoreInfo,
    Write, async_trait,
};
use stickystore_services::optimizely::{AsyncUserProfileService, UserProfile};
use stickystore_services::{Saved, Settings, Unproven};

use crate::bench::with;

/// A store whose writes happen at once or after they were given up, as told; nobody hears of them.
#[derive(Debug, Clone, Default)]
struct Silent {
    inner: MemoryStore,
    lands_first: bool,
    sent: Arc<Mutex<Vec<Sent>>>,
}

type Sent = (Call, Vec<Write>);

#[async_trait]
impl AsyncStore for Silent {
    fn info(&self) -> &StoreInfo {
        self.inner.info()
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        self.inner.read(call, reads)
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        self.sent.lock().unwrap().push((call, writes.to_vec()));
        if self.lands_first {
            self.inner.write(call, writes);
        }
        std::future::pending().await
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        self.inner.erase(call, erases)
    }

    async fn ping(&self, call: Call) -> Result<()> {
        self.inner.ping(call)
    }

    async fn close(&self, call: Call) -> Result<()> {
        self.inner.close(call)
    }
}

fn settings() -> Settings {
    Settings::new(Namespace::new("shop").unwrap())
}

fn service(inner: &MemoryStore) -> AsyncUserProfileService<Immediate<MemoryStore>> {
    AsyncUserProfileService::new(Immediate::new(inner.clone()), settings())
}

fn profile(map: &[(&str, &str)]) -> UserProfile {
    map.iter().fold(UserProfile::new("ann"), |profile, (experiment, id)| with(profile, experiment, id))
}

#[tokio::test]
async fn an_awaited_map_proves_what_it_read() {
    let service = service(&MemoryStore::new());
    service.save(&profile(&[("e1", "A")])).await.unwrap();
    let map = service.bucket_map_json("ann").await.unwrap();
    assert_eq!(service.bucket_map("ann").await.unwrap().variation("e1"), Some("A"));
    let saved = format!(r#"{{"user_id":"ann","experiment_bucket_map":{map}}}"#);
    let saved = with(UserProfile::parse(&saved).unwrap(), "e1", "B").to_json();
    let report = service.save_json(&saved).await.unwrap();
    assert!(matches!(report.get("e1"), Some(Saved::Replaced { .. })), "{report:?}");
}

#[tokio::test]
async fn who_only_tracks_is_told_of_nothing_and_only_adds() {
    let service = service(&MemoryStore::new());
    service.save(&profile(&[("e1", "A")])).await.unwrap();
    let tracking = service.clone().tracking_only();
    assert_eq!(tracking.lookup_json("ann").await.unwrap(), "null");
    let report = tracking.save(&profile(&[("e1", "B"), ("e2", "B")])).await.unwrap();
    assert!(matches!(report.get("e1"), Some(Saved::Kept { .. })), "{report:?}");
    assert!(matches!(report.get("e2"), Some(Saved::Inserted)), "{report:?}");
}

#[tokio::test]
async fn take_new_replaces_what_stands_there() {
    let settings = settings().with_unproven(Unproven::TakeNew);
    let service = AsyncUserProfileService::new(Immediate::new(MemoryStore::new()), settings);
    service.save(&profile(&[("e1", "A")])).await.unwrap();
    let report = service.save(&profile(&[("e1", "B")])).await.unwrap();
    assert!(matches!(report.get("e1"), Some(Saved::Replaced { .. })), "{report:?}");
}

/// A save that is given up while its write is under way, whether the write lands before or after that.
#[tokio::test]
async fn a_save_that_is_given_up_destroys_nothing_and_the_next_one_goes_on() {
    for lands_first in [true, false] {
        let store = Silent { lands_first, ..Silent::default() };
        let others = service(&store.inner);
        others.save(&profile(&[("e1", "A"), ("e2", "A")])).await.unwrap();
        let read = with(others.lookup("ann").await.unwrap(), "e1", "B");
        {
            let silent = AsyncUserProfileService::new(store.clone(), settings());
            let mut save = pin!(silent.save(&read));
            assert!(save.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        let sent = std::mem::take(&mut *store.sent.lock().unwrap());
        assert_eq!(sent.len(), 1, "it was under way");
        if !lands_first {
            // Somebody else is faster; then the given-up write lands.
            let read = with(others.lookup("ann").await.unwrap(), "e1", "C");
            others.save(&read).await.unwrap();
            for (call, writes) in &sent {
                store.inner.write(*call, writes);
            }
        }
        let now = others.lookup("ann").await.unwrap();
        let expected = if lands_first { "B" } else { "C" };
        assert_eq!((now.variation("e1"), now.variation("e2")), (Some(expected), Some("A")));
        let report = others.save(&with(now, "e3", "new")).await.unwrap();
        assert!(matches!(report.get("e3"), Some(Saved::Inserted)), "{report:?}");
    }
}
