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
const FEATURE_SETS: &[(&str, &[&str])] = &[
    ("no features", &["--workspace", "--all-targets", "--no-default-features"]),
    ("all features", &["--workspace", "--all-targets", "--all-features"]),
    // Alone, since the others in the workspace ask for features of the core.
    ("core without features", &["--package", "stickystore-core", "--all-targets", "--no-default-features"]),
    ("facade without features", &["--package", "stickystore", "--all-targets", "--no-default-features"]),
    ("facade with `growthbook`", &["--package", "stickystore", "--all-targets", "--features", "growthbook"]),
    // An application may ask the driver for it, and then we get it too.
    ("MongoDB with `bson-3`", &["--package", "stickystore-mongodb", "--lib", "--features", "mongodb/bson-3"]),
    ("core with `blocking`", &["--package", "stickystore-core", "--all-targets", "--features", "blocking"]),
];

/// The layers, each a feature: linted one by one.
const LAYERS: &[&str] = &["cache", "coalesce", "metrics", "resilience", "tracing", "write-behind"];

/// The facade's stores, each a feature: linted one by one and two by two, since each driver asks for features of what the
/// others use too.
const STORES: &[&str] = &["cassandra", "embedded", "memcached", "mongodb", "redis"];

pub(crate) fn run(options: &Options) -> Result<(), Stop> {
    step("format", &mut cargo(&["fmt", "--all", "--check"]))?;
    for (name, features) in FEATURE_SETS {
        let mut clippy = cargo(&["clippy", "--quiet"]);
        step(&format!("lints, {name}"), clippy.args(*features).args(["--", "--deny", "warnings"]))?;
    }
    for layer in LAYERS {
        lint("stickystore-layers", layer, &["--all-targets"])?;
        lint("stickystore", layer, &["--all-targets"])?;
    }
    for (place, one) in STORES.iter().enumerate() {
        lint("stickystore", one, &["--all-targets"])?;
        for other in STORES.iter().skip(place + 1) {
            lint("stickystore", &format!("{one},{other}"), &[])?;
        }
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

/// Lints a package with these features.
fn lint(package: &str, features: &str, targets: &[&str]) -> Result<(), Stop> {
    let mut clippy = cargo(&["clippy", "--quiet", "--package", package, "--features", features]);
    step(
        &format!("lints, {package} with `{features}`"),
        clippy.args(targets).args(["--", "--deny", "warnings"]),
    )
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
