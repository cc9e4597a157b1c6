//! The traces that break weaker save guards, by their numbers there: none breaks this one.

use std::time::{Duration, Instant};

use stickystore_core::{Call, Clock, Erase, Outcome, Store, StoreExt};
use stickystore_services::optimizely::{UserProfile, UserProfileService};
use stickystore_services::{Saved, Settings, Why};

use crate::bench::{Bench, HOUR, kept, pairs, with};

#[test]
fn t1_a_save_is_charged_to_its_own_lookup() {
    // r2 looked up when nothing was there; A comes; r1 looks A up and saves; r2 saves B, and never saw A.
    let bench = Bench::new();
    let r2 = bench.lookup();
    bench.save_bare(&[("e1", "A")]);
    let r1 = bench.lookup();
    bench.save(&with(r1, "e2", "N"));
    let report = bench.save(&with(r2, "e1", "B"));
    assert_eq!(kept(&report, "e1"), (Why::Raced, Some(r#"{"variation_id":"A"}"#.into())));
    assert_eq!(bench.stored(), pairs(&[("e1", "A"), ("e2", "N")]));
}

#[test]
fn t2_a_save_after_a_failed_lookup_is_not_charged_to_one_that_was_answered() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    bench.store.hooks.lock().unwrap().fail_reads = true;
    assert!(bench.service.lookup_json("ann").is_err());
    bench.store.hooks.lock().unwrap().fail_reads = false;
    assert_eq!(bench.lookup().variation("e1"), Some("A"), "r2's");
    let report = bench.save_bare(&[("e1", "B")]);
    assert_eq!(kept(&report, "e1").0, Why::Unproven);
    assert_eq!(bench.stored(), pairs(&[("e1", "A")]));
}

#[test]
fn t3_a_lookup_that_the_sdk_never_got_proves_nothing() {
    // We answered well, the SDK's wrapper had timed out and the SDK buckets anew: its save has no receipt.
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let _answered_but_not_received = bench.lookup();
    let report = bench.save_bare(&[("e1", "B")]);
    assert_eq!(kept(&report, "e1"), (Why::Unproven, Some(r#"{"variation_id":"A"}"#.into())));
    assert_eq!(bench.stored(), pairs(&[("e1", "A")]));
}

#[test]
fn t4_a_save_is_judged_by_what_it_read_however_late_it_comes() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let (late, failed) = (with(bench.lookup(), "e1", "B"), with(UserProfile::new("ann"), "e1", "B"));
    bench.clock.advance(HOUR - Duration::from_millis(1));
    bench.lookup();
    assert_eq!(kept(&bench.save(&failed), "e1").0, Why::Unproven, "its lookup failed an hour ago");
    assert!(matches!(bench.save(&late).get("e1"), Some(Saved::Replaced { .. })), "its own still stands");
}

#[test]
fn t5_a_receipt_holds_in_another_process() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let (p1, failed_at_p1) = (bench.lookup(), UserProfile::new("ann"));
    let p2 = UserProfileService::new(bench.store.clone(), bench.settings.clone());
    p2.lookup("ann").unwrap();
    let save = |profile: UserProfile| p2.save_json(&with(profile, "e1", "B").to_json()).unwrap();
    assert_eq!(kept(&save(failed_at_p1), "e1").0, Why::Unproven);
    assert!(matches!(save(p1).get("e1"), Some(Saved::Replaced { .. })));
}

#[test]
fn t7_two_datafiles_do_not_replace_each_other_for_ever() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let report = bench.save(&with(bench.lookup(), "e1", "C"));
    assert!(matches!(report.get("e1"), Some(Saved::Replaced { .. })));
    let report = bench.save(&with(bench.lookup(), "e1", "A"));
    assert_eq!(kept(&report, "e1"), (Why::War, Some(r#"{"variation_id":"C"}"#.into())));
    bench.clock.advance(Settings::REPLACE_BACK_AFTER);
    let report = bench.save(&with(bench.lookup(), "e1", "A"));
    assert!(matches!(report.get("e1"), Some(Saved::Replaced { .. })), "the rollout is over");
}

#[test]
fn t8_a_replace_that_lands_twice_undoes_nothing() {
    let bench = Bench::with(|settings| settings.with_replace_back_after(Duration::ZERO));
    bench.save_bare(&[("e1", "A")]);
    bench.store.calls();
    bench.save(&with(bench.lookup(), "e1", "C"));
    let first_attempt = bench.store.hooks.lock().unwrap().writes.clone();
    bench.save(&with(bench.lookup(), "e1", "A"));
    // The value is A again, as when the first attempt was made; its revision is not.
    let landed = bench.store.inner.write(bench.call(), &first_attempt);
    assert!(matches!(landed[0][0], Ok(Outcome::Kept(_))), "{landed:?}");
    assert_eq!(bench.stored(), pairs(&[("e1", "A")]));
}

#[test]
fn t8_a_replace_does_not_hit_what_was_erased_and_inserted_anew() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let r1 = with(bench.lookup(), "e1", "B");
    bench.erase();
    bench.save(&with(bench.lookup(), "e1", "A"));
    let report = bench.save(&r1);
    assert_eq!(kept(&report, "e1"), (Why::Raced, Some(r#"{"variation_id":"A"}"#.into())));
    assert_eq!(bench.stored(), pairs(&[("e1", "A")]));
}

#[test]
fn t9_a_save_in_flight_does_not_bring_erased_data_back() {
    for looked_up in [true, false] {
        let bench = Bench::new();
        let profile = if looked_up { bench.lookup() } else { UserProfile::new("ann") };
        let (store, subject, clock) = (bench.store.inner.clone(), bench.subject(), bench.clock.clone());
        bench.store.before_next_write(move || {
            let call = Call::new(clock.now(), Instant::now() + Duration::from_secs(5));
            store.erase_one(call, Erase::new(subject, clock.now())).unwrap();
        });
        let report = bench.save(&with(profile, "e1", "A"));
        assert_eq!(kept(&report, "e1"), (Why::Erased, None), "looked up: {looked_up}");
        assert_eq!(bench.stored(), []);
        let report = bench.save(&with(bench.lookup(), "e1", "A"));
        assert!(
            matches!(report.get("e1"), Some(Saved::Inserted)),
            "a lookup after the erasure knows its epoch"
        );
    }
}

#[test]
fn t10_an_insert_that_lands_again_after_its_end_has_no_second_life() {
    let bench = Bench::new();
    bench.store.calls();
    bench.save_bare(&[("e1", "A")]);
    let first_attempt = bench.store.hooks.lock().unwrap().writes.clone();
    bench.clock.advance(HOUR);
    let landed = bench.store.inner.write(bench.call(), &first_attempt);
    assert_eq!(landed[0][0].as_ref().unwrap(), &Outcome::Expired);
    assert_eq!(bench.stored(), []);
}

#[test]
fn t11_a_receipt_is_never_ambiguous() {
    // r1 looked A up, which its datafile does not know; r2's lookup fails; r1's save replaces A all the same.
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let r1 = bench.lookup();
    bench.store.hooks.lock().unwrap().fail_reads = true;
    assert!(bench.service.lookup("ann").is_err());
    bench.store.hooks.lock().unwrap().fail_reads = false;
    assert!(matches!(bench.save(&with(r1, "e1", "B")).get("e1"), Some(Saved::Replaced { .. })));
}
