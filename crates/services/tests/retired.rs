//! Retired values: given to nobody, replaced by the next save, whether or not its caller had read them.
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

use std::time::{Duration, Instant};

use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    Call, Clock as _, Erase, Immediate, ManualClock, Namespace, StoreExt as _, Subject, UnixMillis, UserId,
};
use stickystore_services::assign::{How, assign};
use stickystore_services::growthbook::{AsyncStickyBucketService, StickyBucketService, user_id};
use stickystore_services::optimizely::{UserProfile, UserProfileService};
use stickystore_services::session::Session;
use stickystore_services::vwo::{Record, UserStorageService};
use stickystore_services::{Receipts, SaveReport, Saved, Settings, Unproven, Why};

/// A store in which ann has the retired value of everything.
struct Bench {
    store: MemoryStore,
    clock: ManualClock,
    before: Settings,
    settings: Settings,
}

impl Bench {
    fn new() -> Self {
        let clock = ManualClock::new(UnixMillis::new(1_700_000_000_000).unwrap());
        let before = Settings::new(Namespace::new("shop").unwrap())
            .with_clock(clock.clone())
            .with_deadline(Duration::from_secs(60));
        let retired = ["e1", "c1", "button__0", "k"];
        let settings =
            retired.into_iter().fold(before.clone(), |settings, key| settings.with_retired(key, "old"));
        let bench = Self { store: MemoryStore::new(), clock, before, settings };
        bench.optimizely(&bench.before).save(&profile("old")).unwrap();
        bench.vwo(&bench.before).set(&record("old", "g1")).unwrap();
        bench.growthbook(&bench.before).save("id", "ann", [("button__0", "old")]).unwrap();
        assign(&bench.store, &bench.before, "ann", "k", || "old").unwrap();
        bench
    }

    fn optimizely(&self, settings: &Settings) -> UserProfileService<MemoryStore> {
        UserProfileService::new(self.store.clone(), settings.clone())
    }

    fn vwo(&self, settings: &Settings) -> UserStorageService<MemoryStore> {
        UserStorageService::new(self.store.clone(), settings.clone())
    }

    fn growthbook(&self, settings: &Settings) -> StickyBucketService<MemoryStore> {
        StickyBucketService::new(self.store.clone(), settings.clone())
    }

    fn session(&self) -> Session<MemoryStore> {
        let growthbook = user_id("id", "ann");
        Session::begin(self.store.clone(), self.settings.clone(), ["ann", &growthbook]).unwrap()
    }

    /// Leaves an erase mark, and what stood before it.
    fn erase_and_restore(&self, user: &str) {
        let subject = Subject::new(Namespace::new("shop").unwrap(), UserId::new(user).unwrap());
        let call = Call::new(self.clock.now(), Instant::now() + Duration::from_secs(5));
        let stood = self.store.load(call, &subject).unwrap();
        self.store.erase_one(call, Erase::new(subject.clone(), self.clock.now())).unwrap();
        for (key, entry) in stood {
            self.store.put(call, &subject, key, entry).unwrap();
        }
    }

    fn variation(&self) -> Option<String> {
        Some(self.optimizely(&self.before).lookup("ann").unwrap().variation("e1")?.to_owned())
    }
}

fn profile(variation: &str) -> UserProfile {
    let mut profile = UserProfile::new("ann");
    profile.set_variation("e1", variation);
    profile
}

fn record(variation: &str, goals: &str) -> Record {
    let mut record = Record::new("ann", "c1", variation);
    goals.split_whitespace().for_each(|goal| record.add_goal(goal));
    record
}

fn is_replaced(report: &SaveReport, key: &str) -> bool {
    matches!(report.get(key), Some(Saved::Replaced { old }) if old.as_str().contains("old"))
}

#[test]
fn optimizely_hands_it_out_in_the_receipt_only_and_the_next_save_replaces_it() {
    let bench = Bench::new();
    let service = bench.optimizely(&bench.settings);
    let mut looked_up = UserProfile::parse(&service.lookup_json("ann").unwrap()).unwrap();
    assert!(looked_up.is_empty());
    assert_eq!(service.bucket_map("ann").unwrap().variation("e1"), None);
    looked_up.set_variation("e1", "new");
    assert!(is_replaced(&service.save_json(&looked_up.to_json()).unwrap(), "e1"));
    assert_eq!(bench.variation().as_deref(), Some("new"));
}

