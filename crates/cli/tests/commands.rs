//! The command as a user types it: what it prints, and its exit code.
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const RECORDING: &str = "optimizely-js-v5.jsonl";
const VWO: &str = "vwo-node.jsonl";

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

/// Sequence numbers and reasons of the differences that are not expected.
fn unexpected(found: &Value) -> Vec<(u64, String)> {
    let differences = found["unexpected_differences"].as_array().unwrap().iter();
    let found =
        differences.map(|one| (one["seq"].as_u64().unwrap(), one["reason"].as_str().unwrap().to_owned()));
    found.collect()
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
    let output = stickystore(&["demo", "--users", "100", "--file", file.path()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("with stickystore         0"), "{}", text(&output.stdout));
    // Its last line can be tried.
    let last = text(&output.stdout).lines().last().unwrap();
    let lookup: Vec<_> = last.split("  stickystore ").nth(1).unwrap().split(' ').collect();
    let kept = stickystore(&lookup);
    assert!(text(&kept.stdout).starts_with("checkout  "), "{last}: {}", text(&kept.stdout));
}

#[test]
fn the_demos_own_file_begins_anew_each_time_and_is_left_alone_where_it_is_not_the_demos() {
    let temporary = std::env::temp_dir().join(format!("stickystore-cli-{}-tmp", std::process::id()));
    std::fs::create_dir_all(&temporary).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stickystore"));
        command.args(arguments).env("TMPDIR", &temporary).output().unwrap()
    };
    for _ in 0..2 {
        assert_eq!(run(&["demo", "--users", "10"]).status.code(), Some(0));
    }
    let file = temporary.join("stickystore-demo.redb");
    std::fs::remove_file(&file).unwrap();
    let store = format!("embedded:{}", file.display());
    assert_eq!(run(&["assign", "ann", "button", "red", "--store", &store]).status.code(), Some(0));
    assert!(text(&run(&["demo"]).stderr).contains("no demo has left this file"));
    assert_eq!(run(&["export", "ann", "--store", &store]).status.code(), Some(0));
    std::fs::remove_dir_all(&temporary).unwrap();
}

