//! The service with a ledger: what a set of a record that carries no proof may replace then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    AsyncStore, Call, Entry, Erase, ErrorKind, Expiry, Immediate, Key, Outcome, Profile, Read, Result,
    StoreExt as _, StoreInfo, Value, Write, async_trait,
};
use stickystore_services::vwo::{AsyncUserStorageService, Ledger, UserStorageService};
use stickystore_services::{SaveReport, Saved, Settings, Unproven, Why};

use crate::bench::{Bench, HOUR, Hooked, RED, kept, record, stored};

/// A bench whose service has a ledger.
fn bench() -> Bench {
    bench_with(|settings| settings)
}

fn bench_with(adjust: impl FnOnce(Settings) -> Settings) -> Bench {
    let bench = Bench::with(adjust);
    let service = bench.service.clone().with_ledger(Ledger::new(Ledger::WINDOW).unwrap());
    Bench { service, ..bench }
}

fn is_replaced(report: &SaveReport) -> bool {
    matches!(report.get("c1"), Some(Saved::Replaced { .. }))
}

fn ambiguous(seconds: u64) -> Why {
    Why::Ambiguous { age: Duration::from_secs(seconds) }
}

/// Another process writes this, whatever stands there.
fn put(bench: &Bench, json: &str) {
    let entry = Entry::new(Value::new(json).unwrap(), Expiry::Never);
    bench.store.inner.put(bench.call(), &bench.subject(), Key::new("c1").unwrap(), entry).unwrap();
}

fn remove(bench: &Bench) {
    bench.store.inner.remove(bench.call(), &bench.subject(), Key::new("c1").unwrap()).unwrap();
}

/// A get of which the store says that it failed.
fn fail_a_get(bench: &Bench) {
    bench.store.hooks.lock().unwrap().fail_reads = true;
    assert_eq!(bench.service.get("ann", "c1").unwrap_err().kind(), ErrorKind::Unavailable);
    bench.store.hooks.lock().unwrap().fail_reads = false;
}

