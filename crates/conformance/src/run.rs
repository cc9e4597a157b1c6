//! Runs cases: all of them into a report, or one as a test.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use futures::FutureExt as _;

use crate::context::Context;
use crate::harness::Harness;
use crate::registry::{CASES, Case};
use crate::report::{CaseReport, Report, Verdict};

/// A case that takes longer hangs, and has failed.
const CASE_LIMIT: Duration = Duration::from_secs(120);

/// The folder where tests leave their verdicts, a line of JSON each, for whoever counts them.
const REPORT_DIR: &str = "STICKYSTORE_REPORT_DIR";

/// Runs every case on this store, one after the other.
///
/// ```
/// use stickystore_conformance::{Harness, Opened, run};
/// use stickystore_core::memory::MemoryStore;
///
/// let harness = Harness::blocking("memory", || Ok(Opened::blocking(MemoryStore::new())));
/// let report = run(&harness);
/// assert!(report.is_good(), "{report}");
/// ```
pub fn run(harness: &Harness) -> Report {
    run_some(harness, |_| true)
}

/// Runs the cases that are wanted.
pub fn run_some(harness: &Harness, mut wanted: impl FnMut(&Case) -> bool) -> Report {
    let wanted = CASES.iter().filter(|case| wanted(case));
    let cases =
        wanted.map(|case| CaseReport { group: case.group, name: case.name, verdict: judge(harness, case) });
    Report::new(harness.backend.clone(), harness.api.as_str(), cases.collect())
}

/// Runs one case and panics if its claim does not hold; what the tests of
/// [`conformance_tests!`](crate::conformance_tests) do.
pub fn test(harness: &Harness, group: &str, name: &str) {
    let case = CASES.iter().find(|case| case.group == group && case.name == name);
    let case = case.expect("the macro names cases of the list");
    let verdict = judge(harness, case);
    record(harness, case, &verdict);
    match verdict {
        Verdict::Passed => {}
        Verdict::Skipped(why) => println!("skipped: {why}"),
        Verdict::Failed(seen) => panic!("{} ({}): {seen}", harness.backend, harness.api.as_str()),
    }
}

fn judge(harness: &Harness, case: &Case) -> Verdict {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("the machine has threads for a runtime");
    let verdict = runtime.block_on(async {
        let name = format!("{}::{}", case.group, case.name);
        let cx = match Context::open(harness, &name).await {
            Ok(cx) => cx,
            Err(error) => return Verdict::Failed(format!("the store does not open: {error}")),
        };
        let run = std::panic::AssertUnwindSafe((case.run)(cx)).catch_unwind();
        match tokio::time::timeout(CASE_LIMIT, run).await {
            Ok(Ok(Ok(()))) => Verdict::Passed,
            Ok(Ok(Err(skip))) => Verdict::Skipped(skip.0),
            Ok(Err(panic)) => Verdict::Failed(message(&*panic)),
            Err(_) => Verdict::Failed(format!("did not end within {CASE_LIMIT:?}")),
        }
    });
    // A store that hangs must not hang the suite.
    runtime.shutdown_timeout(Duration::from_secs(1));
    verdict
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panicked").to_owned()
}

fn record(harness: &Harness, case: &Case, verdict: &Verdict) {
    let Some(folder) = std::env::var_os(REPORT_DIR).map(PathBuf::from) else { return };
    #[derive(serde::Serialize)]
    struct Line<'a> {
        backend: &'a str,
        api: &'a str,
        group: &'a str,
        name: &'a str,
        #[serde(flatten)]
        verdict: &'a Verdict,
    }
    let (backend, api) = (harness.backend.as_str(), harness.api.as_str());
    let line = Line { backend, api, group: case.group, name: case.name, verdict };
    let line = serde_json::to_string(&line).expect("a verdict is JSON") + "\n";
    // A file for each test process, and one write for each line: tests run on many threads at once.
    let file = folder.join(format!("{backend}-{api}-{}.jsonl", std::process::id()));
    let mut file =
        std::fs::File::options().create(true).append(true).open(file).expect("the report folder is there");
    file.write_all(line.as_bytes()).expect("the report can be written");
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use stickystore_core::memory::MemoryStore;
    use stickystore_core::{Immediate, Key, Subject};

    use super::*;
    use crate::harness::{Opened, Plant};

    /// Damages the memory store's data.
    struct Hammer(MemoryStore);

    #[async_trait]
    impl Plant for Hammer {
        async fn damaged_entry(&self, subject: &Subject, key: &Key) {
            self.0.plant(subject, key.clone(), "no entry at all");
        }

        async fn foreign_user(&self, subject: &Subject) {
            self.0.plant_foreign(subject);
        }
    }

    fn assert_good(report: &Report) {
        assert!(report.is_good(), "{report}");
        for case in &report.cases {
            if let Verdict::Skipped(why) = &case.verdict {
                let honest = why.starts_with("declared") || why == "the store can scan";
                assert!(honest, "{}::{}: {why}", case.group, case.name);
            }
        }
        assert!(report.passed > report.skipped);
    }

    #[test]
    fn the_memory_store_passes() {
        let grace = Duration::from_millis(100);
        let open = || {
            let store = MemoryStore::builder().grace(Duration::from_millis(100)).build();
            (store.clone(), Hammer(store))
        };
        let blocking = Harness::blocking("memory", move || {
            let (store, hammer) = open();
            Ok(Opened::blocking(store).with_plant(hammer))
        });
        assert_good(&run(&blocking.with_grace(grace)));
        let asynchronous = Harness::asynchronous("memory", move || async move {
            let (store, hammer) = open();
            Ok(Opened::asynchronous(Immediate::new(store)).with_plant(hammer))
        });
        assert_good(&run(&asynchronous.with_grace(grace)));
    }
}
