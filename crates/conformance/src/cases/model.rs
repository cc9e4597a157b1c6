//! Random sequences of operations answer as the reference does, through whichever API: so both APIs agree.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use tokio::runtime::Handle;

use crate::context::{CaseResult, Context};
use crate::harness::Effort;
use crate::model::{replay, steps};

/// How many sequences are tried: the same ones in every run.
const SEQUENCES: u32 = 150;

/// The same when it has to be quick.
const QUICK_SEQUENCES: u32 = 40;

/// How long a difference is shrunk, in milliseconds: well within what a case may take.
const SHRINKING: u32 = 20_000;

pub(crate) async fn random_operations_match_the_model(cx: Context) -> CaseResult {
    let handle = Handle::current();
    // The runner calls back without a future, and so needs a thread that may wait for one.
    let run = move || {
        let (cases, max_shrink_iters) = match cx.effort() {
            Effort::Full => (SEQUENCES, u32::MAX),
            Effort::Quick => (QUICK_SEQUENCES, 0),
        };
        let config = Config {
            cases,
            failure_persistence: None,
            max_shrink_time: SHRINKING,
            max_shrink_iters,
            ..Config::default()
        };
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        // Each run has users of its own, also while it shrinks.
        let turn = AtomicU64::new(0);
        runner.run(&steps(), |steps| {
            let turn = turn.fetch_add(1, Ordering::Relaxed);
            handle.block_on(replay(&cx, turn, &steps)).map_err(TestCaseError::fail)
        })
    };
    match tokio::task::spawn_blocking(run).await {
        Ok(ran) => ran.unwrap_or_else(|difference| panic!("{difference}")),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
    Ok(())
}
