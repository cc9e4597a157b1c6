//! The bucket map for the attribute: what its receipt proves, next to the lookup's.

use serde_json::{Map, Value};
use stickystore_services::optimizely::{BucketMap, UserProfile};
use stickystore_services::{Receipts, SaveReport, Saved, Settings, Why};

use crate::bench::{Bench, kept, pairs, with};

fn map(json: &str) -> Map<String, Value> {
    serde_json::from_str(json).unwrap()
}

fn variation(id: &str) -> Value {
    serde_json::json!({ "variation_id": id })
}

/// What an SDK saves that had this profile from its lookup and this map by attribute, with these decisions: the map lies
/// over the profile, entry by entry.
fn spread(lookup: &UserProfile, attribute: &str, decided: &[(&str, &str)]) -> String {
    let lookup: Value = serde_json::from_str(&lookup.to_json()).unwrap();
    let mut all = lookup.get("experiment_bucket_map").and_then(Value::as_object).cloned().unwrap_or_default();
    all.extend(map(attribute));
    all.extend(decided.iter().map(|(experiment, id)| (experiment.to_string(), variation(id))));
    serde_json::json!({"user_id": "ann", "experiment_bucket_map": all}).to_string()
}

fn fetched(bench: &Bench) -> String {
    bench.service.bucket_map("ann").unwrap().to_json()
}

fn save(bench: &Bench, profile: &str) -> SaveReport {
    bench.service.save_json(profile).unwrap()
}

#[test]
fn it_is_the_bare_map_with_a_receipt_of_its_own() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let fetched = map(&fetched(&bench));
    assert_eq!(fetched.keys().collect::<Vec<_>>(), ["e1", "stickystoremap"]);
    assert_eq!(fetched["e1"], variation("A"));
    assert!(fetched["stickystoremap"]["variation_id"].as_str().unwrap().starts_with("sr1."));
    let without = Bench::with(|settings| settings.with_receipts(Receipts::Off));
    assert_eq!(self::fetched(&without), "{}");
}

#[test]
fn t6_a_map_that_was_fetched_early_rolls_nothing_back() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let early = fetched(&bench);
    bench.save(&with(bench.lookup(), "e1", "B"));
    let report = save(&bench, &spread(&bench.lookup(), &early, &[("e2", "new")]));
    assert!(matches!(report.get("e1"), Some(Saved::Unchanged)), "it was only carried: {report:?}");
    assert!(matches!(report.get("e2"), Some(Saved::Inserted)));
    assert_eq!(bench.stored(), pairs(&[("e1", "B"), ("e2", "new")]));
}

/// A user who had A, whom somebody gave B, so long ago that no war rule keeps A from coming back.
fn moved_on(bench: &Bench) {
    let read = bench.service.lookup("ann").unwrap();
    let report = bench.service.save(&with(read, "e1", "B")).unwrap();
    assert!(matches!(report.get("e1"), Some(Saved::Replaced { .. })), "{report:?}");
    bench.clock.advance(Settings::REPLACE_BACK_AFTER);
}

#[test]
fn t6_an_early_map_rolls_nothing_back_after_the_war_rule_has_forgotten_either() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let early = fetched(&bench);
    moved_on(&bench);
    save(&bench, &spread(&bench.lookup(), &early, &[("e2", "new")]));
    assert_eq!(bench.stored(), pairs(&[("e1", "B"), ("e2", "new")]));
}

#[test]
fn t6_nor_while_an_experiment_lives_in_the_place_of_the_maps_receipt() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A"), ("stickystoremap", "X")]);
    let early = fetched(&bench);
    moved_on(&bench);
    let lookup = bench.lookup();
    assert!(!lookup.to_json().contains("sr1."), "it would prove what it did not read");
    let report = save(&bench, &spread(&lookup, &early, &[("e2", "new")]));
    assert_eq!(kept(&report, "e1").0, Why::Unproven);
    assert_eq!(bench.stored(), pairs(&[("e1", "B"), ("e2", "new"), ("stickystoremap", "X")]));
}

