//! What a document names exists: files, conformance cases. The commands are tested in `xtask`.

use std::collections::HashSet;
use std::path::Path;

use stickystore_conformance::CASES;

const DOCUMENTS: [(&str, &str); 7] = [
    ("README.md", include_str!("../../README.md")),
    ("ARCHITECTURE.md", include_str!("../../ARCHITECTURE.md")),
    ("CONTRIBUTING.md", include_str!("../../CONTRIBUTING.md")),
    ("CHANGELOG.md", include_str!("../../CHANGELOG.md")),
    ("docs/moving.md", include_str!("../../docs/moving.md")),
    ("docs/torture.md", include_str!("../../docs/torture.md")),
    ("integration-tests/vectors/README.md", include_str!("../vectors/README.md")),
];

const CONTRACT: &str = include_str!("../../crates/core/src/contract.md");

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// What stands between backticks, outside of fenced code.
fn quoted(text: &str) -> Vec<&str> {
    let fenced = text.split("```").step_by(2);
    fenced.flat_map(|prose| prose.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn every_file_that_a_document_names_is_there() {
    let mut named = 0;
    for (document, text) in DOCUMENTS {
        let paths = quoted(text).into_iter().filter(|name| {
            ["crates/", "integration-tests/", "xtask/", "docs/"].iter().any(|folder| name.starts_with(folder))
        });
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for path in paths.chain(links.filter(|link| !link.contains("://"))) {
            named += 1;
            assert!(root().join(path).exists(), "{document} names {path}");
        }
    }
    assert!(named > 20, "documents name files: {named}");
}

#[test]
fn every_conformance_case_that_the_contract_names_exists() {
    let cases: HashSet<_> = CASES.iter().map(|case| format!("{}::{}", case.group, case.name)).collect();
    let groups: HashSet<_> = CASES.iter().map(|case| case.group).collect();
    let named: Vec<_> = quoted(CONTRACT)
        .into_iter()
        .filter(|name| name.contains("::") && !name.starts_with("crate"))
        .collect();
    assert!(named.len() > 40, "the contract names its cases: {}", named.len());
    for name in named {
        assert!(cases.contains(name), "the contract names {name}");
    }
    for rest in CONTRACT.split("group `").skip(1) {
        let group = rest.split('`').next().unwrap();
        assert!(groups.contains(group), "the contract names the group {group}");
    }
}

#[test]
fn every_sentence_of_the_contract_names_what_tests_it() {
    for sentence in CONTRACT.split("\n- ").skip(1) {
        assert!(sentence.contains("(`") || sentence.contains("(group `"), "{sentence}");
    }
}
