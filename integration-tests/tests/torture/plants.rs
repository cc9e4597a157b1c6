//! It can fail: each planted bug is found.

use stickystore_integration_tests::torture::{Backend, PLANTS};

use crate::torture;

/// How many requests are served: what the rarest bug needs several times over.
const ACTS: u64 = 3_000;

#[test]
fn every_planted_bug_is_found() {
    let missed: Vec<_> = PLANTS
        .into_iter()
        .filter(|plant| {
            let verdict = torture(Backend::Memory, ACTS, Some(plant)).unwrap();
            let found = verdict.stickystore.lost + verdict.stickystore.flipped;
            println!("{plant}: {found} found");
            found == 0 || verdict.objection().is_none()
        })
        .collect();
    assert_eq!(missed, [""; 0], "these were not found");
}