#[test]
fn an_unproved_save_of_optimizelys_that_meets_it_replaces_it_whatever_the_policy() {
    for unproven in [Unproven::KeepStored, Unproven::TakeNew, Unproven::Error] {
        let bench = Bench::new();
        let settings = bench.settings.clone().with_unproven(unproven).with_receipts(Receipts::Off);
        let report = bench.optimizely(&settings).save(&profile("new")).unwrap();
        assert!(is_replaced(&report, "e1"), "{unproven:?}: {}", report.to_json());
    }
}

#[test]
fn a_stale_proof_of_it_is_a_lost_race_and_the_next_decision_heals_it() {
    let bench = Bench::new();
    let service = bench.optimizely(&bench.settings);
    let mut early = service.lookup("ann").unwrap();
    // The same value again, under another revision.
    let call = Call::new(bench.clock.now(), Instant::now() + Duration::from_secs(5));
    let subject = Subject::new(Namespace::new("shop").unwrap(), UserId::new("ann").unwrap());
    bench.store.remove(call, &subject, "e1".try_into().unwrap()).unwrap();
    bench.optimizely(&bench.before).save(&profile("old")).unwrap();
    early.set_variation("e1", "new");
    let report = service.save(&early).unwrap();
    assert!(matches!(report.get("e1"), Some(Saved::Kept { why: Why::Raced, .. })), "what was read is named");
    let mut next = service.lookup("ann").unwrap();
    next.set_variation("e1", "new");
    assert!(is_replaced(&service.save(&next).unwrap(), "e1"), "and the next decision heals it");
}

#[test]
fn what_is_not_retired_stays_for_who_has_not_read_it() {
    let bench = Bench::new();
    bench.optimizely(&bench.settings).save(&profile("new")).unwrap();
    let report = bench.optimizely(&bench.settings).save(&profile("other")).unwrap();
    assert!(matches!(report.get("e1"), Some(Saved::Kept { why: Why::Unproven, .. })));
    let report = bench.optimizely(&bench.before).save(&profile("other")).unwrap();
    assert!(matches!(report.get("e1"), Some(Saved::Kept { .. })));
}

#[test]
fn vwo_hands_it_out_to_nobody_and_the_next_set_replaces_it_and_keeps_the_goals() {
    for goals in ["", "g2"] {
        let bench = Bench::new();
        let service = bench.vwo(&bench.settings);
        assert_eq!(service.get("ann", "c1").unwrap(), None);
        assert_eq!(service.records("ann").unwrap().iter().len(), 0);
        let report = service.set(&record("new", goals)).unwrap();
        assert!(is_replaced(&report, "c1"), "{}", report.to_json());
        let stands = service.get("ann", "c1").unwrap().unwrap();
        assert_eq!(stands.goals().collect::<Vec<_>>().join(" "), format!("g1 {goals}").trim());
    }
}

#[test]
fn a_goal_of_a_retired_record_is_still_added_to_it() {
    let bench = Bench::new();
    let report = bench.vwo(&bench.settings).set(&record("old", "g2")).unwrap();
    assert_eq!(report.goals_added("c1"), ["g2"]);
}

#[test]
fn growthbook_hands_it_out_to_nobody_and_the_next_save_replaces_it() {
    let bench = Bench::new();
    let service = bench.growthbook(&bench.settings);
    let document = service.document("id", "ann").unwrap();
    assert!(document.assignments().is_empty());
    assert_eq!(document.foreign(), 0);
    let report = service.save("id", "ann", [("button__0", "new"), ("other__0", "1")]).unwrap();
    assert!(is_replaced(&report, "button__0"));
    assert!(matches!(report.get("other__0"), Some(Saved::Inserted)));
    assert_eq!(service.assignments("id", "ann").unwrap().get("button__0").unwrap(), "new");
}

#[tokio::test(flavor = "current_thread")]
async fn the_async_growthbook_does_the_same() {
    let bench = Bench::new();
    let service = AsyncStickyBucketService::new(Immediate::new(bench.store.clone()), bench.settings.clone());
    let report = service.save("id", "ann", [("button__0", "new")]).await.unwrap();
    assert!(is_replaced(&report, "button__0"));
}