#[test]
fn the_demo_leaves_another_file_alone() {
    let file = Unmade::new("other");
    let store = format!("embedded:{}", file.path());
    assert_eq!(stickystore(&["assign", "ann", "button", "red", "--store", &store]).status.code(), Some(0));
    let output = stickystore(&["demo", "--users", "1", "--file", file.path()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("is there already"), "{}", text(&output.stderr));
    let kept = stickystore(&["export", "ann", "--store", &store]);
    assert_eq!(text(&kept.stdout), "button  \"red\"\n");
}

#[test]
fn the_recorded_traffic_is_answered_but_for_the_listed_differences() {
    for (recording, calls, answered) in [(RECORDING, 151, 149), (VWO, 242, 237)] {
        let output = stickystore(&["replay", &vector(recording), "--json"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
        let found = json(&output);
        assert_eq!((&found["calls"], &found["answered_as_recorded"]), (&calls.into(), &answered.into()));
        assert_eq!(found["expected_differences"].as_array().unwrap().len(), calls - answered);
    }
}

#[test]
fn a_difference_that_is_not_listed_is_found() {
    let none = Scratch::new("none.json", "[]");
    let output = stickystore(&["replay", &vector(RECORDING), "--expected", none.path(), "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(unexpected(&json(&output)), [(612, "unproven".to_owned()), (620, "sdk-lost-data".to_owned())]);
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
fn without_the_record_that_was_read_vwos_other_variation_stays_and_goals_are_added() {
    let with =
        stickystore(&["replay", &vector(VWO), "--expected", Scratch::new("vwo.json", "[]").path(), "--json"]);
    let without = stickystore(&["replay", &vector(VWO), "--no-proof", "--json"]);
    assert_eq!((with.status.code(), without.status.code()), (Some(1), Some(1)));
    let lost = [105, 106, 108, 109, 123].map(|call| (call, "sdk-lost-data".to_owned()));
    assert_eq!(unexpected(&json(&with)), lost);
    let unproven = [94, 95].map(|call| (call, "unproven".to_owned()));
    assert_eq!(unexpected(&json(&without)), [&unproven[..], &lost[..]].concat());
}

#[test]
fn a_store_that_lost_what_the_recording_has_is_never_expected() {
    // The recording pretends that a get found a goal that nobody had set.
    let meta = r#"{"kind":"meta","sdk":"vwo-node-sdk"}"#;
    let record = r#"{"userId":"u","campaignKey":"c","variationName":"v","goalIdentifier":"b_vwo_a"}"#;
    let set =
        format!(r#"{{"kind":"call","seq":1,"scenario":"s","method":"set","args":[{record}],"ret":null}}"#);
    let get = |seq: u64, ret: &str| {
        format!(r#"{{"kind":"call","seq":{seq},"scenario":"s","method":"get","args":["u","c"],"ret":{ret}}}"#)
    };
    let in_another_order = record.replace("b_vwo_a", "a_vwo_b_vwo_");
    let more = record.replace("b_vwo_a", "a_vwo_b_vwo_c");
    let lines = [meta, &set, &get(2, &in_another_order), &get(3, &more)].join("\n");
    let recording = Scratch::new("lost.jsonl", &lines);
    let listed = format!(r#"[{{"seq":3,"recorded":{more},"ours":{record},"reason":"ours-lost-data"}}]"#);
    let listed = Scratch::new("lost.json", &listed);
    let output = stickystore(&["replay", recording.path(), "--expected", listed.path(), "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(unexpected(&json(&output)), [(3, "ours-lost-data".to_owned())]);
}

#[test]
fn what_cannot_be_replayed_is_named_and_nothing_is_guessed() {
    let meta = |sdk: &str| format!(r#"{{"kind":"meta","sdk":"{sdk}"}}"#) + "\n";
    let call = |method: &str| {
        format!(r#"{{"kind":"call","seq":7,"scenario":"s","method":"{method}","args":[{{}}],"ret":null}}"#)
    };
    let optimizely = meta("optimizely-x");
    let vwo = meta("vwo-node-sdk");
    let empty = Scratch::new("empty.jsonl", "");
    let broken = Scratch::new("broken.jsonl", &format!("{optimizely}{{\"kind\":\"call\"}}\n"));
    let other = Scratch::new("other.jsonl", &meta("vwo-fme-node-sdk"));
    let nothing = Scratch::new("nothing.jsonl", &optimizely);
    let kind = Scratch::new("kind.jsonl", &format!("{optimizely}{{\"kind\":\"cal\"}}\n"));
    let verb = Scratch::new("verb.jsonl", &(optimizely + &call("delete")));
    let vwo_verb = Scratch::new("vwo-verb.jsonl", &(vwo.clone() + &call("delete")));
    let vwo_get = Scratch::new("vwo-get.jsonl", &(vwo.clone() + &call("get")));
    let vwo_set = Scratch::new("vwo-set.jsonl", &(vwo + &call("set")));
    for (file, says) in [
        ("no-such-file", "no-such-file: "),
        (empty.path(), "no row of kind \"meta\""),
        (broken.path(), "line 2: missing field `seq`"),
        (other.path(), "is of vwo-fme-node-sdk; replay knows"),
        (nothing.path(), "has no row of kind \"call\""),
        (kind.path(), "line 2: a row of kind \"cal\""),
        (verb.path(), "call 7: its method is \"delete\", not lookup or save"),
        (vwo_verb.path(), "call 7: its method is \"delete\", not get or set"),
        (vwo_get.path(), "call 7: the arguments of a get are a user id and a campaign key"),
        (vwo_set.path(), "call 7: invalid input: the record has no variationName"),
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
fn whoever_cannot_be_told_what_is_wrong_is_told_by_the_exit_code() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_stickystore"));
    let status = command.args(["lookup", "ann", "--store", "rdis://h"]).stderr(full).status().unwrap();
    assert_eq!(status.code(), Some(2));
}

#[test]
fn a_store_that_fails_under_a_replay_is_the_stores_failure() {
    let full = "memory:?max_entries=0";
    for recording in [RECORDING, VWO] {
        let output = stickystore(&["replay", &vector(recording), "--store", full]);
        assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
        assert!(
            text(&output.stderr).contains("because: memory write: store full"),
            "{}",
            text(&output.stderr)
        );
    }
}

#[test]
fn the_demos_last_line_can_be_tried_wherever_its_file_is_and_however_few_its_users_are() {
    let file = Unmade::new("it's here");
    let output = stickystore(&["demo", "--users", "1", "--file", file.path()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let last = text(&output.stdout).lines().last().unwrap();
    let line =
        format!("{} {}", env!("CARGO_BIN_EXE_stickystore"), last.split("  stickystore ").nth(1).unwrap());
    let kept = Command::new("sh").args(["-c", &line]).output().unwrap();
    assert!(text(&kept.stdout).starts_with("checkout  "), "{last}: {}", text(&kept.stderr));
    let output = stickystore(&["demo", "--file", "what?"]);
    assert!(text(&output.stderr).contains("what?: the path of a store has no ?"), "{}", text(&output.stderr));
}

#[test]
fn an_unknown_verb_is_named() {
    let output = stickystore(&["dmeo"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("demo"), "the nearest verb is offered: {}", text(&output.stderr));
}

#[cfg(feature = "redis")]
#[test]
fn the_recorded_traffic_replays_on_a_server_and_leaves_no_entries() {
    use stickystore_integration_tests::server::Missing;
    use stickystore_integration_tests::server::redis::Redis;

    let server = match Redis::start(&[]) {
        Ok(server) => server,
        Err(Missing(why)) => return println!("skipped: {why}"),
    };
    for (recording, answered) in [(RECORDING, 149), ("vwo-node.jsonl", 237)] {
        let output = stickystore(&["replay", &vector(recording), "--store", &server.url(), "--json"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(json(&output)["answered_as_recorded"], answered);
    }
    // What is left are erase marks, each the only field of its hash, under no name.
    let keys = server.command(&["KEYS", "*"]);
    assert!(!keys.trim().is_empty(), "the marks last for some seconds");
    for key in keys.lines() {
        assert_eq!(server.command(&["HKEYS", key]).trim(), "", "{key} holds an entry");
    }
}

#[cfg(feature = "cassandra")]
#[test]
fn the_schema_of_a_cluster_is_printed_for_the_replication_that_is_asked_for_and_none_is_guessed() {
    let store = "cassandra://10.0.0.1/shop?table=kept&ttl=90d";
    let printed = stickystore(&["schema", "--store", store, "--replication", "eu=3"]);
    assert_eq!(printed.status.code(), Some(0), "{}", text(&printed.stderr));
    let printed = text(&printed.stdout);
    assert!(
        printed.contains("'eu': 3") && printed.contains("CREATE TABLE IF NOT EXISTS \"shop\".\"kept\""),
        "{printed}"
    );
    let unsaid = stickystore(&["schema", "--store", store]);
    assert_eq!(unsaid.status.code(), Some(2));
    assert!(text(&unsaid.stderr).contains("--replication 3"), "{}", text(&unsaid.stderr));
    let elsewhere = stickystore(&["schema", "--store", "memory:", "--replication", "3"]);
    assert!(text(&elsewhere.stderr).contains("cassandra://"), "{}", text(&elsewhere.stderr));
}

#[cfg(feature = "cassandra")]
#[test]
fn a_schema_is_applied_when_told_so_and_what_was_missing_until_then_is_named() {
    use stickystore_integration_tests::server::Missing;
    use stickystore_integration_tests::server::cassandra::Shared;

    let server = match Shared::get() {
        Ok(server) => server,
        Err(Missing(why)) => return println!("skipped: {why}"),
    };
    // A keyspace of this run's own; its time is not what is shown here.
    let cluster = server.url().rsplit_once('/').unwrap().0;
    let keyspace =
        format!("cli_{}_{}", std::process::id(), stickystore_core::Revision::random().to_bytes()[0]);
    let store = format!("{cluster}/{keyspace}?deadline=60s");
    let missing = stickystore(&["lookup", "ann", "--store", &store]);
    assert_ne!(missing.status.code(), Some(0));
    assert!(text(&missing.stderr).contains(&format!("{keyspace}.assignments")), "{}", text(&missing.stderr));

    let schema = |options: &[&str]| {
        let all = [&["schema", "--store", &store, "--replication", "1"], options].concat();
        let output = stickystore(&all);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout).to_owned()
    };
    let printed = schema(&[]);
    assert_ne!(stickystore(&["lookup", "ann", "--store", &store]).status.code(), Some(0), "only printed");
    assert_eq!(schema(&["--apply"]), printed, "what is made is what was printed");
    schema(&["--apply"]);

    let doctor = stickystore(&["doctor", "--store", &store, "--json"]);
    assert_eq!(doctor.status.code(), Some(1), "one copy loses assignments: {}", text(&doctor.stderr));
    let found = json(&doctor);
    let found = found["findings"].as_array().unwrap();
    assert!(found.iter().any(|finding| finding["name"] == "replication-low"), "{found:?}");
}
