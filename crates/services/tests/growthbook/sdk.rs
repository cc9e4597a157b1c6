//! GrowthBook's own Rust SDK, from a decision to the store and back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use growthbook_rust::growthbook::GrowthBook;
use growthbook_rust::model_public::{FeatureResult, GrowthBookAttribute};
use growthbook_rust::sticky_bucket::StickyBucketService as _;
use serde_json::{Value, json};
use stickystore_services::growthbook::{Event, Hook, Told};

use crate::bench::{Bench, Failing};

/// All to red, all to blue.
const RED: [f64; 2] = [1.0, 0.0];
const BLUE: [f64; 2] = [0.0, 1.0];

/// What a hook's observer was told, in words.
type Log = Arc<Mutex<Vec<String>>>;

impl Bench {
    fn hook(&self) -> (Hook<Failing>, Log) {
        let log = Log::default();
        let said = Arc::clone(&log);
        let observer = move |event: Event<'_>| {
            let what = match event.told {
                Told::ReadFailed(error) => format!("read failed: {:?}", error.kind()),
                Told::ReadPartly(document) => {
                    format!("{} damaged, {} foreign", document.damaged(), document.foreign())
                }
                Told::SaveFailed(error) => format!("save failed: {:?}", error.kind()),
                Told::Saved(report) => report.to_json(),
                other => format!("{other:?}"),
            };
            let value: String = event.attribute_value.chars().take(8).collect();
            said.lock().unwrap().push(format!("{}={value}: {what}", event.attribute_name));
        };
        (self.service.clone().into_hook(observer), log)
    }

    /// An SDK of a process, whose rule for `button` has this besides its key and its variations.
    fn sdk(&self, rule: &Value) -> (GrowthBook, Log) {
        let (hook, log) = self.hook();
        let mut whole = json!({"key": "colour", "hashAttribute": "id", "variations": ["red", "blue"]});
        whole.as_object_mut().unwrap().extend(rule.as_object().unwrap().clone());
        let features = json!({"button": {"defaultValue": "grey", "rules": [whole]}});
        let sdk = GrowthBook {
            forced_variations: None,
            features: serde_json::from_value(features).unwrap(),
            attributes: None,
            sticky_bucket_service: Some(Arc::new(hook)),
            saved_groups: HashMap::new(),
        };
        (sdk, log)
    }

    fn split(&self, weights: [f64; 2]) -> (GrowthBook, Log) {
        self.sdk(&json!({"weights": weights}))
    }
}

fn decide(sdk: &GrowthBook, attributes: Value) -> FeatureResult {
    sdk.check("button", &Some(GrowthBookAttribute::from(attributes).unwrap()))
}

fn colour(sdk: &GrowthBook, user: &str) -> String {
    decide(sdk, json!({"id": user})).value.as_str().unwrap().to_owned()
}

fn take(log: &Log) -> Vec<String> {
    std::mem::take(&mut log.lock().unwrap())
}

