//! The User Storage Service as SDKs and Rust callers use it. The save guard is in `guard` and `races`, spellings in
//! `dialects`, what stands in the store in `entries`, what a real SDK was fed in `malformed`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test asserts, and an assertion panics")]

mod bench;
mod dialects;
mod entries;
mod guard;
mod ledger;
mod malformed;
mod policies;
mod races;

use std::sync::Arc;

use stickystore_core::memory::MemoryStore;
use stickystore_core::{AsyncStore, Change, EpochCheck, ErrorKind, Immediate, Namespace, Store, Value};
use stickystore_services::vwo::{AsyncUserStorageService, Dialect, Record, UserStorageService};
use stickystore_services::{Saved, Settings, Why};

use crate::bench::{Bench, kept, record, stored, with_goal, with_variation};

#[test]
fn a_new_record_is_one_insert_and_a_get_one_read() {
    let bench = Bench::new();
    assert_eq!(bench.service.get_json("ann", "c1", Dialect::Node).unwrap(), "null");
    assert_eq!(bench.store.calls(), (1, 0));
    assert_eq!(bench.set_bare("red", "").to_json(), r#"{"entries":{"c1":{"outcome":"inserted"}}}"#);
    assert_eq!(bench.store.calls(), (0, 1));
    assert_eq!(bench.stored(), stored("red", ""));
}

#[test]
fn what_node_sets_for_a_second_goal_loses_no_goal() {
    // Seen: g1_vwo_g2, and at once g2 alone. And the other way round.
    for sets in [["g1 g2", "g2"], ["g2", "g1 g2"]] {
        let bench = Bench::new();
        bench.set_bare("red", "g1");
        for goals in sets {
            bench.set_bare("red", goals);
        }
        assert_eq!(bench.stored(), stored("red", "g1 g2"), "{sets:?}");
    }
}

#[test]
fn a_goal_is_added_with_one_read_and_one_write_and_a_known_one_with_one_read() {
    let bench = Bench::new();
    bench.set_bare("red", "g1");
    bench.store.calls();
    let report = bench.set_bare("red", "g2 g1");
    assert_eq!(report.to_json(), r#"{"entries":{"c1":{"outcome":"added","goals_added":["g2"]}}}"#);
    assert_eq!(report.goals_added("c1"), ["g2"]);
    assert_eq!(bench.store.calls(), (1, 1));
    assert!(matches!(bench.set_bare("red", "g2").get("c1"), Some(Saved::Unchanged)));
    assert_eq!(bench.store.calls(), (1, 0));
}

#[test]
fn a_set_of_what_stands_writes_nothing() {
    let bench = Bench::new();
    bench.set_bare("red", "g1");
    let before = bench.entry();
    assert!(matches!(bench.set_bare("red", "").get("c1"), Some(Saved::Unchanged)));
    assert_eq!(bench.entry(), before);
}

#[test]
fn a_record_with_goals_is_inserted_where_none_stands() {
    let bench = Bench::new();
    assert!(matches!(bench.set_bare("red", "g1").get("c1"), Some(Saved::Inserted)));
    assert_eq!(bench.stored(), stored("red", "g1"));
}

#[test]
fn fields_that_a_set_omits_stay() {
    let bench = Bench::new();
    let full = r#"{"userId":"ann","campaignKey":"c1","variationName":"red","metaData":{"n": 18446744073709551616.0},"x":[1, null]}"#;
    bench.service.set_json(full).unwrap();
    for omits in [
        r#"{"userId":"ann","campaignKey":"c1","variationName":"red","goalIdentifier":"g1"}"#,
        r#"{"UserId":"ann","CampaignKey":"c1","VariationName":"red","GoalIdentifier":null,"MetaData":null}"#,
    ] {
        bench.service.set_json(omits).unwrap();
    }
    bench.service.set(&with_variation(bench.get(), "blue")).unwrap();
    assert_eq!(
        bench.service.get_json("ann", "c1", Dialect::Node).unwrap(),
        r#"{"userId":"ann","campaignKey":"c1","variationName":"blue","goalIdentifier":"g1","metaData":{"n":18446744073709551616.0},"x":[1,null]}"#
    );
}

#[test]
fn metadata_and_other_members_are_added_where_there_are_none_and_else_stay() {
    let bench = Bench::new();
    bench.set_bare("red", "");
    let with = |extra: &str| {
        let text = format!(r#"{{"userId":"ann","campaignKey":"c1","variationName":"red",{extra}}}"#);
        bench.service.set_json(&text).unwrap()
    };
    assert!(matches!(with(r#""metaData":{"a":1},"x":1"#).get("c1"), Some(Saved::Added)));
    let winner = r#"{"variationName":"red","metaData":{"a":1},"x":1}"#;
    assert_eq!(kept(&with(r#""metaData":{"a":2}"#)), (Why::Unproven, Some(winner.into())));
    let report = with(r#""metaData":{"a":1},"x":2,"y":3"#);
    let winner = r#"{"variationName":"red","metaData":{"a":1},"x":1,"y":3}"#;
    assert_eq!(kept(&report), (Why::Unproven, Some(winner.into())), "what can be added is");
}

#[test]
fn with_another_variation_only_goals_are_added() {
    let bench = Bench::new();
    bench.set_bare("red", "g1");
    let text = r#"{"userId":"ann","campaignKey":"c1","variationName":"blue","goalIdentifier":"g2","metaData":{"a":1},"x":1}"#;
    let report = bench.service.set_json(text).unwrap();
    assert_eq!(
        report.to_json(),
        r#"{"entries":{"c1":{"outcome":"kept","why":"unproven","winner":{"variationName":"red","goalIdentifier":"g1_vwo_g2"},"goals_added":["g2"]}}}"#
    );
    assert_eq!(bench.entry().value.as_str(), r#"{"variationName":"red","goalIdentifier":"g1_vwo_g2"}"#);
}

#[test]
fn what_was_read_and_changed_is_replaced_by_one_write() {
    let bench = Bench::new();
    let text = r#"{"userId":"ann","campaignKey":"c1","variationName":"red","goalIdentifier":"g1","metaData":{"a":1},"x":1}"#;
    bench.service.set_json(text).unwrap();
    let mut read = with_goal(with_variation(bench.get(), "blue"), "g2");
    read.set_meta_data(Value::new(r#"{ "a": 2 }"#).unwrap());
    bench.store.calls();
    let report = bench.service.set(&read).unwrap();
    assert_eq!(bench.store.calls(), (0, 1));
    assert_eq!(
        report.to_json(),
        r#"{"entries":{"c1":{"outcome":"replaced","old":{"variationName":"red","goalIdentifier":"g1","metaData":{"a":1},"x":1},"goals_added":["g2"]}}}"#
    );
    assert_eq!(
        bench.entry().value.as_str(),
        r#"{"variationName":"blue","goalIdentifier":"g1_vwo_g2","metaData":{"a":2},"x":1}"#
    );
}

#[test]
fn a_record_that_comes_back_as_it_was_read_costs_no_round_trip() {
    let bench = Bench::new();
    bench.set_bare("red", "g1");
    let read = bench.get();
    bench.store.calls();
    assert!(matches!(bench.service.set(&read).unwrap().get("c1"), Some(Saved::Unchanged)));
    assert_eq!(bench.store.calls(), (0, 0));
}

#[test]
fn an_sdks_record_proves_what_the_one_before_it_did() {
    let bench = Bench::new();
    bench.service.set(&with_goal(record("red", "g1"), "g1")).unwrap();
    let read = bench.get();
    let sent = r#"{"userId":"ann","campaignKey":"c1","variationName":"blue"}"#;
    assert_eq!(kept(&bench.service.set_json(sent).unwrap()).0, Why::Unproven);
    for (user, campaign) in [("bob", "c1"), ("ann", "c2")] {
        let first = Record::new(user, campaign, "red");
        bench.service.set(&first).unwrap();
        let report = bench.service.set(&with_variation(first, "blue").after(&read)).unwrap();
        let saved = report.get(campaign).unwrap();
        assert!(matches!(saved, Saved::Kept { why: Why::Unproven, .. }), "{user} {campaign}: {saved:?}");
    }
    let report = bench.service.set(&Record::parse(sent).unwrap().after(&read)).unwrap();
    assert!(matches!(report.get("c1"), Some(Saved::Replaced { .. })), "{report:?}");
    assert_eq!(bench.stored(), stored("blue", "g1"));
}

#[test]
fn a_record_of_another_namespace_proves_nothing() {
    let bench = Bench::new();
    bench.set_bare("red", "");
    let read = with_variation(bench.get(), "blue");
    let other = Settings::new(Namespace::new("other").unwrap()).with_clock(bench.clock.clone());
    let other = UserStorageService::new(bench.store.clone(), other);
    other.set(&record("red", "")).unwrap();
    assert_eq!(kept(&other.set(&read).unwrap()).0, Why::Unproven);
}

#[test]
fn what_cannot_be_set_is_refused_before_anything_is_sent() {
    let bench = Bench::new();
    let deep = Value::new(format!("{}1{}", "[".repeat(64), "]".repeat(64))).unwrap();
    let mut too_deep = record("red", "");
    too_deep.set_meta_data(deep);
    for (record, why) in [
        (Record::new("", "c1", "red"), "a user id must have at least 1 byte"),
        (Record::new("ann", "", "red"), "a key must have at least 1 byte"),
        (record("", "g1"), "a variation's name must have at least 1 byte"),
        (too_deep, "the record is nested deeper than 64 levels, which SDKs cannot read"),
    ] {
        let error = bench.service.set(&record).unwrap_err();
        assert_eq!((error.kind(), error.context()), (ErrorKind::Invalid, why));
    }
    assert_eq!(bench.store.calls(), (0, 0));
}

#[test]
fn setters_do_what_the_sdks_json_does() {
    let mut made = record("red", "");
    made.add_goal("g1_vwo_g2_vwo_");
    made.add_goal("g1");
    made.set_meta_data(Value::new("{ \"a\" : 1 }").unwrap());
    let text = r#"{"userId":"ann","campaignKey":"c1","variationName":"red","goalIdentifier":"g1_vwo_g2","metaData":{"a":1}}"#;
    assert_eq!(made.to_json(Dialect::Node), text);
    assert_eq!(made, Record::parse(text).unwrap());
    made.set_meta_data(Value::new("null").unwrap());
    assert!(made.meta_data().is_none(), "as if it had been left out");
}

#[test]
fn debug_shows_neither_variation_nor_metadata() {
    let bench = Bench::new();
    let mut secret = record("SECRET", "SECRET");
    secret.set_meta_data(Value::string("SECRET"));
    bench.service.set(&secret).unwrap();
    let shown = format!("{secret:?} {:?} {:?}", bench.get(), bench.service.records("ann").unwrap());
    assert!(!shown.contains("SECRET"), "{shown}");
}

#[test]
fn a_set_without_proof_only_inserts_or_replaces_what_it_read_itself() {
    let bench = Bench::new();
    for (variation, goals) in [("red", ""), ("blue", ""), ("blue", "g1"), ("red", "g1 g2")] {
        bench.set_bare(variation, goals);
    }
    let writes = bench.store.hooks.lock().unwrap().writes.clone();
    assert_eq!(writes.len(), 4);
    for write in writes {
        assert_eq!(write.epoch(), EpochCheck::Is(None));
        assert!(matches!(write.changes(), [Change::Insert(..) | Change::Replace(..)]));
    }
    assert_eq!(bench.stored(), stored("red", "g1 g2"));
}

#[tokio::test]
async fn the_async_face_says_the_same() {
    let settings = Settings::new(Namespace::new("shop").unwrap());
    let blocking = UserStorageService::new(MemoryStore::new(), settings.clone());
    let asynchronous = AsyncUserStorageService::new(Immediate::new(MemoryStore::new()), settings);
    let sets = [
        r#"{"userId":"ann","campaignKey":"c1","variationName":"red"}"#,
        r#"{"userId":"ann","campaignKey":"c1","variationName":"red","goalIdentifier":"g1"}"#,
        r#"{"userId":"ann","campaignKey":"c1","variationName":"blue","goalIdentifier":"g2","metaData":1}"#,
        r#"{"userId":"ann","campaignKey":"c1","variationName":"red","metaData":[1]}"#,
        r#"{"userId":"ann","campaignKey":"c1"}"#,
    ];
    for set in sets {
        let both = (blocking.set_json(set), asynchronous.set_json(set).await);
        match both {
            (Ok(one), Ok(other)) => assert_eq!(one.to_json(), other.to_json()),
            (Err(one), Err(other)) => assert_eq!(one.to_string(), other.to_string()),
            both => panic!("{both:?}"),
        }
        for dialect in Dialect::ALL.iter().copied() {
            let both = (
                blocking.get_json("ann", "c1", dialect).unwrap(),
                asynchronous.get_json("ann", "c1", dialect).await.unwrap(),
            );
            assert_eq!(both.0, both.1);
        }
    }
    let read = with_variation(blocking.get("ann", "c1").unwrap().unwrap(), "blue");
    let other = with_variation(asynchronous.get("ann", "c1").await.unwrap().unwrap(), "blue");
    let both = (blocking.set(&read).unwrap(), asynchronous.set(&other).await.unwrap());
    assert_eq!(both.0.to_json(), both.1.to_json());
    assert!(matches!(both.0.get("c1"), Some(Saved::Replaced { .. })));
    let both = (blocking.records("ann").unwrap(), asynchronous.records("ann").await.unwrap());
    let json = |record: &Record| record.to_json(Dialect::Node);
    assert_eq!(both.0.iter().map(json).collect::<Vec<_>>(), both.1.iter().map(json).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_record_that_was_got_synchronously_may_be_set_asynchronously() {
    let settings = Settings::new(Namespace::new("shop").unwrap());
    let store = MemoryStore::new();
    let blocking = UserStorageService::new(store.clone(), settings.clone());
    let asynchronous = AsyncUserStorageService::new(Immediate::new(store), settings);
    blocking.set(&record("red", "g1")).unwrap();
    let read = with_variation(blocking.get("ann", "c1").unwrap().unwrap(), "blue");
    let report = asynchronous.set(&read).await.unwrap();
    assert!(matches!(report.get("c1"), Some(Saved::Replaced { .. })), "{}", report.to_json());
}

#[test]
fn services_work_over_any_store_behind_a_pointer() {
    let blocking: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let asynchronous: Arc<dyn AsyncStore> = Arc::new(Immediate::new(MemoryStore::new()));
    let settings = Settings::new(Namespace::new("shop").unwrap());
    assert!(UserStorageService::new(blocking, settings.clone()).get("ann", "c1").unwrap().is_none());
    let _ = AsyncUserStorageService::new(asynchronous, settings);
}
