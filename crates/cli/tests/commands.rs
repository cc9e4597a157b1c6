//! The command as a user types it: what it prints, and its exit code.
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const RECORDING: &str = "optimizely-js-v5.jsonl";

fn stickystore(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stickystore")).env_remove("CARGO").args(arguments).output().unwrap()
}

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../integration-tests/vectors")
}

fn vector(name: &str) -> String {
    vectors().join(name).to_str().unwrap().to_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A file of this test's own, removed with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, content: &str) -> Self {
        let file = std::env::temp_dir().join(format!("stickystore-{}-{name}", std::process::id()));
        std::fs::write(&file, content).unwrap();
        Self(file)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A file that is not there yet, and goes with this.
struct Unmade(PathBuf);

impl Unmade {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("stickystore-cli-{}-{name}.redb", std::process::id())))
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Unmade {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn the_demo_flips_about_as_many_as_theory_says_without_a_store_and_none_with_it() {
    let file = Unmade::new("figures");
    let output = stickystore(&["demo", "--json", "--file", file.path()]);
    assert_eq!(output.status.code(), Some(0));
    let figures = json(&output);
    let figure = |name: &str| figures[name].as_f64().unwrap();
    assert_eq!(figure("users"), 10_000.0);
    assert_eq!(figure("flipped_with_store"), 0.0);
    assert_eq!(figure("flipped_after_reassignment"), 0.0);
    assert!(figure("reassigned_with_store") > 3_000.0, "the dropped variation's users were given another");
    // Four standard deviations of a count of 10 000 users; the users and their hash are always the same.
    let expected = figure("expected_without_store");
    let deviation = (expected * (1.0 - expected / 10_000.0)).sqrt();
    assert!((figure("flipped_without_store") - expected).abs() < 4.0 * deviation);
}

#[test]
fn the_demo_says_it_in_words_too() {
    let file = Unmade::new("words");
    let demo = ["demo", "--users", "100", "--file", file.path()];
    let output = stickystore(&demo);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("with stickystore         0"), "{}", text(&output.stdout));
    // Its last line can be tried, and the demo once more.
    let last = text(&output.stdout).lines().last().unwrap();
    let lookup: Vec<_> = last.split("  stickystore ").nth(1).unwrap().split(' ').collect();
    let kept = stickystore(&lookup);
    assert!(text(&kept.stdout).starts_with("checkout  "), "{last}: {}", text(&kept.stdout));
    assert_eq!(stickystore(&demo).status.code(), Some(0));
}

#[test]
fn the_demo_leaves_another_file_alone() {
    let file = Unmade::new("other");
    let store = format!("embedded:{}", file.path());
    assert_eq!(stickystore(&["assign", "ann", "button", "red", "--store", &store]).status.code(), Some(0));
    let output = stickystore(&["demo", "--users", "1", "--file", file.path()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no demo has left this file"), "{}", text(&output.stderr));
    let kept = stickystore(&["export", "ann", "--store", &store]);
    assert_eq!(text(&kept.stdout), "button  \"red\"\n");
}

#[test]
fn the_recorded_traffic_is_answered_but_for_the_listed_differences() {
    let output = stickystore(&["replay", &vector(RECORDING), "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let found = json(&output);
    assert_eq!(found["calls"], 151);
    assert_eq!(found["answered_as_recorded"], 149);
    assert_eq!(found["expected_differences"].as_array().unwrap().len(), 2);
}

#[test]
fn a_difference_that_is_not_listed_is_found() {
    let none = Scratch::new("none.json", "[]");
    let output = stickystore(&["replay", &vector(RECORDING), "--expected", none.path(), "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let reasons: Vec<_> = json(&output)["unexpected_differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|difference| {
            (difference["seq"].as_u64().unwrap(), difference["reason"].as_str().unwrap().to_owned())
        })
        .collect();
    assert_eq!(reasons, [(612, "unproven".to_owned()), (620, "sdk-lost-data".to_owned())]);
}

#[test]
fn a_listed_difference_that_does_not_occur_is_found() {
    let listed =
        std::fs::read_to_string(vectors().join("optimizely-js-v5.expected-differences.json")).unwrap();
    let mut listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
    listed.push(serde_json::json!({"seq": 2, "recorded": null, "ours": {}, "reason": "unproven"}));
    let listed = Scratch::new("more.json", &serde_json::to_string(&listed).unwrap());
    let output = stickystore(&["replay", &vector(RECORDING), "--expected", listed.path()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("did NOT OCCUR: call 2"), "{}", text(&output.stdout));
}

#[test]
fn without_receipts_no_save_proves_what_it_read() {
    let output = stickystore(&["replay", &vector(RECORDING), "--no-proof", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let found = json(&output);
    let differences = found["unexpected_differences"].as_array().unwrap();
    let removed = differences.iter().filter(|one| one["reason"] == "unproven").count();
    assert!(removed > 2, "the variations that left the datafile stay: {removed}");
}

#[test]
fn what_cannot_be_replayed_is_named_and_nothing_is_guessed() {
    let empty = Scratch::new("empty.jsonl", "");
    let broken =
        Scratch::new("broken.jsonl", "{\"kind\":\"meta\",\"sdk\":\"optimizely-x\"}\n{\"kind\":\"call\"}\n");
    let other = Scratch::new("other.jsonl", "{\"kind\":\"meta\",\"sdk\":\"vwo-node\"}\n");
    let meta = "{\"kind\":\"meta\",\"sdk\":\"optimizely-x\"}\n";
    let nothing = Scratch::new("nothing.jsonl", meta);
    let kind = Scratch::new("kind.jsonl", &format!("{meta}{{\"kind\":\"cal\"}}\n"));
    let verb = "{\"kind\":\"call\",\"seq\":7,\"scenario\":\"s\",\"method\":\"delete\",\"args\":[\"u\"],\"ret\":null}";
    let verb =
        Scratch::new("verb.jsonl", &format!("{{\"kind\":\"meta\",\"sdk\":\"optimizely-x\"}}\n{verb}\n"));
    for (file, says) in [
        ("no-such-file", "no-such-file: "),
        (empty.path(), "no row of kind \"meta\""),
        (broken.path(), "line 2: missing field `seq`"),
        (other.path(), "is of vwo-node"),
        (nothing.path(), "has no row of kind \"call\""),
        (kind.path(), "line 2: a row of kind \"cal\""),
        (verb.path(), "call 7: its method is \"delete\", not lookup or save"),
    ] {
        let output = stickystore(&["replay", file]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(says), "{}", text(&output.stderr));
    }
}

#[test]
fn whoever_stops_reading_ends_it_quietly() {
    let file = Unmade::new("quiet");
    let command = Command::new(env!("CARGO_BIN_EXE_stickystore"))
        .args(["demo", "--users", "100", "--file", file.path()])
        .stdout(Stdio::piped())
        .spawn();
    let mut command = command.unwrap();
    drop(command.stdout.take());
    assert_eq!(command.wait().unwrap().code(), Some(0));
}

#[test]
fn an_unknown_verb_is_named() {
    let output = stickystore(&["dmeo"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("demo"), "the nearest verb is offered: {}", text(&output.stderr));
}
