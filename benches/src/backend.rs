//! Everything that is measured of one backend, in the order in which it is printed.

use stickystore_core::AsyncStore;

use crate::crowd::Crowd;
use crate::measure::Contender;
use crate::operation::Operation;
use crate::options::{Options, Part};
use crate::report::Report;
use crate::threads::Way;
use crate::words::{filling, within};
use crate::{arrivals, heap, held, ours, threads};

/// Those that a store is compared with.
pub(crate) trait Rivals {
    /// Gives these users their entries, as each of them keeps them.
    async fn fill(&self, crowd: &Crowd);

    /// Whoever does it beside the store: `driver`, `batch`, `opendal`.
    async fn beside(&self, operation: Operation, callers: usize, crowd: &Crowd) -> Vec<Contender>;

    /// The native blocking driver, where there is one; it loads and puts.
    fn blocking(&self, operation: Operation, threads: usize, crowd: &Crowd) -> Contender;
}

/// Measures the store that `open` gives, its blocking API also in these ways, beside the rivals that `rivals` gives; neither has
/// connected yet.
pub(crate) async fn report<S: AsyncStore + Clone, R: Rivals>(
    options: &Options,
    backend: &'static str,
    open: impl Fn() -> S,
    ways: &[Way<S>],
    rivals: impl AsyncFn() -> R,
) -> Report {
    let mut report = Report::default();
    if heap::is_counted() && options.parts.contains(&Part::Memory) {
        report.held = held::clients(options, backend, &open, &rivals).await;
    }
    let (store, rivals) = (open(), rivals().await);
    if options.parts.contains(&Part::Async) {
        report.rows.extend(ours::rows(options, backend, &store, &rivals).await);
    }
    if heap::is_counted() {
        return report;
    }
    if options.parts.contains(&Part::Blocking) {
        report.rows.extend(threads::rows(options, backend, &open, ways, &rivals).await);
    }
    if options.parts.contains(&Part::OpenLoop) {
        report.arrivals = arrivals::rows(options, backend, &store, &rivals).await;
    }
    report
}

/// Gives users their entries, the store's and the rivals'.
pub(crate) async fn fill(store: &impl AsyncStore, rivals: &impl Rivals, crowd: &Crowd) {
    for part in crowd.parts() {
        let writes: Vec<_> = part.iter().map(|user| filling(user, crowd.filled)).collect();
        let answers = store.write(within(), &writes).await;
        answers.into_iter().flatten().for_each(|answer| drop(answer.expect("a put")));
    }
    rivals.fill(crowd).await;
}