#[test]
fn t6_nor_when_the_sdk_decides_over_the_maps_receipt() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let early = fetched(&bench);
    moved_on(&bench);
    let report = save(&bench, &spread(&bench.lookup(), &early, &[("stickystoremap", "X")]));
    assert_eq!(kept(&report, "e1").0, Why::Unproven);
    assert_eq!(bench.stored(), pairs(&[("e1", "B"), ("stickystoremap", "X")]));
}

#[test]
fn t6_nor_when_the_maps_receipt_is_no_entry_any_more() {
    for broken in ["null", "\"sr1.\"", "{}", r#"{"variation_id":7}"#] {
        let bench = Bench::new();
        bench.save_bare(&[("e1", "A")]);
        moved_on(&bench);
        let early = format!(r#"{{"e1":{{"variation_id":"A"}},"stickystoremap":{broken}}}"#);
        let report = save(&bench, &spread(&bench.lookup(), &early, &[]));
        assert_eq!(kept(&report, "e1").0, Why::Unproven, "{broken}");
        assert_eq!(bench.stored(), pairs(&[("e1", "B")]), "{broken}");
    }
}

#[test]
fn t6_a_raw_map_is_its_callers_own_word() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let raw = r#"{"e1":{"variation_id":"C"}}"#;
    let report = save(&bench, &spread(&bench.lookup(), raw, &[]));
    assert!(matches!(report.get("e1"), Some(Saved::Replaced { .. })), "{report:?}");
}

#[test]
fn what_was_fetched_and_changed_is_replaced_also_without_a_lookup() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let profile = spread(&UserProfile::new("ann"), &fetched(&bench), &[("e1", "B")]);
    assert!(matches!(save(&bench, &profile).get("e1"), Some(Saved::Replaced { .. })));
    assert_eq!(bench.stored(), pairs(&[("e1", "B")]));
}

#[test]
fn what_was_fetched_and_replaced_by_another_since_is_kept() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let early = fetched(&bench);
    bench.save(&with(bench.lookup(), "e1", "B"));
    // The lookup read B, but the SDK saw the map's A, and decided on C.
    let report = save(&bench, &spread(&bench.lookup(), &early, &[("e1", "C")]));
    assert_eq!(kept(&report, "e1").0, Why::Raced);
    assert_eq!(bench.stored(), pairs(&[("e1", "B")]));
}

#[test]
fn where_the_user_was_erased_between_the_two_reads_nothing_is_added() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let early = fetched(&bench);
    bench.erase();
    let report = save(&bench, &spread(&bench.lookup(), &early, &[("e1", "B"), ("e2", "new")]));
    assert_eq!(kept(&report, "e1"), (Why::Erased, None));
    assert_eq!(kept(&report, "e2"), (Why::Erased, None));
    assert_eq!(bench.stored(), pairs(&[]));
    // The next decision, with a map of after the erasure, is written.
    let report = save(&bench, &spread(&bench.lookup(), &fetched(&bench), &[("e2", "new")]));
    assert!(matches!(report.get("e2"), Some(Saved::Inserted)), "{report:?}");
}

#[test]
fn what_a_lookup_without_proof_carries_does_not_come_back_by_a_map_of_after_the_erasure() {
    let elsewhere = Bench::with(|_| Settings::new(stickystore_core::Namespace::new("elsewhere").unwrap()));
    let theirs = map(&elsewhere.lookup().to_json())["experiment_bucket_map"]["stickystore"].clone();
    // Another version's receipt, another namespace's, an experiment in its place, and what is no entry.
    for place in [variation("sr2.x.-.y"), theirs, variation("X"), Value::Null] {
        let bench = Bench::new();
        bench.save_bare(&[("e1", "A")]);
        let carried = serde_json::json!({"e1": variation("A"), "stickystore": place});
        bench.erase();
        let mut all = carried.as_object().unwrap().clone();
        all.extend(map(&fetched(&bench)));
        let saved = serde_json::json!({"user_id": "ann", "experiment_bucket_map": all}).to_string();
        assert_eq!(kept(&save(&bench, &saved), "e1"), (Why::Erased, None), "{place}");
        // Nor does it after somebody has read it and passed it on.
        let passed_on = UserProfile::parse(&saved).unwrap().to_json();
        assert_eq!(kept(&save(&bench, &passed_on), "e1"), (Why::Erased, None), "{place}");
        assert_eq!(bench.stored(), pairs(&[]), "{place}");
    }
}