#[test]
fn a_set_replaces_what_every_get_was_handed() {
    let bench = bench();
    put(&bench, r#"{"variationName":"red","goalIdentifier":"g1"}"#);
    bench.get();
    bench.get();
    assert!(is_replaced(&bench.set_bare("blue", "g2")));
    assert_eq!(bench.stored(), stored("blue", "g1 g2"));
}

#[test]
fn a_set_without_a_get_only_adds() {
    let bench = bench();
    put(&bench, RED);
    assert_eq!(kept(&bench.set_bare("blue", "")).0, Why::Unproven);
    remove(&bench);
    assert!(matches!(bench.set_bare("blue", "").get("c1"), Some(Saved::Inserted)));
}

#[test]
fn t1_a_set_is_not_charged_to_the_get_that_came_first() {
    let bench = bench();
    assert_eq!(bench.service.get("ann", "c1").unwrap(), None, "r2");
    put(&bench, RED);
    bench.get();
    assert_eq!(kept(&bench.set_bare("blue", "")), (ambiguous(0), Some(RED.into())), "r1");
    assert_eq!(kept(&bench.set_bare("blue", "")), (ambiguous(0), Some(RED.into())), "r2");
    assert_eq!(bench.stored(), stored("red", ""));
}

#[test]
fn t2_a_set_after_a_failed_get_is_not_charged_to_one_that_was_answered() {
    let bench = bench();
    put(&bench, RED);
    fail_a_get(&bench);
    bench.get();
    assert_eq!(kept(&bench.set_bare("blue", "")), (ambiguous(0), Some(RED.into())));
}

#[test]
fn t2_nor_after_one_that_found_a_damaged_entry_or_could_not_list_all() {
    for all in [false, true] {
        let bench = bench();
        put(&bench, RED);
        if all {
            bench.store.hooks.lock().unwrap().fail_reads = true;
            assert!(bench.service.records("ann").is_err());
            bench.store.hooks.lock().unwrap().fail_reads = false;
        } else {
            fail_a_get(&bench);
        }
        bench.service.records("ann").unwrap();
        assert_eq!(kept(&bench.set_bare("blue", "")).0, ambiguous(0), "all: {all}");
    }
}

#[test]
fn t4_a_failed_get_blocks_for_as_long_as_its_decision_may_last() {
    let bench = bench();
    put(&bench, RED);
    fail_a_get(&bench);
    bench.clock.advance(Ledger::WINDOW);
    bench.get();
    assert_eq!(kept(&bench.set_bare("blue", "")).0, ambiguous(10));
    bench.clock.advance(Duration::from_millis(1));
    assert!(is_replaced(&bench.set_bare("blue", "")));
}

#[test]
fn t7_two_campaign_files_do_not_replace_each_other_for_ever() {
    let bench = bench();
    put(&bench, RED);
    bench.get();
    assert!(is_replaced(&bench.set_bare("blue", "")));
    bench.clock.advance(Ledger::WINDOW + Duration::from_millis(1));
    bench.get();
    assert_eq!(kept(&bench.set_bare("red", "")).0, Why::War);
}

#[test]
fn t8_the_same_value_under_another_revision_is_not_replaced() {
    let bench = bench();
    put(&bench, RED);
    bench.get();
    put(&bench, RED);
    assert_eq!(kept(&bench.set_bare("blue", "")), (Why::Raced, Some(RED.into())));
}

#[test]
fn t8_nor_if_it_is_written_between_our_read_and_our_write() {
    let bench = bench();
    put(&bench, RED);
    bench.get();
    let (store, call, subject) = (bench.store.inner.clone(), bench.call(), bench.subject());
    bench.store.before_a_write(move || {
        let entry = Entry::new(Value::new(RED).unwrap(), Expiry::Never);
        store.put(call, &subject, Key::new("c1").unwrap(), entry).unwrap();
    });
    assert_eq!(kept(&bench.set_bare("blue", "")), (Why::Raced, Some(RED.into())));
}

#[test]
fn t9_a_set_whose_get_was_before_the_erasure_brings_nothing_back() {
    for (found, goals) in [(false, ""), (false, "g1"), (true, ""), (true, "g1")] {
        let bench = bench();
        if found {
            put(&bench, RED);
        }
        bench.service.get("ann", "c1").unwrap();
        bench.erase();
        assert_eq!(
            kept(&bench.set_bare("blue", goals)),
            (Why::Erased, None),
            "found {found}, goals {goals:?}"
        );
        assert_eq!(bench.stored(), None);
    }
}

#[test]
fn t9_a_set_whose_get_was_after_it_is_not_hindered() {
    let bench = bench();
    bench.erase();
    assert_eq!(bench.service.get("ann", "c1").unwrap(), None);
    assert!(matches!(bench.set_bare("blue", "g1").get("c1"), Some(Saved::Inserted)));
}

#[test]
fn t11_an_ambiguous_set_says_for_how_long_and_passes_a_window_later() {
    let bench = bench();
    put(&bench, RED);
    bench.get();
    fail_a_get(&bench);
    bench.clock.advance(Duration::from_millis(2_500));
    let report = bench.set_bare("blue", "g1");
    assert_eq!(
        report.to_json(),
        r#"{"entries":{"c1":{"outcome":"kept","why":"ambiguous","age_ms":2500,"winner":{"variationName":"red","goalIdentifier":"g1"},"goals_added":["g1"]}}}"#
    );
    bench.clock.advance(Ledger::WINDOW + Duration::from_millis(1));
    bench.get();
    assert!(is_replaced(&bench.set_bare("blue", "")));
    assert_eq!(bench.stored(), stored("blue", "g1"));
}

#[test]
fn what_a_get_had_found_is_not_made_anew() {
    for by in ["removal", "expiry"] {
        let bench = bench();
        bench.set_bare("red", "g1");
        bench.clock.advance(HOUR - Duration::from_secs(1));
        bench.get();
        match by {
            "removal" => remove(&bench),
            _ => bench.clock.advance(Duration::from_secs(1)),
        }
        assert_eq!(kept(&bench.set_bare("red", "g2")), (Why::Gone, None), "by {by}");
        fail_a_get(&bench);
        assert_eq!(kept(&bench.set_bare("blue", "")), (ambiguous(0), None), "by {by}");
        assert_eq!(bench.stored(), None);
    }
}

#[test]
fn a_record_that_carries_its_own_proof_needs_no_ledger() {
    let bench = bench();
    put(&bench, RED);
    let mut read = bench.get();
    fail_a_get(&bench);
    read.set_variation_name("blue");
    assert!(is_replaced(&bench.service.set(&read).unwrap()));
}

#[test]
fn the_policy_for_what_nothing_proves_is_that_for_what_is_ambiguous() {
    let bench = bench_with(|settings| settings.with_unproven(Unproven::TakeNew));
    put(&bench, RED);
    bench.get();
    fail_a_get(&bench);
    assert!(is_replaced(&bench.set_bare("blue", "")));
    let bench = bench_with(|settings| settings.with_unproven(Unproven::Error));
    put(&bench, RED);
    bench.get();
    fail_a_get(&bench);
    assert!(matches!(bench.set_bare("blue", "").get("c1"), Some(Saved::Failed { .. })));
}

#[test]
fn a_window_has_bounds() {
    for window in [Duration::ZERO, Ledger::MAX_WINDOW + Duration::from_millis(1)] {
        let error = Ledger::new(window).unwrap_err();
        assert!(error.context().contains("at least 1 ms and at most 300 s"), "{error}");
    }
    assert_eq!(format!("{:?}", Ledger::new(Ledger::WINDOW).unwrap()), "Ledger { window: 10s, users: 0, .. }");
}

/// A store that never answers a read while it is told to hang.
#[derive(Debug, Clone)]
struct Hanging {
    inner: Immediate<MemoryStore>,
    hangs: Arc<AtomicBool>,
}

#[async_trait]
impl AsyncStore for Hanging {
    fn info(&self) -> &StoreInfo {
        self.inner.info()
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.inner.read(call, reads).await
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        self.inner.write(call, writes).await
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        self.inner.erase(call, erases).await
    }

    async fn ping(&self, call: Call) -> Result<()> {
        self.inner.ping(call).await
    }

    async fn close(&self, call: Call) -> Result<()> {
        self.inner.close(call).await
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_get_that_is_dropped_has_failed_for_both_faces_that_share_the_ledger() {
    let (bench, ledger) = (Bench::new(), Ledger::new(Ledger::WINDOW).unwrap());
    let blocking: UserStorageService<Hooked> = bench.service.clone().with_ledger(ledger.clone());
    let hangs = Arc::new(AtomicBool::new(true));
    let store = Hanging { inner: Immediate::new(bench.store.inner.clone()), hangs: Arc::clone(&hangs) };
    let service = AsyncUserStorageService::new(store, bench.settings.clone()).with_ledger(ledger);
    put(&bench, RED);
    {
        let mut get = Box::pin(service.get("ann", "c1"));
        std::future::poll_fn(|context| {
            assert!(get.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
    }
    hangs.store(false, Ordering::SeqCst);
    blocking.get("ann", "c1").unwrap();
    let report = service.set(&record("blue", "")).await.unwrap();
    assert_eq!(kept(&report).0, ambiguous(0));
    bench.clock.advance(Ledger::WINDOW + Duration::from_millis(1));
    service.get("ann", "c1").await.unwrap();
    assert!(is_replaced(&blocking.set(&record("blue", "")).unwrap()));
}