#[test]
fn assign_computes_anew() {
    let bench = Bench::new();
    let assigned = assign(&bench.store, &bench.settings, "ann", "k", || "new").unwrap();
    assert_eq!((assigned.text().unwrap().into_owned(), assigned.how), ("new".into(), How::New));
    let later = assign(&bench.store, &bench.settings, "ann", "k", || "newer").unwrap();
    assert_eq!((later.text().unwrap().into_owned(), later.how), ("new".into(), How::Existing));
}

#[test]
fn who_decides_for_it_once_more_is_answered_what_stands() {
    let bench = Bench::new();
    let assigned = assign(&bench.store, &bench.settings, "ann", "k", || "old").unwrap();
    assert_eq!((assigned.text().unwrap().into_owned(), assigned.how), ("old".into(), How::Existing));
    let report = bench.optimizely(&bench.settings).save(&profile("old")).unwrap();
    assert!(matches!(report.get("e1"), Some(Saved::Unchanged)));
    let report = bench.growthbook(&bench.settings).save("id", "ann", [("button__0", "old")]).unwrap();
    assert!(matches!(report.get("button__0"), Some(Saved::Unchanged)));
}

#[test]
fn it_does_not_come_back_while_the_war_rule_remembers_it() {
    let bench = Bench::new();
    assign(&bench.store, &bench.settings, "ann", "k", || "new").unwrap();
    let settings = bench.before.clone().with_retired("k", "new");
    let assigned = assign(&bench.store, &settings, "ann", "k", || "old").unwrap();
    assert_eq!((assigned.text().unwrap().into_owned(), assigned.how), ("new".into(), How::Existing));
    bench.clock.advance(Settings::REPLACE_BACK_AFTER);
    let assigned = assign(&bench.store, &settings, "ann", "k", || "old").unwrap();
    assert_eq!(assigned.text().unwrap(), "old", "the rollout is over");
}

#[test]
fn who_does_not_know_of_an_erasure_replaces_nothing_that_stands_since() {
    let bench = Bench::new();
    bench.erase_and_restore("ann");
    bench.erase_and_restore("id||ann");
    let report = bench.optimizely(&bench.settings).save(&profile("new")).unwrap();
    assert!(matches!(report.get("e1"), Some(Saved::Kept { why: Why::Erased, .. })), "{}", report.to_json());
    let report = bench.vwo(&bench.settings).set(&record("new", "")).unwrap();
    assert!(matches!(report.get("c1"), Some(Saved::Kept { .. })), "{}", report.to_json());
    let report = bench.growthbook(&bench.settings).save("id", "ann", [("button__0", "new")]).unwrap();
    assert!(matches!(report.get("button__0"), Some(Saved::Kept { why: Why::Erased, .. })));
    let mut looked_up = bench.optimizely(&bench.settings).lookup("ann").unwrap();
    looked_up.set_variation("e1", "new");
    let report = bench.optimizely(&bench.settings).save(&looked_up).unwrap();
    assert!(is_replaced(&report, "e1"), "who has looked up since does");
}

#[test]
fn in_a_session_all_of_it_is_replaced_by_one_commit() {
    let bench = Bench::new();
    let session = bench.session();
    let view = session.view();
    let mut looked_up = view.lookup("ann").unwrap();
    assert!(looked_up.is_empty() && view.get("ann", "c1").unwrap().is_none());
    assert!(view.assignments("id", "ann").unwrap().is_empty());
    looked_up.set_variation("e1", "new");
    view.save(&looked_up).unwrap();
    view.set(&record("new", "g2")).unwrap();
    view.save_assignments("id", "ann", [("button__0", "new")]).unwrap();
    assert_eq!(view.assign("ann", "k", || "new").unwrap().text().unwrap(), "new");
    let report = session.commit();
    for (user, key) in [("ann", "e1"), ("ann", "c1"), ("id||ann", "button__0"), ("ann", "k")] {
        assert!(is_replaced(report.user(user).unwrap(), key), "{key}: {}", report.to_json());
    }
    assert_eq!(bench.variation().as_deref(), Some("new"));
}