#[test]
fn without_a_lookup_what_is_new_beside_a_map_of_after_the_erasure_is_written() {
    let bench = Bench::new();
    bench.erase();
    let report = save(&bench, &spread(&UserProfile::new("ann"), &fetched(&bench), &[("e1", "new")]));
    assert!(matches!(report.get("e1"), Some(Saved::Inserted)), "{report:?}");
}

#[test]
fn a_map_whose_receipt_proves_nothing_leaves_nothing_proved() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let elsewhere = Bench::with(|_| Settings::new(stickystore_core::Namespace::new("elsewhere").unwrap()));
    for receipt in
        ["sr1.", "sr2.x.-.y", map(&fetched(&elsewhere))["stickystoremap"]["variation_id"].as_str().unwrap()]
    {
        let early =
            format!(r#"{{"e1":{{"variation_id":"X"}},"stickystoremap":{{"variation_id":"{receipt}"}}}}"#);
        let profile = spread(&bench.lookup(), &early, &[]);
        assert_eq!(kept(&save(&bench, &profile), "e1").0, Why::Unproven, "{receipt}");
        // Nor does it after somebody has read it and passed it on.
        let passed_on = UserProfile::parse(&profile).unwrap().to_json();
        assert_eq!(kept(&save(&bench, &passed_on), "e1").0, Why::Unproven, "{receipt}");
    }
    assert_eq!(bench.stored(), pairs(&[("e1", "A")]));
}

#[test]
fn both_receipts_survive_whoever_reads_the_profile_and_passes_it_on() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A"), ("e2", "A")]);
    let profile = spread(&bench.lookup(), &fetched(&bench), &[]);
    let passed_on = UserProfile::parse(&profile).unwrap().to_json();
    let both = |json: &str| {
        let all = map(json)["experiment_bucket_map"].as_object().cloned().unwrap();
        ["stickystore", "stickystoremap"].map(|key| all[key].clone())
    };
    assert_eq!(both(&passed_on), both(&profile));
}

#[test]
fn no_receipt_is_ever_stored() {
    let bench = Bench::with(|settings| settings.with_receipts(Receipts::Off));
    for key in ["stickystore", "stickystoremap"] {
        for receipt in ["sr1.a.b.c", "sr99.", "sr1.AAAAAAAAAAA.-.AAAA"] {
            save(
                &bench,
                &spread(
                    &UserProfile::new("ann"),
                    &format!(r#"{{"{key}":{{"variation_id":"{receipt}"}}}}"#),
                    &[],
                ),
            );
        }
        // An experiment that is really named so is.
        save(
            &bench,
            &spread(&UserProfile::new("ann"), &format!(r#"{{"{key}":{{"variation_id":"srx"}}}}"#), &[]),
        );
    }
    assert_eq!(bench.stored(), pairs(&[("stickystore", "srx"), ("stickystoremap", "srx")]));
}

#[test]
fn an_experiment_that_is_really_named_so_takes_the_receipts_place() {
    let bench = Bench::new();
    bench.save_bare(&[("stickystoremap", "A")]);
    assert_eq!(fetched(&bench), r#"{"stickystoremap":{"variation_id":"A"}}"#);
    let map: BucketMap = bench.service.bucket_map("ann").unwrap();
    assert_eq!(map.variation("stickystoremap"), Some("A"));
}
