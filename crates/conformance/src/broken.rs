//! Deliberately broken stores: the suite is itself under test.
//!
//! Each breaks one promise, by a mistake that somebody really makes. All are built into one small store (`bench`)
//! whose every step a fault can do otherwise (`fault`); a file for each group of the contract says which do.
//! [`kill_matrix`] runs the suite on all of them: a store that no case catches is a hole in the suite.

use std::sync::LazyLock;

use crate::harness::Opened;

mod at_hand;
mod basic;
mod batch;
mod bench;
mod concurrency;
mod damage;
mod erasure;
mod expiry;
mod fault;
mod identifiers;
mod lifecycle;
mod matrix;
mod model;
mod namespaces;
mod scan;
mod slow;
mod state;
mod table;
mod values;

pub use matrix::{KillMatrix, Killed, kill_matrix, sound};
pub use slow::sound_but_slow;

/// A store that breaks one promise.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct BrokenStore {
    /// What it does wrong.
    pub name: &'static str,
    /// The promise that it breaks.
    pub breaks: &'static str,
    open: fn() -> Opened,
}

impl BrokenStore {
    /// Opens a new one, empty.
    pub fn open(&self) -> Opened {
        (self.open)()
    }
}

/// Every broken store, by groups.
pub static BROKEN: LazyLock<Vec<BrokenStore>> = LazyLock::new(|| {
    let groups = [
        basic::STORES,
        table::STORES,
        damage::STORES,
        identifiers::STORES,
        values::STORES,
        expiry::STORES,
        concurrency::STORES,
        erasure::STORES,
        batch::STORES,
        scan::STORES,
        lifecycle::STORES,
        namespaces::STORES,
        model::STORES,
        at_hand::STORES,
    ];
    groups.concat()
});
