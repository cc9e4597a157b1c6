//! What stands in the store: entries of others, damaged ones, how long ours live, and what fails.

use stickystore_core::{Clock, Entry, ErrorKind, Expiry, Key, StoreExt, Ttl, Value};
use stickystore_services::vwo::{Record, UserStorageService};
use stickystore_services::{Saved, Why};

use crate::bench::{Bench, HOUR, Trouble, kept, record, stored, with_variation};

#[test]
fn absent_damaged_and_failed_are_three_answers() {
    let bench = Bench::new();
    assert!(bench.service.get("ann", "c1").unwrap().is_none());
    bench.store.inner.plant(&bench.subject(), Key::new("c1").unwrap(), "rubbish");
    assert_eq!(bench.service.get("ann", "c1").unwrap_err().kind(), ErrorKind::Corrupt);
    for goals in ["", "g1"] {
        let report = bench.set_bare("red", goals);
        assert_eq!(report.error().unwrap().kind(), ErrorKind::Corrupt, "goals {goals:?}");
    }
    bench.store.hooks.lock().unwrap().fail_reads = true;
    assert_eq!(bench.service.get("ann", "c1").unwrap_err().kind(), ErrorKind::Unavailable);
    let report = bench.set_bare("red", "g1");
    assert!(
        report.to_json().contains(r#""outcome":"failed","effect":"not-applied""#),
        "{}",
        report.to_json()
    );
}

#[test]
fn entries_of_another_shape_are_counted_not_handed_out_and_not_overwritten() {
    let bench = Bench::new();
    let plant = |key: &str, value: &str| {
        let entry = Entry::new(Value::new(value).unwrap(), Expiry::Never);
        let (store, key) = (&bench.store.inner, Key::new(key).unwrap());
        store.put(bench.call(), &bench.subject(), key, entry).unwrap();
    };
    for foreign in [
        r#"{"variation_id":"red"}"#,
        "7",
        r#"{"variationName":7}"#,
        r#"{"variationName":""}"#,
        r#"{"userId":"bob","variationName":"red"}"#,
        r#"{"campaignKey":"c2","variationName":"red"}"#,
        r#"{"variationName":"red","goal_identifier":"g1"}"#,
    ] {
        plant("c1", foreign);
        assert!(bench.service.get("ann", "c1").unwrap().is_none(), "{foreign}");
        for goals in ["", "g1"] {
            let report = bench.set_bare("red", goals);
            assert_eq!(kept(&report), (Why::Unproven, Some(foreign.into())));
            assert!(report.goals_added("c1").is_empty());
        }
        assert_eq!(bench.entry().value.as_str(), foreign);
    }
    plant("c0", r#"{"variationName":"red"}"#);
    bench.store.inner.plant(&bench.subject(), Key::new("c2").unwrap(), "rubbish");
    let records = bench.service.records("ann").unwrap();
    let campaigns: Vec<_> = records.iter().map(Record::campaign_key).collect();
    assert_eq!((campaigns, records.damaged(), records.foreign()), (vec!["c0"], 1, 1));
    let listed = with_variation(records.iter().next().unwrap().clone(), "blue");
    let report = bench.service.set(&listed).unwrap();
    assert!(matches!(report.get("c0"), Some(Saved::Replaced { .. })), "a listed record was read");
}

#[test]
fn a_stored_record_in_another_spelling_is_read_and_written_in_ours() {
    let bench = Bench::new();
    let stored_by_others = r#"{ "UserID": "ann", "CampaignKey": "c1", "VariationName": "red", "GoalIdentifier": "g1_vwo_", "x": 1 }"#;
    let entry = Entry::new(Value::new(stored_by_others).unwrap(), Expiry::Never);
    bench.store.inner.put(bench.call(), &bench.subject(), Key::new("c1").unwrap(), entry).unwrap();
    assert_eq!(bench.stored(), stored("red", "g1"));
    assert!(matches!(bench.set_bare("red", "g1").get("c1"), Some(Saved::Unchanged)));
    bench.set_bare("red", "g2");
    assert_eq!(bench.entry().value.as_str(), r#"{"variationName":"red","goalIdentifier":"g1_vwo_g2","x":1}"#);
}

#[test]
fn a_record_lives_its_ttl_from_its_own_last_write_and_adding_does_not_shorten_it() {
    let bench = Bench::new();
    bench.set_bare("red", "");
    bench.clock.advance(HOUR / 2);
    bench.set_bare("red", "g1");
    let end = bench.clock.now().saturating_add(HOUR);
    assert_eq!(bench.entry().expiry, Expiry::At(end));
    let short = bench.settings.clone().with_ttl(Ttl::new(HOUR / 60).unwrap());
    let short = UserStorageService::new(bench.store.clone(), short);
    short.set(&record("red", "g2")).unwrap();
    assert_eq!((bench.stored(), bench.entry().expiry), (stored("red", "g1 g2"), Expiry::At(end)));
    short.set(&with_variation(bench.get(), "blue")).unwrap();
    assert_eq!(bench.entry().expiry, Expiry::At(bench.clock.now().saturating_add(HOUR / 60)), "replaced");
    bench.clock.advance(HOUR / 60);
    assert_eq!(bench.stored(), None);
}

#[test]
fn what_changes_a_record_carries_on_what_a_newer_version_wrote() {
    let bench = Bench::new();
    let text = r#"{"v":1,"revision":"AAECAwQFBgc","value":{"variationName":"red"},"newer":1.50}"#;
    bench.store.inner.plant(&bench.subject(), Key::new("c1").unwrap(), text);
    bench.set_bare("red", "g1");
    bench.service.set(&with_variation(bench.get(), "blue")).unwrap();
    let entry = bench.entry();
    let unknown: Vec<_> = entry.unknown.iter().map(|(name, value)| (name, value.as_str())).collect();
    assert_eq!(unknown, [("newer", "1.50")]);
}

#[test]
fn a_failed_write_says_whether_it_may_have_happened_and_is_not_repeated() {
    for (trouble, effect) in [(Trouble::NoReply, "unknown"), (Trouble::Refused, "not-applied")] {
        for goals in ["", "g1"] {
            let bench = Bench::new();
            bench.store.hooks.lock().unwrap().trouble = Some(trouble);
            let report = bench.set_bare("red", goals).to_json();
            assert!(report.contains(&format!(r#""outcome":"failed","effect":"{effect}""#)), "{report}");
            assert_eq!(bench.store.calls().1, 1);
            assert_eq!(bench.stored().is_some(), trouble == Trouble::NoReply);
        }
    }
}
