//! `--retired`, with every verb that a service stands behind.

use crate::bench::Bench;

const RED: &str = r#"{"user_id":"ann","experiment_bucket_map":{"e1":{"variation_id":"red"}}}"#;
const RECORD: &str = r#"{"userId":"ann","campaignKey":"c1","variationName":"red"}"#;

#[test]
fn a_retired_value_is_given_to_nobody_and_the_next_save_replaces_it() {
    let bench = Bench::new();
    bench.run_with(&["save"], RED).says(0);
    bench.run_with(&["set"], RECORD).says(0);
    bench.run(&["assign", "ann", "k", "red"]).says(0);

    let retired = ["--retired", "e1", "red", "--retired", "c1", "red", "--retired", "k", "red"];
    let with = |verb: &[&'static str]| [verb, &retired].concat();
    assert_eq!(bench.run(&with(&["lookup", "ann"])).says(1), "nothing is kept of this user\n");
    assert_eq!(
        bench.run(&with(&["get", "ann", "c1"])).says(1),
        "nothing is kept of this user and campaign\n"
    );
    assert_eq!(bench.run(&["lookup", "ann"]).says(0), "e1  red\n", "it stands there all the same");

    let saved = bench.run_with(&with(&["save"]), &RED.replace("red", "blue")).says(0);
    assert_eq!(saved, "e1  replaced {\"variation_id\":\"red\"}\n");
    let set = bench.run_with(&with(&["set"]), &RECORD.replace("red", "blue")).says(0);
    assert_eq!(set, "c1  replaced {\"variationName\":\"red\"}\n");
    assert_eq!(bench.run(&with(&["assign", "ann", "k", "blue", "--json"])).json(0)["how"], "new");
}

#[test]
fn a_key_without_a_value_is_named() {
    let bench = Bench::new();
    let complaint = bench.run(&["lookup", "ann", "--retired", "e1"]).complains(2);
    assert!(complaint.contains("--retired <KEY> <VALUE>"), "{complaint}");
}
