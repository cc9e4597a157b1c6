//! The torture run: every store comes through some seconds of it, and it finds every bug that is planted. The whole minute is
//! `cargo xtask torture`.

mod ends;
mod plants;
mod stores;

use std::sync::Mutex;

use stickystore_integration_tests::server::Missing;
use stickystore_integration_tests::torture::{Backend, Plan, Until, Verdict, run};

/// What the runs of these tests begin with.
const SEED: u64 = 1;

/// One run at a time: each has the machine to itself, or too little happens in it.
static TURN: Mutex<()> = Mutex::new(());

/// A run on this store until each process has served so many requests.
fn plan(backend: Backend, acts: u64) -> Plan {
    Plan { backend, nodes: 1, seed: SEED, until: Until::Acts(acts), is_layered: false, plant: None }
}

/// Runs it; nothing where there is no such server, which it says.
fn torture(plan: &Plan) -> Option<Verdict> {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    match run(env!("CARGO_BIN_EXE_torture"), plan) {
        Ok(verdict) => Some(verdict),
        Err(Missing(why)) => {
            println!("skipped: {why}");
            None
        }
    }
}
