//! `ci`: what a change has to pass.

use std::process::Command;

use crate::shell::{answers, cargo, root, step};
use crate::{Stop, containers, test};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Leave out the tests that `cargo xtask test` has just run; those on containers run all the same.
    #[arg(long)]
    no_test: bool,
}

/// Each set of features that is linted by itself: what compiles with all of them may not with one.
const FEATURE_SETS: [(&str, &[&str]); 14] = [
    ("no features", &["--workspace", "--all-targets", "--no-default-features"]),
    ("all features", &["--workspace", "--all-targets", "--all-features"]),
    // Alone, since the others in the workspace ask for features of the core.
    ("core without features", &["--package", "stickystore-core", "--all-targets", "--no-default-features"]),
    ("layers with `tracing`", &["--package", "stickystore-layers", "--all-targets", "--features", "tracing"]),
    ("layers with `cache`", &["--package", "stickystore-layers", "--all-targets", "--features", "cache"]),
    (
        "layers with `resilience`",
        &["--package", "stickystore-layers", "--all-targets", "--features", "resilience"],
    ),
    ("layers with `metrics`", &["--package", "stickystore-layers", "--all-targets", "--features", "metrics"]),
    ("facade without features", &["--package", "stickystore", "--all-targets", "--no-default-features"]),
    ("facade with `embedded`", &["--package", "stickystore", "--all-targets", "--features", "embedded"]),
    (
        "services with `metrics`",
        &["--package", "stickystore-services", "--all-targets", "--features", "metrics"],
    ),
    ("facade with `cache`", &["--package", "stickystore", "--all-targets", "--features", "cache"]),
    ("facade with `redis`", &["--package", "stickystore", "--all-targets", "--features", "redis"]),
    ("facade with `growthbook`", &["--package", "stickystore", "--all-targets", "--features", "growthbook"]),
    ("core with `blocking`", &["--package", "stickystore-core", "--all-targets", "--features", "blocking"]),
];

pub(crate) fn run(options: &Options) -> Result<(), Stop> {
    step("format", &mut cargo(&["fmt", "--all", "--check"]))?;
    for (name, features) in FEATURE_SETS {
        let mut clippy = cargo(&["clippy", "--quiet"]);
        step(&format!("lints, {name}"), clippy.args(features).args(["--", "--deny", "warnings"]))?;
    }
    let mut doc = cargo(&["doc", "--quiet", "--workspace", "--no-deps", "--all-features"]);
    step("documentation", doc.env("RUSTDOCFLAGS", "--deny warnings"))?;
    if options.no_test {
        println!("\n== tests and doctests: left out, as asked");
    } else {
        test::run_tests()?;
    }
    containers::in_ci()?;
    deny()
}

/// Licences, bans and sources always; advisories where their database can be reached.
fn deny() -> Result<(), Stop> {
    if !answers(&mut cargo(&["deny", "--version"])) {
        step("install cargo-deny", &mut cargo(&["install", "cargo-deny", "--locked"]))?;
    }
    step(
        "licences, bans, sources",
        &mut cargo(&["deny", "--log-level", "error", "check", "bans", "licenses", "sources"]),
    )?;
    if answers(&mut fetch_advisories()) {
        return step(
            "advisories",
            &mut cargo(&["deny", "--log-level", "error", "check", "--disable-fetch", "advisories"]),
        );
    }
    println!("\n== advisories: NOT CHECKED, their database cannot be reached from here");
    Ok(())
}

fn fetch_advisories() -> Command {
    let mut fetch = cargo(&["deny", "fetch", "db"]);
    fetch.current_dir(root()).env("GIT_TERMINAL_PROMPT", "0");
    fetch
}
