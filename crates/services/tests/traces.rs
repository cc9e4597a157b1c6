//! The list of traces in the crate's documentation names the tests that there are, all of them.
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

use std::collections::BTreeSet;
use std::path::Path;

/// What stands between backquotes in a text.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The number of the trace that a test is about, if it is one.
fn trace(name: &str) -> Option<u32> {
    name.strip_prefix('t')?.split_once('_')?.0.parse().ok()
}

/// Trace, file and test of each line of the list.
fn listed() -> BTreeSet<(u32, String, String)> {
    let mut listed = BTreeSet::new();
    for line in include_str!("../src/traces.md").lines().filter(|line| line.starts_with("| T")) {
        let number = line.trim_start_matches("| T").split(' ').next().unwrap().parse().unwrap();
        let mut file = "";
        for name in quoted(line) {
            if name.ends_with(".rs") {
                file = name;
            } else {
                listed.insert((number, file.to_owned(), name.to_owned()));
            }
        }
    }
    listed
}

/// The same of each test whose name begins with a trace, in this folder and those in it.
fn written(folder: &Path, found: &mut BTreeSet<(u32, String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            written(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let file =
                path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_str().unwrap().replace('\\', "/");
            for line in std::fs::read_to_string(&path).unwrap().lines() {
                let name = line.trim_start().strip_prefix("fn ").and_then(|rest| rest.split('(').next());
                if let Some((name, number)) = name.and_then(|name| Some((name, trace(name)?))) {
                    found.insert((number, file.clone(), name.to_owned()));
                }
            }
        }
    }
}

#[test]
fn the_list_of_traces_is_that_of_the_tests() {
    let mut found = BTreeSet::new();
    for folder in ["src", "tests"] {
        written(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    }
    assert_eq!(listed(), found);
}

#[test]
fn every_trace_has_its_tests() {
    let numbers: BTreeSet<_> = listed().into_iter().map(|(number, ..)| number).collect();
    assert_eq!(numbers, (1..=11).collect());
}
