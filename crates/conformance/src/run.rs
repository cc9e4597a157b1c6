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
    if let Some(why) = &harness.missing {
        return Verdict::Skipped(why.clone());
    }
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
    use stickystore_core::memory::MemoryStore;
    use stickystore_core::{Error, ErrorKind};

    use super::*;
    use crate::harness::Opened;

    #[test]
    fn a_report_has_every_wanted_case_once_with_its_verdict() {
        let harness = Harness::blocking("memory", || Ok(Opened::blocking(MemoryStore::new())));
        let report = run_some(&harness, |case| case.group == "scan" || case.group == "damage");
        let wanted: Vec<_> = CASES
            .iter()
            .filter(|case| case.group == "scan" || case.group == "damage")
            .map(|case| case.name)
            .collect();
        assert_eq!(report.cases.iter().map(|case| case.name).collect::<Vec<_>>(), wanted);
        assert_eq!(report.passed + report.failed + report.skipped, wanted.len());
        assert!(report.is_good() && report.passed > 0, "{report}");
        assert!(report.to_string().contains("the harness gives no means to damage data"), "{report}");
    }

    #[test]
    fn a_store_that_does_not_open_fails_every_case_and_says_why() {
        let refused = || Err::<Opened, _>(Error::new(ErrorKind::Denied, "wrong password"));
        let report = run_some(&Harness::blocking("shut", refused), |case| case.group == "scan");
        assert!(report.failed > 0 && report.passed == 0);
        assert!(report.to_string().contains("wrong password"), "{report}");
    }
}