#[test]
fn who_was_bucketed_stays_when_the_traffic_is_reallocated() {
    let bench = Bench::new();
    let (first, log) = bench.split(RED);
    assert_eq!(colour(&first, "ann"), "red");
    assert_eq!(take(&log), [r#"id=ann: {"entries":{"colour__0":{"outcome":"inserted"}}}"#]);
    assert_eq!(
        bench.service.document_json("id", "ann").unwrap(),
        r#"{"attributeName":"id","attributeValue":"ann","assignments":{"colour__0":"0"}}"#
    );
    let (second, log) = bench.split(BLUE);
    assert_eq!(colour(&second, "bob"), "blue", "the traffic was re-allocated");
    take(&log);
    let result = decide(&second, json!({"id": "ann"}));
    assert_eq!(result.value, "red");
    assert!(result.experiment_result.unwrap().sticky_bucket_used);
    assert_eq!(take(&log), [""; 0], "nothing was saved again");
}

#[test]
fn a_decision_is_one_read_and_a_new_one_one_write_more() {
    let bench = Bench::new();
    let (sdk, _) = bench.split(RED);
    colour(&sdk, "ann");
    assert_eq!(bench.store.calls(), (1, 1));
    colour(&sdk, "ann");
    assert_eq!(bench.store.calls(), (1, 0));
}

#[test]
fn a_new_bucket_version_buckets_anew_and_the_old_assignment_stays() {
    let bench = Bench::new();
    colour(&bench.split(RED).0, "ann");
    let (sdk, _) = bench.sdk(&json!({"weights": BLUE, "bucketVersion": 1}));
    assert_eq!(colour(&sdk, "ann"), "blue");
    let kept: Vec<_> = bench.service.assignments("id", "ann").unwrap().into_iter().collect();
    assert_eq!(kept, [("colour__0".into(), "0".into()), ("colour__1".into(), "1".into())]);
}

#[test]
fn who_was_bucketed_before_the_least_version_is_blocked() {
    let bench = Bench::new();
    colour(&bench.split(RED).0, "ann");
    let (sdk, _) = bench.sdk(&json!({"weights": BLUE, "bucketVersion": 1, "minBucketVersion": 1}));
    assert_eq!(colour(&sdk, "ann"), "grey");
    assert_eq!(colour(&sdk, "bob"), "blue");
}

#[test]
fn an_assignment_of_the_fallback_attribute_is_taken_over() {
    let bench = Bench::new();
    bench.service.save("device", "d1", [("colour__0", "0")]).unwrap();
    let (sdk, _) = bench.sdk(&json!({"weights": BLUE, "fallbackAttribute": "device"}));
    assert_eq!(decide(&sdk, json!({"id": "ann", "device": "d1"})).value, "red");
    assert_eq!(bench.service.assignments("id", "ann").unwrap()["colour__0"], "0");
}

#[test]
fn a_failed_read_is_told_and_costs_no_assignment() {
    let bench = Bench::new();
    colour(&bench.split(RED).0, "ann");
    let before = bench.stored("colour__0");
    let (sdk, log) = bench.split(BLUE);
    bench.store.fail(true, false);
    // The SDK takes her for new; what it saves changes nothing.
    assert_eq!(colour(&sdk, "ann"), "blue");
    let kept = r#"{"entries":{"colour__0":{"outcome":"kept","why":"unproven","winner":"0"}}}"#;
    assert_eq!(take(&log), ["id=ann: read failed: Unavailable".to_owned(), format!("id=ann: {kept}")]);
    bench.store.fail(false, false);
    assert_eq!(colour(&sdk, "ann"), "red");
    assert_eq!(bench.stored("colour__0"), before);
}

#[test]
fn a_store_that_is_gone_fails_no_decision_and_every_loss_is_told() {
    let bench = Bench::new();
    let (sdk, log) = bench.split(RED);
    bench.store.fail(true, true);
    assert_eq!(colour(&sdk, "ann"), "red");
    let told = take(&log);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("read failed") && told[1].contains(r#""outcome":"failed""#), "{told:?}");
}

#[test]
fn two_processes_that_bucket_one_user_at_once_agree_from_then_on() {
    let bench = Bench::new();
    let ((red, red_log), (blue, blue_log)) = (bench.split(RED), bench.split(BLUE));
    // Both read before either has written.
    bench.store.fail(true, false);
    assert_eq!((colour(&red, "ann"), colour(&blue, "ann")), ("red".to_owned(), "blue".to_owned()));
    bench.store.fail(false, false);
    assert!(take(&red_log)[1].contains("inserted"));
    assert!(take(&blue_log)[1].contains(r#""winner":"0""#));
    assert_eq!((colour(&red, "ann"), colour(&blue, "ann")), ("red".to_owned(), "red".to_owned()));
}

#[test]
fn what_cannot_be_handed_out_is_told_and_the_rest_is_given() {
    let bench = Bench::new();
    bench.service.save("id", "ann", [("colour__0", "0")]).unwrap();
    bench.put("e1", "{\"variation_id\":\"red\"}");
    bench.damage("size__0");
    let (sdk, log) = bench.split(BLUE);
    assert_eq!(colour(&sdk, "ann"), "red");
    assert_eq!(take(&log), ["id=ann: 1 damaged, 1 foreign"]);
}

#[test]
fn a_damaged_assignment_stays_and_each_decision_is_told() {
    let bench = Bench::new();
    bench.damage("colour__0");
    let (sdk, log) = bench.split(BLUE);
    for _ in 0..2 {
        assert_eq!(colour(&sdk, "ann"), "blue");
        let told = take(&log);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("1 damaged") && told[1].contains("failed"), "{told:?}");
    }
    assert_eq!(bench.service.document("id", "ann").unwrap().damaged(), 1);
}

#[test]
fn a_variations_name_from_another_sdk_is_not_overwritten() {
    let bench = Bench::new();
    bench.service.save("id", "ann", [("colour__0", "the-red-one")]).unwrap();
    let (sdk, log) = bench.split(BLUE);
    assert_eq!(colour(&sdk, "ann"), "blue", "the SDK reads numbers only");
    assert!(take(&log)[0].contains(r#""winner":"the-red-one""#));
    assert_eq!(bench.service.assignments("id", "ann").unwrap()["colour__0"], "the-red-one");
}

#[test]
fn an_id_too_long_to_keep_is_told_and_decided_all_the_same() {
    let bench = Bench::new();
    let (sdk, log) = bench.split(RED);
    assert_eq!(colour(&sdk, &"x".repeat(5_000)), "red");
    assert_eq!(take(&log), ["id=xxxxxxxx: read failed: Invalid", "id=xxxxxxxx: save failed: Invalid"]);
    assert_eq!(bench.store.calls(), (0, 0));
}

#[test]
fn a_number_and_its_text_are_one_user() {
    let bench = Bench::new();
    let (red, _) = bench.split(RED);
    decide(&red, json!({"id": 7}));
    assert_eq!(colour(&bench.split(BLUE).0, "7"), "red");
}

#[test]
fn all_assignments_are_one_read_of_the_attributes_that_can_be_hashed() {
    let bench = Bench::new();
    bench.service.save("id", "7", [("a__0", "1"), ("b__0", "id")]).unwrap();
    bench.service.save("device", "d1", [("b__0", "device"), ("c__0", "0")]).unwrap();
    bench.service.save("gone", "", [("d__0", "1")]).unwrap();
    bench.service.save("paid", "true", [("e__0", "1")]).unwrap();
    bench.store.calls();
    let given =
        json!({"id": 7, "device": "d1", "gone": "", "paid": true, "none": null, "zero": 0, "many": [7]});
    let attributes = GrowthBookAttribute::from(given).unwrap();
    let attributes: HashMap<_, _> = attributes.into_iter().map(|one| (one.key.clone(), one)).collect();
    let (hook, log) = bench.hook();
    let all = hook.get_all_assignments(&attributes);
    let expected = [("a__0", "1"), ("b__0", "id"), ("c__0", "0")].map(|(key, one)| (key.into(), one.into()));
    assert_eq!(all, HashMap::from(expected));
    assert_eq!((bench.store.calls(), take(&log).len()), ((1, 0), 0));
    bench.store.fail(true, false);
    assert_eq!(hook.get_all_assignments(&attributes), HashMap::new());
    assert_eq!(take(&log), ["device=d1: read failed: Unavailable", "id=7: read failed: Unavailable"]);
}
