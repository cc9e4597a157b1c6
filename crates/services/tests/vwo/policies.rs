//! What a team may choose: what becomes of a record that nothing proves.

use stickystore_core::{Erase, ErrorKind};
use stickystore_services::{Saved, Unproven, Why};

use crate::bench::{Bench, kept, stored, with_variation};

fn with(unproven: Unproven) -> Bench {
    Bench::with(|settings| settings.with_unproven(unproven))
}

#[test]
fn take_new_replaces_the_variation_and_unites_the_goals() {
    let bench = with(Unproven::TakeNew);
    bench.set_bare("red", "g1");
    let report = bench.set_bare("blue", "g2");
    assert!(matches!(report.get("c1"), Some(Saved::Replaced { .. })), "{report:?}");
    assert_eq!(bench.stored(), stored("blue", "g1 g2"));
}

#[test]
fn take_new_replaces_also_where_there_are_no_goals() {
    let bench = with(Unproven::TakeNew);
    bench.set_bare("red", "");
    assert!(matches!(bench.set_bare("blue", "").get("c1"), Some(Saved::Replaced { .. })));
    assert_eq!(bench.stored(), stored("blue", ""));
}

#[test]
fn take_new_does_not_take_part_in_a_war() {
    let bench = with(Unproven::TakeNew);
    for variation in ["red", "blue"] {
        bench.set_bare(variation, "");
    }
    assert_eq!(kept(&bench.set_bare("red", "")).0, Why::War);
    assert_eq!(bench.stored(), stored("blue", ""));
}

#[test]
fn take_new_waits_for_an_erase_mark_to_end() {
    let bench = with(Unproven::TakeNew);
    bench.set_bare("red", "");
    let read = bench.get();
    bench.erase();
    // Who read before the erasure writes nothing after it, and somebody who knows of it decides anew.
    assert_eq!(kept(&bench.service.set(&with_variation(read, "blue")).unwrap()).0, Why::Erased);
    bench.put_after_erasure("green");
    assert_eq!(kept(&bench.set_bare("blue", "")).0, Why::Unproven);
    assert_eq!(bench.stored(), stored("green", ""));
    bench.clock.advance(Erase::MARK_LIFE);
    assert!(matches!(bench.set_bare("blue", "").get("c1"), Some(Saved::Replaced { .. })));
}

#[test]
fn error_fails_the_record_and_counts_its_goals() {
    let bench = with(Unproven::Error);
    bench.set_bare("red", "g1");
    let report = bench.set_bare("blue", "g2");
    let Some(Saved::Failed { error }) = report.get("c1") else { panic!("it fails: {report:?}") };
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(bench.stored(), stored("red", "g1 g2"));
    assert_eq!(report.goals_added("c1"), ["g2"]);
}
