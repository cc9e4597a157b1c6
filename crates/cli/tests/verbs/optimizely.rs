//! `lookup` and `save`.

use crate::bench::Bench;

const RED: &str = r#"{"user_id":"ann","experiment_bucket_map":{"e1":{"variation_id":"red"}}}"#;

#[test]
fn a_profile_is_saved_and_looked_up() {
    let bench = Bench::new();
    assert_eq!(bench.run(&["lookup", "ann"]).says(1), "nothing is kept of this user\n");
    assert_eq!(bench.run_with(&["save"], RED).says(0), "e1  inserted\n");
    assert_eq!(bench.run(&["lookup", "ann"]).says(0), "e1  red\n");
}

#[test]
fn what_was_looked_up_and_changed_is_replaced_because_the_receipt_proves_it() {
    let bench = Bench::new();
    bench.run_with(&["save"], RED).says(0);
    let profile = bench.run(&["lookup", "ann", "--json"]).says(0);
    let report = bench.run_with(&["save", "--json"], &profile.replace("\"red\"", "\"blue\"")).json(0);
    let replaced = serde_json::json!({"outcome": "replaced", "old": {"variation_id": "red"}});
    assert_eq!(report, serde_json::json!({"entries": {"e1": replaced}}));
}

#[test]
fn what_nothing_proves_is_kept_and_the_answer_is_no() {
    let bench = Bench::new();
    bench.run_with(&["save"], RED).says(0);
    let report = bench.run_with(&["save"], &RED.replace("red", "blue")).says(1);
    assert_eq!(report, "e1  kept {\"variation_id\":\"red\"} (unproven)\n");
}

#[test]
fn an_entry_that_cannot_be_saved_is_named_and_the_others_are_saved() {
    let bench = Bench::new();
    let mixed =
        r#"{"user_id":"ann","experiment_bucket_map":{"e1":{"variation_id":"red"},"e2":{"variation_id":7}}}"#;
    let ran = bench.run_with(&["save"], mixed);
    assert!(ran.complains(2).contains("experiment \"e2\""));
    assert_eq!(bench.run(&["lookup", "ann"]).says(0), "e1  red\n");
}

#[test]
fn input_that_is_no_profile_is_named() {
    let bench = Bench::new();
    assert!(bench.run_with(&["save"], "[]").complains(2).contains("profile"));
    assert!(bench.run(&["save", "no-such-file"]).complains(2).contains("no-such-file: "));
}

#[test]
fn a_store_that_failed_is_told_before_an_entry_that_was_refused() {
    let bench = Bench::new();
    let mixed =
        r#"{"user_id":"ann","experiment_bucket_map":{"a":{"variation_id":7},"b":{"variation_id":"red"}}}"#;
    let store = ["save", "--store", "memory:?max_entries=0"];
    let complaint = bench.run_here_with(&store, mixed).complains(3);
    assert!(complaint.contains("full"), "{complaint}");
}
