//! What tests of failing servers share: calls that are timed, and the wait until a store is of use again.

use std::time::{Duration, Instant};

use stickystore_core::{AsyncStore, Call, ErrorKind, Read, Subject, SystemClock};

/// How long after its deadline a call may end, by the contract.
pub const OVERRUN: Duration = Duration::from_millis(100);

/// How much later anything may be seen on a machine that has others to serve.
pub const MACHINE: Duration = Duration::from_secs(2);

/// Runs a call of so many milliseconds, and sees that it ends in time.
pub async fn timed<T>(millis: u64, run: impl AsyncFnOnce(Call) -> T) -> T {
    let deadline = Duration::from_millis(millis);
    let began = Instant::now();
    let answer = run(Call::within(&SystemClock, deadline)).await;
    let took = began.elapsed();
    assert!(took < deadline + OVERRUN + MACHINE, "took {took:?}");
    answer
}

/// Repeats until it works; what it may fail with on the way is `meanwhile`.
pub async fn works_within(
    limit: Duration,
    store: &impl AsyncStore,
    subject: &Subject,
    meanwhile: &[ErrorKind],
) {
    let until = Instant::now() + limit + MACHINE;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let reads = [Read::all(subject.clone())];
        let answers = store.read(Call::within(&SystemClock, left), &reads).await;
        match answers.into_iter().next().unwrap() {
            Ok(_) => return,
            Err(error) => {
                assert!(meanwhile.contains(&error.kind()), "{error}");
                assert!(Instant::now() < until, "not back within {limit:?}: {error}");
            }
        }
    }
}
