//! What a team may choose: what becomes of entries that nothing proves, and lookups that only track.

use stickystore_core::{Erase, ErrorKind, StoreExt as _};
use stickystore_services::{Saved, Unproven, Why};

use crate::bench::{Bench, kept, pairs, with};

fn taking_new() -> Bench {
    Bench::with(|settings| settings.with_unproven(Unproven::TakeNew))
}

#[test]
fn take_new_replaces_what_stands_there_and_nothing_else() {
    let bench = taking_new();
    bench.save_bare(&[("e1", "A"), ("e2", "A")]);
    let report = bench.save_bare(&[("e1", "B"), ("e3", "B")]);
    assert!(matches!(report.get("e1"), Some(Saved::Replaced { .. })), "{report:?}");
    assert!(matches!(report.get("e3"), Some(Saved::Inserted)));
    assert_eq!(bench.stored(), pairs(&[("e1", "B"), ("e2", "A"), ("e3", "B")]));
}

#[test]
fn take_new_replaces_exactly_the_winner_that_it_met() {
    let bench = taking_new();
    bench.save_bare(&[("e1", "A")]);
    let (service, lookup) = (bench.service.clone(), bench.lookup());
    // Between the insert that met A and the replacement of A, somebody replaces A, provably.
    bench.store.before_write_after_next(move || {
        service.save_json(&with(lookup, "e1", "theirs").to_json()).unwrap();
    });
    let report = bench.save_bare(&[("e1", "B")]);
    assert_eq!(kept(&report, "e1").0, Why::Raced);
    assert_eq!(bench.stored(), pairs(&[("e1", "theirs")]));
}

#[test]
fn take_new_does_not_take_part_in_a_war() {
    let bench = taking_new();
    for variation in ["A", "B"] {
        bench.save_bare(&[("e1", variation)]);
    }
    assert_eq!(kept(&bench.save_bare(&[("e1", "A")]), "e1").0, Why::War);
    assert_eq!(bench.stored(), pairs(&[("e1", "B")]));
}

#[test]
fn take_new_waits_for_an_erase_mark_to_end() {
    let bench = taking_new();
    bench.save_bare(&[("e1", "A")]);
    bench.erase();
    bench.save(&with(bench.lookup(), "e1", "after"));
    // This save may have been under way when the user was erased.
    assert_eq!(kept(&bench.save_bare(&[("e1", "before")]), "e1").0, Why::Erased);
    assert_eq!(bench.stored(), pairs(&[("e1", "after")]));
    bench.clock.advance(Erase::MARK_LIFE);
    assert!(matches!(bench.save_bare(&[("e1", "B")]).get("e1"), Some(Saved::Replaced { .. })));
}

#[test]
fn take_new_leaves_what_a_proved_save_lost_a_race_to() {
    let bench = taking_new();
    let lookup = bench.lookup();
    bench.save_bare(&[("e1", "theirs")]);
    assert_eq!(kept(&bench.save(&with(lookup, "e1", "ours")), "e1").0, Why::Raced);
    assert_eq!(bench.stored(), pairs(&[("e1", "theirs")]));
}

#[test]
fn take_new_overwrites_nothing_of_another_shape() {
    let bench = taking_new();
    let (call, subject) = (bench.call(), bench.subject());
    let key = stickystore_core::Key::new("e1").unwrap();
    let theirs =
        stickystore_core::Entry::new(stickystore_core::Value::string("x"), stickystore_core::Expiry::Never);
    bench.store.inner.put(call, &subject, key, theirs).unwrap();
    assert_eq!(kept(&bench.save_bare(&[("e1", "B")]), "e1"), (Why::Unproven, Some("\"x\"".to_owned())));
}

#[test]
fn error_fails_what_nothing_proves_and_writes_the_rest() {
    let bench = Bench::with(|settings| settings.with_unproven(Unproven::Error));
    bench.save_bare(&[("e1", "A"), ("e2", "A")]);
    let report = bench.save_bare(&[("e1", "B"), ("e2", "A"), ("e3", "B")]);
    let Some(Saved::Failed { error }) = report.get("e1") else { panic!("it fails: {report:?}") };
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.context().contains("nothing proves"), "{error}");
    assert!(matches!(report.get("e2"), Some(Saved::Unchanged)));
    assert_eq!(bench.stored(), pairs(&[("e1", "A"), ("e2", "A"), ("e3", "B")]));
}

#[test]
fn error_fails_what_another_shape_raced_whichever_step_meets_it() {
    for meets_the_write in [false, true] {
        let bench = Bench::with(|settings| settings.with_unproven(Unproven::Error));
        bench.save_bare(&[("e1", "A")]);
        let read = with(bench.lookup(), "e1", "B");
        let (store, call, subject) = (bench.store.inner.clone(), bench.call(), bench.subject());
        let race = move || {
            let key = stickystore_core::Key::new("e1").unwrap();
            let theirs = stickystore_core::Value::string("x");
            let theirs = stickystore_core::Entry::new(theirs, stickystore_core::Expiry::Never);
            store.put(call, &subject, key, theirs).unwrap();
        };
        if meets_the_write {
            bench.store.before_next_write(race);
        } else {
            race();
        }
        let report = bench.save(&read);
        assert!(matches!(report.get("e1"), Some(Saved::Failed { .. })), "{}", report.to_json());
    }
}

#[test]
fn who_only_tracks_is_told_of_nothing_and_loses_nothing() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let tracking = bench.service.clone().tracking_only();
    bench.store.calls();
    assert_eq!(tracking.lookup_json("ann").unwrap(), "null");
    assert_eq!(bench.store.calls(), (0, 0), "the store is not asked");
    let decided = with(tracking.lookup("ann").unwrap(), "e1", "B");
    assert_eq!(kept(&tracking.save(&decided).unwrap(), "e1").0, Why::Unproven);
    let new = with(tracking.lookup("ann").unwrap(), "e2", "B");
    assert!(matches!(tracking.save(&new).unwrap().get("e2"), Some(Saved::Inserted)));
    assert_eq!(bench.stored(), pairs(&[("e1", "A"), ("e2", "B")]));
    assert_eq!(tracking.lookup("").unwrap_err().kind(), ErrorKind::Invalid);
}
