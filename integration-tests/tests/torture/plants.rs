//! It can fail: each planted bug is found.

use stickystore_integration_tests::torture::{Backend, PLANTS, Plan};

use crate::{SEED, plan, torture};

/// How many requests a run serves: what most bugs need many times over.
const ACTS: u64 = 3_000;

/// How many runs there are at most, each with a seed of its own: some bugs need several callers to meet, which happens when it
/// happens. All together take less than the minute in which the command has to find every one.
const RUNS: u64 = 10;

/// The one that needs a server which is killed.
const IN_THE_SERVER: &str = "nothing-on-disk";

#[test]
fn every_planted_bug_is_found() {
    let missed: Vec<_> = PLANTS
        .into_iter()
        .filter(|plant| *plant != IN_THE_SERVER)
        .filter(|plant| !(SEED..SEED + RUNS).any(|seed| is_found(plant, seed)))
        .collect();
    assert_eq!(missed, [""; 0], "these were not found");
}

fn is_found(plant: &'static str, seed: u64) -> bool {
    let plan = Plan { plant: Some(plant), seed, ..plan(Backend::Memory, ACTS) };
    let Some(verdict) = torture(&plan) else { return false };
    let found = verdict.stickystore.lost + verdict.stickystore.flipped;
    println!("{plant}, seed {seed}: {found} found");
    found > 0 && verdict.objection().is_some()
}

#[test]
fn a_server_that_keeps_nothing_is_found() {
    // Long enough that it is killed.
    let plan = Plan { plant: Some(IN_THE_SERVER), ..plan(Backend::Redis, 4_000) };
    let Some(verdict) = torture(&plan) else { return };
    assert!(verdict.faults.contains_key("server killed"), "{verdict}");
    assert!(verdict.stickystore.lost > 0, "{verdict}");
}
