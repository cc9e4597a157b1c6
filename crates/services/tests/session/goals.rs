//! Goals that a session reaches: its report names those that its commit has added, and no others.

use stickystore_core::{Effect, ErrorKind};
use stickystore_services::Saved;

use crate::bench::{Bench, record, saved};

/// A session that has read ann's record and reached a goal in it.
fn reaching(bench: &Bench) -> stickystore_services::session::Session<crate::bench::Hooked> {
    bench.other_vwo().set(&record("red", "g1")).unwrap();
    let session = bench.begin();
    let mut got = session.view().get("ann", "c1").unwrap().unwrap();
    got.add_goal("g2");
    session.view().set(&got).unwrap();
    session
}

#[test]
fn a_goal_of_an_entry_that_is_gone_is_not_said_to_be_added() {
    let (erased, removed) = (Bench::new(), Bench::new());
    for (bench, session) in [(&erased, reaching(&erased)), (&removed, reaching(&removed))] {
        if std::ptr::eq(bench, &raw const erased) {
            bench.erase();
        } else {
            bench.remove("c1");
        }
        let report = session.commit();
        assert!(matches!(saved(&report, "ann", "c1"), Saved::Kept { .. }), "{}", report.to_json());
        assert_eq!(report.user("ann").unwrap().goals_added("c1"), [""; 0], "{}", report.to_json());
        assert!(bench.other_vwo().get("ann", "c1").unwrap().is_none());
    }
}

#[test]
fn a_goal_of_a_commit_that_failed_is_not_said_to_be_added_until_one_succeeds() {
    let bench = Bench::new();
    let session = reaching(&bench);
    bench.store.fail_writes(1);
    let report = session.commit();
    assert_eq!(report.error().map(|error| (error.kind(), error.effect())), Some(FAILED));
    assert_eq!(report.user("ann").unwrap().goals_added("c1"), [""; 0], "{}", report.to_json());
    let report = session.commit();
    assert!(matches!(saved(&report, "ann", "c1"), Saved::Added), "{}", report.to_json());
    assert_eq!(report.user("ann").unwrap().goals_added("c1"), ["g2"]);
}

#[test]
fn a_record_whose_write_met_another_and_that_cannot_be_read_then_is_left_open() {
    let bench = Bench::new();
    let session = bench.begin();
    session.view().set(&record("red", "g1")).unwrap();
    let other = bench.other_vwo();
    bench.store.before_a_write(move || drop(other.set(&record("blue", "")).unwrap()));
    bench.store.fail_reads(1);
    let report = session.commit();
    // A layer below may have sent the write twice: the first was applied, and another has replaced it since.
    assert_eq!(
        report.error().map(stickystore_core::Error::effect),
        Some(Effect::Unknown),
        "{}",
        report.to_json()
    );
}

/// How a write fails that is not sent.
const FAILED: (ErrorKind, Effect) = (ErrorKind::Unavailable, Effect::NotApplied);
