//! The traces that break weaker save guards, by their numbers there: none breaks this one.

use std::time::{Duration, Instant};

use stickystore_core::{Call, Clock, Erase, Outcome, Store, StoreExt};
use stickystore_services::optimizely::UserProfile;
use stickystore_services::{Saved, Settings, Why};

use crate::bench::{Bench, HOUR, kept, pairs, with};

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
