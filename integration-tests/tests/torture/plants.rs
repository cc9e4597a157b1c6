//! It can fail: each planted bug is found.
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

use stickystore_integration_tests::torture::{Backend, PLANTS, Plan, SOUND, Verdict};

use crate::{SEED, plan, torture};

/// How many requests a run serves: what most bugs need many times over.
const ACTS: u64 = 3_000;

/// How many runs there are at most, each with a seed of its own: some bugs need several callers to meet, which happens when it
/// happens. All together take less than the minute in which the command has to find every one.
const RUNS: u64 = 10;

/// The one that needs a server which is killed.
const IN_THE_SERVER: &str = "nothing-on-disk";

/// The one that needs a process which is killed.
const IN_THE_PROCESS: &str = "buffered-in-the-process";

#[test]
fn every_planted_bug_is_found() {
    let missed: Vec<_> = PLANTS
        .into_iter()
        .filter(|plant| ![IN_THE_SERVER, IN_THE_PROCESS].contains(plant))
        .filter(|plant| !(SEED..SEED + RUNS).any(|seed| is_found(plant, seed)))
        .collect();
    assert_eq!(missed, [""; 0], "these were not found");
}

#[test]
fn what_carries_its_proof_in_the_map_as_revisions_has_no_bug_to_be_found() {
    for seed in SEED..SEED + 3 {
        let verdict = planted(SOUND, seed);
        assert_eq!(verdict.objection(), None, "{verdict}");
    }
}

#[test]
fn a_buffer_in_the_process_is_found_where_that_is_killed() {
    for backend in [Backend::Embedded, Backend::Redis] {
        let planted = |seed| torture(&Plan { plant: Some(IN_THE_PROCESS), seed, ..plan(backend, ACTS) });
        let mut runs = (SEED..SEED + RUNS).map_while(planted).peekable();
        if runs.peek().is_none() {
            continue;
        }
        let found = runs.find(|verdict| verdict.stickystore.lost > 0);
        let found = found.unwrap_or_else(|| panic!("not found on {backend:?}"));
        assert!(found.faults.contains_key("killed"), "{found}");
    }
}

#[test]
fn nothing_but_a_kill_finds_it() {
    // Nobody kills a process that has the users in its memory.
    let verdict = planted(IN_THE_PROCESS, SEED);
    assert!(!verdict.faults.contains_key("killed"), "{verdict}");
    assert_eq!(verdict.objection(), None, "{verdict}");
}

fn is_found(plant: &'static str, seed: u64) -> bool {
    let verdict = planted(plant, seed);
    let found = verdict.stickystore.lost + verdict.stickystore.flipped;
    println!("{plant}, seed {seed}: {found} found");
    found > 0 && verdict.objection().is_some()
}

fn planted(plant: &'static str, seed: u64) -> Verdict {
    torture(&Plan { plant: Some(plant), seed, ..plan(Backend::Memory, ACTS) }).unwrap()
}

#[test]
fn a_server_that_keeps_nothing_is_found() {
    // Long enough that it is killed.
    let plan = Plan { plant: Some(IN_THE_SERVER), ..plan(Backend::Redis, 4_000) };
    let Some(verdict) = torture(&plan) else { return };
    assert!(verdict.faults.contains_key("server killed"), "{verdict}");
    assert!(verdict.stickystore.lost > 0, "{verdict}");
}
