//! The suite is itself under test: every broken store fails at least one case.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use stickystore_conformance::CASES;
use stickystore_conformance::broken::{BROKEN, KillMatrix, kill_matrix, sound};

/// The fewest broken stores that are a test of the suite.
const FEWEST: usize = 32;

/// One run for all tests of this file.
static MATRIX: LazyLock<KillMatrix> = LazyLock::new(kill_matrix);

#[test]
fn the_wrapper_without_a_fault_passes() {
    // Not while the matrix keeps the machine busy: some cases wait for real time.
    LazyLock::force(&MATRIX);
    let report = sound();
    assert!(report.is_good(), "{report}");
}

#[test]
fn every_broken_store_is_caught() {
    let matrix = &*MATRIX;
    println!("{matrix}");
    assert!(matrix.stores.len() >= FEWEST);
    let survivors = matrix.survivors();
    let named: Vec<_> = survivors.iter().map(|store| format!("{}: {}", store.name, store.breaks)).collect();
    assert!(survivors.is_empty(), "no case catches these:\n{}", named.join("\n"));
}

#[test]
fn every_group_has_a_broken_store() {
    let groups: BTreeSet<_> = CASES.iter().map(|case| case.group).collect();
    let names = MATRIX.stores.iter().flat_map(|store| &store.caught_by);
    let catching: BTreeSet<_> = names.filter_map(|name| Some(name.split_once("::")?.0)).collect();
    assert_eq!(catching, groups);
}

#[test]
fn no_two_broken_stores_have_the_same_name() {
    let names: BTreeSet<_> = BROKEN.iter().map(|store| store.name).collect();
    assert_eq!(names.len(), BROKEN.len());
}

#[test]
fn the_matrix_is_json_with_every_store() {
    let json: serde_json::Value = serde_json::from_str(&MATRIX.to_json()).unwrap();
    let stores = json["stores"].as_array().unwrap();
    assert_eq!(stores.len(), BROKEN.len());
    assert!(stores.iter().all(|store| store["name"].is_string() && store["caught_by"].is_array()));
}
