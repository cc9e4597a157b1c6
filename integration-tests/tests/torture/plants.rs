//! It can fail: each planted bug is found.

use stickystore_integration_tests::torture::{Backend, PLANTS, Plan};

use crate::{plan, torture};

/// How many requests are served: what most bugs need many times over.
const ACTS: u64 = 3_000;

/// Those that show themselves seldom, as they need several callers to meet, and how many requests these take.
const RARE: [&str; 3] = ["value-comparison", "unknown-is-written-again", "last-goal-only"];
const RARE_ACTS: u64 = 7_000;

/// The one that needs a server which is killed.
const IN_THE_SERVER: &str = "nothing-on-disk";

#[test]
fn every_planted_bug_is_found() {
    let missed: Vec<_> = PLANTS
        .into_iter()
        .filter(|plant| *plant != IN_THE_SERVER)
        .filter(|plant| {
            let acts = if RARE.contains(plant) { RARE_ACTS } else { ACTS };
            let verdict = torture(&Plan { plant: Some(plant), ..plan(Backend::Memory, acts) }).unwrap();
            let found = verdict.stickystore.lost + verdict.stickystore.flipped;
            println!("{plant}: {found} found");
            found == 0 || verdict.objection().is_none()
        })
        .collect();
    assert_eq!(missed, [""; 0], "these were not found");
}

#[test]
fn a_server_that_keeps_nothing_is_found() {
    // Long enough that it is killed.
    let plan = Plan { plant: Some(IN_THE_SERVER), ..plan(Backend::Redis, 4_000) };
    let Some(verdict) = torture(&plan) else { return };
    assert!(verdict.faults.contains_key("server killed"), "{verdict}");
    assert!(verdict.stickystore.lost > 0, "{verdict}");
}
