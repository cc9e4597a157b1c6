//! The traces that break weaker save guards, by their numbers there, through sessions.

use stickystore_core::{Clock as _, Effect};
use stickystore_services::optimizely::{UserProfile, UserProfileService};
use stickystore_services::vwo::Dialect;
use stickystore_services::{Receipts, Saved, Settings, Why};

use crate::bench::{Bench, HOUR, kept, lookup, record, saved, with};

#[test]
fn t1_a_save_is_charged_to_its_own_lookup_also_in_one_session() {
    // r2 looked up when nothing was there; somebody's A comes; r1 looks up A. r2's save of B proves nothing of A.
    for receipts in [Receipts::On, Receipts::Off] {
        let bench = Bench::with(|settings| settings.with_receipts(receipts));
        let session = bench.begin();
        let r2 = lookup(session.view(), "ann");
        session.view().save(&with(lookup(session.view(), "ann"), "e1", "A")).unwrap();
        session.commit();
        let r1 = lookup(session.view(), "ann");
        assert_eq!(r1.variation("e1"), Some("A"));
        session.view().save_json(&with(r2, "e1", "B").to_json()).unwrap();
        assert_eq!(kept(&session.commit(), "e1").1.unwrap(), r#"{"variation_id":"A"}"#);
        assert_eq!(bench.stored("ann", "e1").as_deref(), Some("A"), "{receipts:?}");
    }
}

#[test]
fn t1_nor_is_a_vwo_record_charged_to_another_get() {
    let bench = Bench::new();
    let session = bench.begin();
    let view = session.view();
    assert_eq!(view.get_json("ann", "c1", Dialect::Node).unwrap(), "null", "r2 is handed nothing");
    view.set_json(&record("red", "").to_json(Dialect::Node)).unwrap();
    assert!(view.get("ann", "c1").unwrap().is_some(), "r1 is handed red");
    view.set_json(&record("blue", "").to_json(Dialect::Node)).unwrap();
    assert_eq!(kept(&session.commit(), "c1"), (Why::Unproven, Some(r#"{"variationName":"red"}"#.into())));
}

#[test]
fn t2_a_failed_lookup_is_not_charged_to_one_that_was_answered() {
    let bench = Bench::new();
    bench.put("A");
    bench.store.fail_reads(1);
    let failed = bench.begin();
    let answered = bench.begin();
    assert_eq!(lookup(answered.view(), "ann").variation("e1"), Some("A"));
    failed.view().save(&with(UserProfile::new("ann"), "e1", "B")).unwrap();
    assert_eq!(kept(&failed.commit(), "e1").0, Why::Unproven);
    assert_eq!(bench.stored("ann", "e1").as_deref(), Some("A"));
}

#[test]
fn t2_nor_to_one_of_the_same_session() {
    // r1's lookups fail; a commit reads the user again; r2's are answered with A. What r1 saves proves nothing.
    let bench = Bench::with(|settings| settings.with_receipts(Receipts::Off));
    bench.put("A");
    bench.other_vwo().set(&record("red", "")).unwrap();
    bench.store.fail_reads(1);
    let session = bench.begin();
    let view = session.view();
    assert!(view.lookup_json("ann").is_err() && view.get("ann", "c1").is_err());
    view.save(&with(UserProfile::new("ann"), "e1", "X")).unwrap();
    session.commit();
    assert_eq!(lookup(view, "ann").variation("e1"), Some("A"), "r2 is handed A");
    assert_eq!(view.get("ann", "c1").unwrap().unwrap().variation_name(), "red");
    view.save(&with(UserProfile::new("ann"), "e1", "B")).unwrap();
    view.set_json(&record("blue", "").to_json(Dialect::Node)).unwrap();
    let report = session.commit();
    assert_eq!((kept(&report, "e1").0, kept(&report, "c1").0), (Why::Unproven, Why::Unproven));
}

#[test]
fn t3_a_lookup_that_the_sdk_never_got_proves_nothing() {
    // Something between session and SDK lost the answer: the save has no receipt.
    let bench = Bench::new();
    bench.put("A");
    let session = bench.begin();
    let _answered_but_not_received = lookup(session.view(), "ann");
    session.view().save(&with(UserProfile::new("ann"), "e1", "B")).unwrap();
    assert_eq!(kept(&session.commit(), "e1").0, Why::Unproven);
    assert_eq!(bench.stored("ann", "e1").as_deref(), Some("A"));
}

#[test]
fn t4_a_session_that_outlives_what_it_read_replaces_nothing_new() {
    let bench = Bench::new();
    bench.put("A");
    let session = bench.begin();
    let late = with(lookup(session.view(), "ann"), "e1", "B");
    bench.remove("e1");
    bench.put("A");
    bench.clock.advance(HOUR / 2);
    session.view().save(&late).unwrap();
    assert_eq!(kept(&session.commit(), "e1"), (Why::Raced, Some(r#"{"variation_id":"A"}"#.into())));
}

#[test]
fn t5_a_receipt_of_another_process_proves_what_that_one_read() {
    let bench = Bench::new();
    bench.put("A");
    let there = UserProfile::parse(&bench.other().lookup_json("ann").unwrap()).unwrap();
    let session = bench.begin();
    session.view().save_json(&with(there, "e1", "B").to_json()).unwrap();
    assert!(matches!(saved(&session.commit(), "ann", "e1"), Saved::Replaced { .. }));
}

#[test]
fn t5_but_not_what_has_changed_since() {
    let bench = Bench::new();
    bench.put("A");
    let there = UserProfile::parse(&bench.other().lookup_json("ann").unwrap()).unwrap();
    bench.put("C");
    let session = bench.begin();
    lookup(session.view(), "ann");
    session.view().save_json(&with(there, "e1", "B").to_json()).unwrap();
    assert_eq!(kept(&session.commit(), "e1"), (Why::Raced, Some(r#"{"variation_id":"C"}"#.into())));
}

#[test]
fn t6_an_early_map_over_a_sessions_lookup_rolls_nothing_back() {
    let bench = Bench::new();
    bench.put("A");
    let early = bench.other().bucket_map_json("ann").unwrap();
    bench.put("B");
    let session = bench.begin();
    let looked_up = session.view().lookup_json("ann").unwrap();
    // What the SDK makes of both: the attribute's entries lie over the lookup's.
    let own = looked_up.split(r#""stickystore":"#).nth(1).unwrap().trim_end_matches("}}");
    let map = early.trim_start_matches('{').trim_end_matches('}');
    let both = format!(
        r#"{{"user_id":"ann","experiment_bucket_map":{{{map}}},"stickystore":{own},"e2":{{"variation_id":"N"}}}}}}"#
    );
    session.view().save_json(&both).unwrap();
    let report = session.commit();
    assert!(matches!(saved(&report, "ann", "e2"), Saved::Inserted), "{}", report.to_json());
    assert_eq!(bench.stored("ann", "e1").as_deref(), Some("B"));
}

#[test]
fn t7_two_datafiles_do_not_replace_each_other_for_ever() {
    let bench = Bench::new();
    bench.put("A");
    for (variation, replaced) in [("C", true), ("A", false)] {
        let session = bench.begin();
        session.view().save(&with(lookup(session.view(), "ann"), "e1", variation)).unwrap();
        let report = session.commit();
        assert_eq!(matches!(saved(&report, "ann", "e1"), Saved::Replaced { .. }), replaced);
        if !replaced {
            assert_eq!(kept(&report, "e1").0, Why::War);
        }
    }
    bench.clock.advance(Settings::REPLACE_BACK_AFTER);
    let session = bench.begin();
    session.view().save(&with(lookup(session.view(), "ann"), "e1", "A")).unwrap();
    assert!(matches!(saved(&session.commit(), "ann", "e1"), Saved::Replaced { .. }), "the rollout is over");
}

#[test]
fn t8_a_commit_that_lands_twice_undoes_nothing() {
    let bench = Bench::with(|settings| settings.with_replace_back_after(std::time::Duration::ZERO));
    bench.put("A");
    let session = bench.begin();
    session.view().save(&with(lookup(session.view(), "ann"), "e1", "C")).unwrap();
    bench.store.lose_answers(1);
    assert!(session.commit().error().is_some());
    bench.put("A");
    assert_eq!(kept(&session.commit(), "e1"), (Why::Raced, Some(r#"{"variation_id":"A"}"#.into())));
}

#[test]
fn t9_a_commit_does_not_bring_erased_data_back() {
    let bench = Bench::new();
    bench.put("A");
    let session = bench.begin();
    session.view().save(&with(lookup(session.view(), "ann"), "e2", "N")).unwrap();
    session.view().set(&record("red", "g1")).unwrap();
    session.view().assign("ann", "k", || "v").unwrap();
    bench.erase();
    let report = session.commit();
    for key in ["e2", "c1", "k"] {
        assert_eq!(kept(&report, key).0, Why::Erased, "{key}");
    }
    assert_eq!(bench.stored("ann", "e2"), None);
    assert_eq!(bench.other_vwo().get("ann", "c1").unwrap(), None);
}

#[test]
fn t9_but_a_session_that_began_after_the_erasure_is_not_hindered() {
    let bench = Bench::new();
    bench.erase();
    let session = bench.begin();
    let view = session.view();
    view.save(&with(lookup(view, "ann"), "e2", "N")).unwrap();
    assert!(view.get("ann", "c1").unwrap().is_none());
    view.set_json(&record("red", "g1").to_json(Dialect::Node)).unwrap();
    view.assign("ann", "k", || "v").unwrap();
    assert!(session.commit().is_kept());
}

#[test]
fn t9_nor_what_was_got_before_the_erasure_after_another_commit_has_noticed_it() {
    let bench = Bench::new();
    let session = bench.begin();
    let view = session.view();
    assert!(view.get("ann", "c1").unwrap().is_none());
    bench.erase();
    view.assign("ann", "k", || "v").unwrap();
    assert_eq!(kept(&session.commit(), "k").0, Why::Erased);
    view.set_json(&record("red", "").to_json(Dialect::Node)).unwrap();
    assert_eq!(kept(&session.commit(), "c1").0, Why::Erased);
    assert!(view.get("ann", "c2").unwrap().is_none(), "what is got from now on is got after it");
}

#[test]
fn t10_what_ended_before_its_commit_has_no_second_life() {
    let bench = Bench::new();
    let session = bench.begin();
    session.view().assign("ann", "k", || "v").unwrap();
    bench.clock.advance(HOUR);
    let report = session.commit();
    assert!(
        matches!(saved(&report, "ann", "k"), Saved::Failed { .. }),
        "{} at {:?}",
        report.to_json(),
        bench.clock.now()
    );
}

#[test]
fn t11_a_session_is_never_ambiguous() {
    // Another's lookup fails: what this one read it may replace all the same.
    let bench = Bench::new();
    bench.put("A");
    let session = bench.begin();
    let r1 = with(lookup(session.view(), "ann"), "e1", "B");
    bench.store.fail_reads(1);
    bench.begin().discard();
    session.view().save(&r1).unwrap();
    assert!(matches!(saved(&session.commit(), "ann", "e1"), Saved::Replaced { .. }));
}

#[test]
fn t9_nor_does_a_second_commit_that_has_read_the_user_meanwhile() {
    let bench = Bench::new();
    bench.store.fail_reads(1);
    let session = bench.begin();
    session.view().save(&with(UserProfile::new("ann"), "e1", "A")).unwrap();
    session.view().set(&record("red", "")).unwrap();
    bench.erase();
    bench.store.fail_writes(1);
    let first = session.commit();
    assert!(matches!(saved(&first, "ann", "e1"), Saved::Failed { .. }), "{}", first.to_json());
    assert!(session.view().failed("ann").is_none(), "the first commit has read the user, for the record");
    assert_eq!(kept(&session.commit(), "e1").0, Why::Erased, "it was decided before the erasure");
    assert_eq!(bench.stored("ann", "e1"), None);
}

#[test]
fn an_insert_that_met_something_retired_that_can_not_be_read_then_is_left_open() {
    // A layer may have sent the insert twice, and it may come late.
    let fails = |work: &dyn Fn(&Bench) -> Effect| {
        let bench = Bench::with(|settings| settings.with_retired("e1", "A"));
        assert_eq!(work(&bench), Effect::Unknown);
    };
    let of = |saved: Option<&Saved>| match saved {
        Some(Saved::Failed { error }) => error.effect(),
        other => panic!("{other:?}"),
    };
    fails(&|bench| {
        let session = bench.begin();
        session.view().save(&with(lookup(session.view(), "ann"), "e1", "B")).unwrap();
        bench.put("A");
        bench.store.fail_reads(1);
        of(session.commit().user("ann").unwrap().get("e1"))
    });
    fails(&|bench| {
        let service = UserProfileService::new(bench.store.clone(), bench.settings.clone());
        let profile = with(service.lookup("ann").unwrap(), "e1", "B");
        bench.put("A");
        bench.store.fail_reads(1);
        of(service.save(&profile).unwrap().get("e1"))
    });
}
