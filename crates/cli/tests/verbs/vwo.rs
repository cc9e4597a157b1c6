//! `get` and `set`.

use crate::bench::Bench;

const RED: &str = r#"{"userId":"ann","campaignKey":"c","variationName":"red","goalIdentifier":"seen"}"#;

#[test]
fn a_record_is_set_and_got_in_any_spelling() {
    let bench = Bench::new();
    assert_eq!(bench.run(&["get", "ann", "c", "--json"]).says(1), "null\n");
    assert_eq!(bench.run_with(&["set"], RED).says(0), "c  inserted\n");
    assert_eq!(bench.run(&["get", "ann", "c"]).says(0), "red  goals seen\n");
    let ruby = bench.run(&["get", "ann", "c", "--json", "--spelling", "ruby"]).json(0);
    let expected = serde_json::json!({
        "user_id": "ann", "campaign_key": "c", "variation_name": "red", "goal_identifier": "seen",
    });
    assert_eq!(ruby, expected);
}

#[test]
fn goals_are_united_and_another_variation_is_kept() {
    let bench = Bench::new();
    bench.run_with(&["set"], RED).says(0);
    assert_eq!(
        bench.run_with(&["set"], &RED.replace("seen", "bought")).says(0),
        "c  added to what stands there\n"
    );
    let report = bench.run_with(&["set", "--json"], &RED.replace("red", "blue")).json(1);
    assert_eq!(report["entries"]["c"]["why"], "unproven");
    assert_eq!(bench.run(&["get", "ann", "c"]).says(0), "red  goals seen, bought\n");
}

#[test]
fn what_is_no_record_is_named() {
    let bench = Bench::new();
    let complaint = bench.run_with(&["set"], r#"{"userId":"ann","campaignKey":"c"}"#).complains(2);
    assert!(complaint.contains("variationName"), "{complaint}");
}
