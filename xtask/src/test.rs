//! `test`: every test of the workspace, then one table of what each store has shown.

use std::fs;

use crate::shell::{cargo, step, target};
use crate::verdicts::Verdicts;
use crate::{Stop, needs};

/// The stores whose servers have to be there: a test that cannot run is a failure.
const REQUIRED: &str = "redis,cassandra";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// First bring what the tests need and this machine has not.
    #[arg(long)]
    install: bool,
}

pub(crate) fn run(options: &Options) -> Result<(), Stop> {
    needs::meet(needs::NEEDS, options.install)?;
    run_tests()
}

/// Runs the tests, and reports also when some fail.
pub(crate) fn run_tests() -> Result<(), Stop> {
    let reports = target().join("stickystore");
    let folder = reports.join("verdicts");
    let io = |error: std::io::Error| Stop::Failed(format!("{}: {error}", folder.display()));
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(io)?;
    }
    fs::create_dir_all(&folder).map_err(io)?;
    let mut tests = cargo(&["test", "--workspace", "--all-features", "--no-fail-fast"]);
    tests.env("STICKYSTORE_REPORT_DIR", &folder).env("STICKYSTORE_REQUIRE", REQUIRED);
    let tested = step("tests", &mut tests);
    let verdicts = Verdicts::read(&folder).map_err(io)?;
    let report = reports.join("conformance.json");
    fs::write(&report, verdicts.to_json().map_err(io)?).map_err(io)?;
    print!("\n{verdicts}");
    tested?;
    verdicts.judge()
}
