//! Commit before serve: what is served is what stands in the store.

use stickystore_core::ErrorKind;
use stickystore_services::{Saved, Why};

use crate::bench::{Bench, decide, kept, saved};

#[test]
fn of_two_first_decisions_both_serve_one_variation() {
    let bench = Bench::new();
    let (one, other) = (bench.begin(), bench.begin());
    let first = one.decide(|view| decide(view, "ann", "e1", &["A", "B"])).unwrap();
    let second = other.decide(|view| decide(view, "ann", "e1", &["B", "A"])).unwrap();
    assert_eq!((first.value.as_str(), second.value.as_str()), ("A", "A"));
    assert!(first.first.is_none() && second.report.is_kept());
    assert_eq!(kept(&second.first.unwrap(), "e1").0, Why::Raced);
    assert_eq!(bench.store.calls(), (2, 2), "the winner is known without another read");
}

#[test]
fn also_if_the_lookup_failed() {
    let bench = Bench::new();
    bench.put("A");
    bench.store.fail_reads(1);
    let decided = bench.begin().decide(|view| decide(view, "ann", "e1", &["B", "A"])).unwrap();
    assert_eq!(decided.value, "A");
    assert_eq!(bench.stored("ann", "e1").as_deref(), Some("A"));
}

#[test]
fn a_winner_that_can_not_be_read_is_an_error_and_nothing_is_decided_without_it() {
    let bench = Bench::new();
    bench.put("A");
    // That of the session, and the one after the commit.
    bench.store.fail_reads(2);
    let mut passes = 0;
    let not_kept = bench.begin().decide(|view| {
        passes += 1;
        decide(view, "ann", "e1", &["B", "A"])
    });
    let not_kept = not_kept.unwrap_err();
    assert_eq!((not_kept.value.as_str(), not_kept.error.kind(), passes), ("B", ErrorKind::Unavailable, 1));
    assert_eq!(kept(&not_kept.report, "e1"), (Why::Unproven, Some(r#"{"variation_id":"A"}"#.into())));
    assert_eq!(bench.stored("ann", "e1").as_deref(), Some("A"));
}

#[test]
fn so_is_what_stands_after_an_erasure() {
    let bench = Bench::new();
    bench.put("A");
    let session = bench.begin();
    bench.erase();
    bench.store.fail_reads(1);
    let not_kept = session.decide(|view| decide(view, "ann", "e2", &["B"])).unwrap_err();
    assert_eq!(not_kept.error.kind(), ErrorKind::Unavailable);
    assert_eq!(kept(&not_kept.report, "e2").0, Why::Erased);
}

#[test]
fn the_second_pass_is_the_last() {
    let bench = Bench::new();
    let session = bench.begin();
    for variation in ["A", "C"] {
        let bench = Bench {
            store: bench.store.clone(),
            clock: bench.clock.clone(),
            settings: bench.settings.clone(),
        };
        bench.store.clone().before_a_write(move || bench.put(variation));
    }
    let mut passes = 0;
    // Its datafile knows neither of the winners.
    let decided = session.decide(|view| {
        passes += 1;
        decide(view, "ann", "e1", &["B"])
    });
    let decided = decided.unwrap();
    assert_eq!((decided.value.as_str(), passes), ("B", 2));
    assert!(!decided.report.is_kept(), "and it says so");
    assert_eq!(kept(&decided.report, "e1"), (Why::Raced, Some(r#"{"variation_id":"C"}"#.into())));
}

#[test]
fn a_winner_that_the_datafile_does_not_know_is_replaced_by_who_has_now_read_it() {
    let bench = Bench::new();
    let (one, other) = (bench.begin(), bench.begin());
    one.decide(|view| decide(view, "ann", "e1", &["A"])).unwrap();
    let decided = other.decide(|view| decide(view, "ann", "e1", &["B"])).unwrap();
    assert!(matches!(saved(&decided.report, "ann", "e1"), Saved::Replaced { .. }));
    assert_eq!((decided.value.as_str(), bench.stored("ann", "e1").as_deref()), ("B", Some("B")));
}

#[test]
fn what_was_erased_meanwhile_is_decided_again_on_what_stands_now() {
    let bench = Bench::new();
    bench.put("A");
    let session = bench.begin();
    bench.erase();
    let decided = session.decide(|view| decide(view, "ann", "e2", &["B"])).unwrap();
    assert_eq!(kept(decided.first.as_ref().unwrap(), "e2").0, Why::Erased);
    assert!(matches!(saved(&decided.report, "ann", "e2"), Saved::Inserted));
}

#[test]
fn a_commit_that_fails_is_said_before_anything_is_served() {
    let bench = Bench::new();
    let session = bench.begin();
    bench.store.lose_answers(1);
    let not_kept = session.decide(|view| decide(view, "ann", "e1", &["A"])).unwrap_err();
    assert_eq!((not_kept.value.as_str(), not_kept.error.kind()), ("A", ErrorKind::Timeout));
    assert_eq!(not_kept.to_string(), "what was decided is not kept");
}

#[test]
fn what_became_of_the_first_pass_is_said_where_the_second_one_failed() {
    let bench = Bench::new();
    let session = bench.begin();
    bench.put("A");
    let mut passes = 0;
    let not_kept = session.decide(|view| {
        passes += 1;
        if passes == 2 {
            bench.store.lose_answers(1);
        }
        decide(view, "ann", "e1", &["B"])
    });
    let not_kept = not_kept.unwrap_err();
    assert!(matches!(saved(&not_kept.report, "ann", "e1"), Saved::Failed { .. }));
    assert_eq!(kept(not_kept.first.as_ref().unwrap(), "e1").0, Why::Raced);
}

#[test]
fn a_decision_that_saves_nothing_is_one_read() {
    let bench = Bench::new();
    bench.put("A");
    let decided = bench.begin().decide(|view| decide(view, "ann", "e1", &["B", "A"])).unwrap();
    assert_eq!((decided.value.as_str(), bench.store.calls()), ("A", (1, 0)));
}

#[test]
fn what_assign_answers_is_what_the_store_keeps() {
    let bench = Bench::new();
    let (one, other) = (bench.begin(), bench.begin());
    let answer = |session: &stickystore_services::session::Session<_>, value: &str| {
        let decided = session.decide(|view| view.assign("ann", "k", || value.to_owned()).unwrap()).unwrap();
        decided.value.text().unwrap().into_owned()
    };
    assert_eq!((answer(&one, "x"), answer(&other, "y")), ("x".into(), "x".into()));
}
