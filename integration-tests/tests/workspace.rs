//! What the manifests promise: one oldest Rust, features that bring only what they say, one default command.
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

use std::collections::HashSet;
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId, semver::Version};

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .exec()
        .unwrap()
}

#[test]
fn no_dependency_needs_a_newer_rust_than_we_declare() {
    let metadata = metadata();
    let workspace = metadata.workspace_packages();
    let ours: HashSet<_> = workspace.iter().map(|package| package.rust_version.clone().unwrap()).collect();
    assert_eq!(ours.len(), 1, "every package inherits the workspace's: {ours:?}");
    let ours: Version = ours.into_iter().next().unwrap();
    for package in &metadata.packages {
        let theirs = package.rust_version.as_ref();
        assert!(theirs.is_none_or(|theirs| *theirs <= ours), "{} needs {theirs:?}", package.name);
    }
}

#[test]
fn a_bare_cargo_run_is_the_command() {
    let metadata = metadata();
    let defaults = metadata.workspace_default_packages();
    let names: Vec<_> = defaults.iter().map(|package| package.name.as_str()).collect();
    assert_eq!(names, ["stickystore-cli"]);
}

#[test]
fn each_crate_knows_only_those_above_it() {
    // In the order of ARCHITECTURE; what tests need is another matter.
    let order = [
        "stickystore-core",
        "stickystore-transport",
        "stickystore-embedded",
        "stickystore-redis",
        "stickystore-memcached",
        "stickystore-mongodb",
        "stickystore-cassandra",
        "stickystore-layers",
        "stickystore-services",
        "stickystore",
        "stickystore-conformance",
        "stickystore-cli",
    ];
    let metadata = metadata();
    for (place, name) in order.iter().enumerate() {
        let package = metadata.workspace_packages().into_iter().find(|package| package.name == *name);
        let package = package.unwrap_or_else(|| panic!("{name} is there"));
        for dependency in package.dependencies.iter().filter(|one| one.kind == DependencyKind::Normal) {
            let known = order.iter().position(|other| *other == dependency.name);
            assert!(known.is_none_or(|known| known < place), "{name} knows {}", dependency.name);
        }
    }
}

#[test]
fn a_feature_of_the_facade_brings_one_driver_or_sdk() {
    // The crate of the driver or the SDK, by the feature that brings it.
    let drivers = [
        ("embedded", "redb"),
        ("memcached", "stickystore-memcached"),
        ("mongodb", "mongodb"),
        ("redis", "stickystore-redis"),
        ("growthbook", "growthbook-rust"),
    ];
    for feature in std::iter::once("").chain(drivers.iter().map(|(feature, _)| *feature)) {
        let tree = Command::new(env!("CARGO"))
            .args(["tree", "--offline", "--package", "stickystore", "--no-default-features"])
            .args(["--features", feature, "--edges", "normal", "--prefix", "none", "--format", "{p}"])
            .output()
            .unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        let tree = String::from_utf8(tree.stdout).unwrap();
        let packages: HashSet<_> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
        for (theirs, driver) in drivers {
            assert_eq!(packages.contains(driver), theirs == feature, "{driver} with {feature:?}");
        }
        // A runtime comes only with what needs one.
        assert_eq!(packages.contains("tokio"), !feature.is_empty(), "tokio with {feature:?}");
    }
}

#[test]
fn the_core_without_features_brings_no_runtime() {
    let metadata = metadata();
    let core = metadata.packages.iter().find(|package| package.name == "stickystore-core").unwrap();
    let always = core.dependencies.iter().filter(|one| one.kind == DependencyKind::Normal && !one.optional);
    let always: Vec<_> = always.map(|dependency| dependency.name.as_str()).collect();
    assert!(!always.contains(&"tokio"), "{always:?}");
    // Nor does anything that it always needs.
    let resolve = metadata.resolve.as_ref().unwrap();
    let node = |id: &PackageId| resolve.nodes.iter().find(|node| node.id == *id).unwrap();
    let names =
        |id: &PackageId| metadata.packages.iter().find(|package| package.id == *id).unwrap().name.clone();
    let mut open: Vec<_> =
        node(&core.id).dependencies.iter().filter(|id| always.contains(&names(id).as_str())).collect();
    let mut seen = HashSet::new();
    while let Some(id) = open.pop() {
        if seen.insert(id) {
            assert_ne!(names(id).as_str(), "tokio");
            open.extend(&node(id).dependencies);
        }
    }
}
