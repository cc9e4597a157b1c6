//! A lookup that fails and answers as of an unknown user: whatever is saved after it, what stands stays.
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    Call, Erase, Error, ErrorKind, Namespace, Outcome, Profile, Read, Result, Store, StoreInfo, Write,
};
use stickystore_services::growthbook::StickyBucketService;
use stickystore_services::optimizely::UserProfileService;
use stickystore_services::vwo::{Dialect, UserStorageService};
use stickystore_services::{FailedLookup, Settings, Unproven};

/// A store whose reads fail while it is told so.
#[derive(Debug, Clone)]
struct Failing(MemoryStore, Arc<AtomicBool>, ErrorKind);

impl Store for Failing {
    fn info(&self) -> &StoreInfo {
        self.0.info()
    }

    fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        match self.1.load(Ordering::SeqCst) {
            true => vec![Err(Error::new(self.2, "told to fail")); reads.len()],
            false => self.0.read(call, reads),
        }
    }

    fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        self.0.write(call, writes)
    }

    fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        self.0.erase(call, erases)
    }

    fn ping(&self, call: Call) -> Result<()> {
        self.0.ping(call)
    }

    fn close(&self, call: Call) -> Result<()> {
        self.0.close(call)
    }
}

fn failing(kind: ErrorKind) -> Failing {
    Failing(MemoryStore::new(), Arc::default(), kind)
}

impl Failing {
    fn fail(&self, is_failing: bool) {
        self.1.store(is_failing, Ordering::SeqCst);
    }
}

fn settings() -> Settings {
    Settings::new(Namespace::new("n").unwrap())
        .with_deadline(Duration::from_secs(60))
        .with_failed_lookup(FailedLookup::Absent)
}

fn map(variation: &str) -> String {
    format!(r#"{{"user_id":"ann","experiment_bucket_map":{{"e":{{"variation_id":"{variation}"}}}}}}"#)
}

#[test]
fn optimizelys_save_after_it_only_adds_whatever_is_wanted_of_unproven_entries() {
    for unproven in [Unproven::KeepStored, Unproven::TakeNew] {
        let store = failing(ErrorKind::Timeout);
        let service = UserProfileService::new(store.clone(), settings().with_unproven(unproven));
        service.save_json(&map("red")).unwrap();
        store.fail(true);
        let mut profile = service.lookup("ann").unwrap();
        assert_eq!(profile.variation("e"), None, "nothing is known");
        assert!(!service.lookup_json("ann").unwrap().contains("sr1."), "and nothing is proved");
        store.fail(false);
        profile.set_variation("e", "blue");
        profile.set_variation("new", "green");
        let report = service.save(&profile).unwrap();
        assert!(
            report.to_json().contains(r#""why":"unproven","winner":{"variation_id":"red"}"#),
            "{}",
            report.to_json()
        );
        assert!(report.to_json().contains(r#""new":{"outcome":"inserted"}"#), "{}", report.to_json());
        assert_eq!(service.lookup("ann").unwrap().variation("e"), Some("red"));
    }
}

#[test]
fn what_is_saved_after_it_waits_for_an_erase_mark() {
    let store = failing(ErrorKind::Unavailable);
    let service = UserProfileService::new(store.clone(), settings());
    store.fail(true);
    let mut profile = service.lookup("ann").unwrap();
    let call = settings().call();
    store.erase(call, &[Erase::new(settings().subject("ann").unwrap(), call.now)]);
    profile.set_variation("e", "blue");
    let report = service.save(&profile).unwrap();
    assert!(report.to_json().contains(r#""why":"erased""#), "{}", report.to_json());
}

#[test]
fn vwo_and_growthbook_answer_the_same_and_only_add() {
    let store = failing(ErrorKind::Unavailable);
    let vwo = UserStorageService::new(store.clone(), settings().with_unproven(Unproven::TakeNew));
    let growthbook = StickyBucketService::new(store.clone(), settings());
    growthbook.save("id", "ann", [("button__0", "1")]).unwrap();
    store.fail(true);
    assert_eq!(vwo.get_json("ann", "c", Dialect::Node).unwrap(), "null");
    assert!(growthbook.assignments("id", "ann").unwrap().is_empty());
    store.fail(false);
    growthbook.save("id", "ann", [("button__0", "2")]).unwrap();
    assert_eq!(growthbook.assignments("id", "ann").unwrap().values().collect::<Vec<_>>(), ["1"]);
}

#[test]
fn what_is_no_failure_to_answer_is_an_error_all_the_same() {
    for kind in [ErrorKind::Denied, ErrorKind::Corrupt, ErrorKind::Closed] {
        let store = failing(kind);
        store.fail(true);
        let service = UserProfileService::new(store, settings());
        assert_eq!(service.lookup("ann").unwrap_err().kind(), kind);
    }
    let store = failing(ErrorKind::Timeout);
    store.fail(true);
    let service = UserProfileService::new(store, settings().with_failed_lookup(FailedLookup::Error));
    assert_eq!(service.lookup("ann").unwrap_err().kind(), ErrorKind::Timeout);
}
