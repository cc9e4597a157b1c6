//! `test`: every test of the workspace, then one table of what each store has shown.

use std::fs;
use std::process::Command;

use crate::containers::Images;
use crate::shell::{cargo, step_of_tests, target};
use crate::verdicts::Verdicts;
use crate::{Stop, containers, needs};

/// Names the stores whose servers, and the toolchains, that have to be there: a test that cannot run is a failure.
pub(crate) const REQUIRE: &str = "STICKYSTORE_REQUIRE";

/// Those of all tests.
const REQUIRED: &str = "redis,memcached,cassandra,mongodb,python,node";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// First bring what the tests need and this machine has not.
    #[arg(long)]
    install: bool,
    /// Run the conformance suite alone, against servers in containers of docker or podman.
    #[arg(long, conflicts_with = "install")]
    containers: bool,
    /// As root on Debian: build the containers' images from packages; brings podman if no engine answers.
    #[arg(long, requires = "containers")]
    local_images: bool,
}

pub(crate) fn run(options: &Options) -> Result<(), Stop> {
    if options.containers {
        let images = if options.local_images { Images::StandIns } else { Images::Official };
        return containers::test(images);
    }
    needs::meet(needs::NEEDS, options.install)?;
    run_tests()
}

/// Runs the tests, and reports also when some fail.
pub(crate) fn run_tests() -> Result<(), Stop> {
    let mut tests = cargo(&["test", "--workspace", "--all-features", "--no-fail-fast"]);
    judged("", tests.env(REQUIRE, REQUIRED)).map(drop)
}

/// Runs these tests and judges their verdicts, which are left in this folder of the reports.
pub(crate) fn judged(name: &str, tests: &mut Command) -> Result<Verdicts, Stop> {
    let reports = target().join("stickystore").join(name);
    let folder = reports.join("verdicts");
    let io = |error: std::io::Error| Stop::Failed(format!("{}: {error}", folder.display()));
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(io)?;
    }
    fs::create_dir_all(&folder).map_err(io)?;
    tests.env("STICKYSTORE_REPORT_DIR", &folder);
    let (tested, failures) = step_of_tests("tests", tests);
    let verdicts = Verdicts::read(&folder).map_err(io)?;
    let report = reports.join("conformance.json");
    fs::write(&report, verdicts.to_json().map_err(io)?).map_err(io)?;
    print!("\n{verdicts}");
    if tested.is_err() {
        println!("\n== what failed, told again\n{failures}");
    }
    tested?;
    verdicts.judge()?;
    Ok(verdicts)
}
