//! The User Profile Service as SDKs use it: what it hands out, and what a save does. The save guard is in `guard`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test asserts, and an assertion panics")]

mod asynchronous;
mod bench;
mod bucket_map;
mod guard;
mod policies;

use std::sync::Arc;

use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    AsyncStore, Change, Clock, Entry, EpochCheck, ErrorKind, Expiry, Immediate, Key, Namespace, Store,
    StoreExt, Value, Write,
};
use stickystore_services::optimizely::{
    AsyncUserProfileService, RECEIPT_KEY, UserProfile, UserProfileService,
};
use stickystore_services::{Receipts, Saved, Settings, Why};

use crate::bench::{Bench, HOUR, kept, pairs, with};

#[test]
fn a_user_without_entries_gets_a_profile_with_only_a_receipt() {
    let bench = Bench::new();
    let json = bench.service.lookup_json("ann").unwrap();
    assert!(
        json.starts_with(r#"{"user_id":"ann","experiment_bucket_map":{"stickystore":{"variation_id":"sr1."#),
        "{json}"
    );
    let off = Bench::with(|settings| settings.with_receipts(Receipts::Off));
    assert_eq!(off.service.lookup_json("ann").unwrap(), "null");
}

#[test]
fn what_was_saved_is_looked_up_with_every_member_and_digit() {
    let bench = Bench::with(|settings| settings.with_receipts(Receipts::Off));
    let saved = r#"{"user_id":"ann","experiment_bucket_map":{"e1":{"ts": 18446744073709551616.0, "variation_id":"v","x":{"a": 1}}}}"#;
    bench.service.save_json(saved).unwrap();
    let looked_up = bench.service.lookup_json("ann").unwrap();
    assert_eq!(
        looked_up,
        r#"{"user_id":"ann","experiment_bucket_map":{"e1":{"variation_id":"v","ts":18446744073709551616.0,"x":{"a":1}}}}"#
    );
}

#[test]
fn a_save_after_a_failed_lookup_adds_and_destroys_nothing() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "red"), ("e2", "blue")]);
    let report = bench.save_bare(&[("e1", "green"), ("e3", "new")]);
    assert_eq!(kept(&report, "e1"), (Why::Unproven, Some(r#"{"variation_id":"red"}"#.into())));
    assert!(matches!(report.get("e3"), Some(Saved::Inserted)));
    assert_eq!(bench.stored(), pairs(&[("e1", "red"), ("e2", "blue"), ("e3", "new")]));
}

#[test]
fn what_was_read_and_changed_is_replaced() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "red"), ("e2", "blue")]);
    let report = bench.save(&with(bench.lookup(), "e1", "green"));
    assert_eq!(
        report.to_json(),
        r#"{"entries":{"e1":{"outcome":"replaced","old":{"variation_id":"red"}},"e2":{"outcome":"unchanged"}}}"#
    );
    assert_eq!(bench.stored(), pairs(&[("e1", "green"), ("e2", "blue")]));
}

#[test]
fn a_map_that_comes_back_as_it_was_costs_no_round_trip() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "red"), ("e2", "blue")]);
    let profile = bench.lookup();
    bench.store.calls();
    let report = bench.save(&profile);
    assert_eq!(bench.store.calls(), (0, 0));
    assert!(report.iter().all(|(_, saved)| matches!(saved, Saved::Unchanged)));
}

#[test]
fn a_save_that_only_adds_does_not_read() {
    let bench = Bench::new();
    let profile = with(bench.lookup(), "e1", "red");
    bench.store.calls();
    bench.save(&profile);
    assert_eq!(bench.store.calls(), (0, 1));
}

#[test]
fn an_entry_that_is_missing_from_the_map_is_left_alone() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "red"), ("e2", "blue")]);
    let receipt = bench.service.lookup_json("ann").unwrap().replace(r#""e2":{"variation_id":"blue"},"#, "");
    bench.service.save_json(&receipt).unwrap();
    assert_eq!(bench.stored(), pairs(&[("e1", "red"), ("e2", "blue")]));
}

#[test]
fn somebody_elses_change_stays_and_its_winner_is_named() {
    // The promise's own example: A reads red, B changes it to blue, A saves green: A had not read blue.
    let bench = Bench::new();
    bench.save_bare(&[("e1", "red")]);
    let (a, b) = (bench.lookup(), bench.lookup());
    bench.save(&with(b, "e1", "blue"));
    let report = bench.save(&with(a, "e1", "green"));
    assert_eq!(kept(&report, "e1"), (Why::Raced, Some(r#"{"variation_id":"blue"}"#.into())));
    assert_eq!(bench.stored(), pairs(&[("e1", "blue")]));
}

#[test]
fn a_change_between_our_read_and_our_write_stays_too() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "red")]);
    let (first, second) = (bench.lookup(), bench.lookup());
    let service = bench.service.clone();
    bench.store.before_next_write(move || {
        service.save(&with(second, "e1", "blue")).unwrap();
    });
    let report = bench.save(&with(first, "e1", "green"));
    assert_eq!(kept(&report, "e1"), (Why::Raced, Some(r#"{"variation_id":"blue"}"#.into())));
    assert_eq!(bench.stored(), pairs(&[("e1", "blue")]));
}

#[test]
fn what_was_read_and_expired_is_not_brought_back() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "red")]);
    let profile = with(bench.lookup(), "e1", "green");
    bench.clock.advance(HOUR);
    assert_eq!(kept(&bench.save(&profile), "e1"), (Why::Gone, None));
    assert_eq!(bench.stored(), []);
}

#[test]
fn one_that_only_came_back_is_not_brought_back_either() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "red")]);
    let profile = with(bench.lookup(), "e2", "new");
    bench.clock.advance(HOUR);
    bench.save(&profile);
    assert_eq!(bench.stored(), pairs(&[("e2", "new")]));
}

#[test]
fn the_same_variation_from_two_processes_is_unchanged() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "red")]);
    assert!(matches!(bench.save_bare(&[("e1", "red")]).get("e1"), Some(Saved::Unchanged)));
}

#[test]
fn a_replace_after_an_erasure_says_so() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let profile = with(bench.lookup(), "e1", "B");
    bench.erase();
    assert_eq!(kept(&bench.save(&profile), "e1"), (Why::Erased, None));
}

#[test]
fn a_receipt_of_another_user_or_namespace_proves_nothing() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let stolen = with(bench.lookup(), "e1", "B").to_json();
    for (from, to) in [(r#""user_id":"ann""#, r#""user_id":"bob""#), ("", "")] {
        let mut other = bench.service.clone();
        let mut json = stolen.clone();
        if from.is_empty() {
            let settings = Settings::new(Namespace::new("other").unwrap()).with_clock(bench.clock.clone());
            other = UserProfileService::new(bench.store.clone(), settings);
        } else {
            json = json.replace(from, to);
        }
        let user = UserProfile::parse(&json).unwrap().user_id().to_owned();
        let first =
            format!(r#"{{"user_id":"{user}","experiment_bucket_map":{{"e1":{{"variation_id":"A"}}}}}}"#);
        other.save_json(&first).unwrap();
        let report = other.save_json(&json).unwrap();
        assert_eq!(kept(&report, "e1").0, Why::Unproven);
    }
}

#[test]
fn a_receipt_is_never_stored_whatever_its_version_and_wherever_it_comes_from() {
    for receipts in [Receipts::On, Receipts::Off] {
        let bench = Bench::with(|settings| settings.with_receipts(receipts));
        for (key, text) in
            [("stickystore", "sr1.rubbish"), ("stickystore", "sr7.x.y"), ("stickystoremap", "sr1.x")]
        {
            let json = format!(
                r#"{{"user_id":"ann","experiment_bucket_map":{{"{key}":{{"variation_id":"{text}"}},"e1":{{"variation_id":"A"}}}}}}"#
            );
            let report = bench.service.save_json(&json).unwrap();
            assert!(report.get(key).is_none());
            assert_eq!(bench.stored(), pairs(&[("e1", "A")]));
        }
    }
}

#[test]
fn an_experiment_that_is_really_named_so_takes_the_receipts_place() {
    let bench = Bench::new();
    bench.save_bare(&[(RECEIPT_KEY, "red"), ("e1", "A")]);
    let json = bench.service.lookup_json("ann").unwrap();
    let map = r#"{"e1":{"variation_id":"A"},"stickystore":{"variation_id":"red"}}"#;
    assert_eq!(json, format!(r#"{{"user_id":"ann","experiment_bucket_map":{map}}}"#));
    assert_eq!(kept(&bench.save(&with(bench.lookup(), "e1", "B")), "e1").0, Why::Unproven);
    // A Rust value needs no receipt in the map.
    let read = with(bench.service.lookup("ann").unwrap(), "e1", "B");
    assert!(matches!(bench.service.save(&read).unwrap().get("e1"), Some(Saved::Replaced { .. })));
}

#[test]
fn a_rust_value_knows_what_it_was_read_with_also_without_receipts() {
    let bench = Bench::with(|settings| settings.with_receipts(Receipts::Off));
    bench.save_bare(&[("e1", "A")]);
    let read = with(bench.service.lookup("ann").unwrap(), "e1", "B");
    assert!(!read.to_json().contains("stickystore"));
    assert!(matches!(bench.service.save(&read).unwrap().get("e1"), Some(Saved::Replaced { .. })));
}

#[test]
fn an_entry_that_is_none_is_refused_by_name_and_the_others_are_saved() {
    let bench = Bench::new();
    for bad in ["null", "\"red\"", "[]", "{}", r#"{"variation_id":7}"#, r#"{"variation_id":null}"#] {
        let json = format!(
            r#"{{"user_id":"ann","experiment_bucket_map":{{"good":{{"variation_id":"A"}},"bad one":{bad},"":{{"variation_id":"A"}}}}}}"#
        );
        let report = bench.service.save_json(&json).unwrap();
        let error = report.error().unwrap();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let Some(Saved::Failed { error }) = report.get("bad one") else {
            panic!("{bad}: {}", report.to_json())
        };
        assert!(error.to_string().contains("\"bad one\""), "{error}");
        assert!(matches!(report.get(""), Some(Saved::Failed { .. })), "an empty id is no key");
        assert_eq!(bench.stored(), pairs(&[("good", "A")]));
    }
}

#[test]
fn what_is_no_profile_is_refused_and_says_why() {
    let bench = Bench::new();
    for (json, why) in [
        ("", "a user profile is a JSON object"),
        ("null", "a user profile is a JSON object"),
        ("{}", "the user profile has no user_id"),
        (r#"{"user_id":7,"experiment_bucket_map":{}}"#, "the user_id of a user profile is a string"),
        (r#"{"user_id":"u"}"#, "the user profile has no experiment_bucket_map"),
        (
            r#"{"user_id":"u","experiment_bucket_map":[]}"#,
            "the experiment_bucket_map of a user profile is an object",
        ),
        (r#"{"user_id":"","experiment_bucket_map":{}}"#, "a user id must have at least 1 byte"),
    ] {
        let error = bench.service.save_json(json).unwrap_err();
        assert_eq!((error.kind(), error.context()), (ErrorKind::Invalid, why), "{json}");
    }
}

#[test]
fn entries_of_another_shape_are_counted_not_handed_out_and_not_overwritten() {
    let bench = Bench::new();
    let foreign = Entry::new(Value::new("7").unwrap(), Expiry::Never);
    let key = Key::new("e1").unwrap();
    bench.store.inner.insert(bench.call(), &bench.subject(), EpochCheck::Is(None), key, foreign).unwrap();
    bench.store.inner.plant(&bench.subject(), Key::new("e2").unwrap(), "rubbish");
    let profile = bench.service.lookup("ann").unwrap();
    assert_eq!((profile.foreign(), profile.damaged(), profile.is_empty()), (1, 1, true));
    let report = bench.save(&with(with(bench.lookup(), "e1", "A"), "e2", "A"));
    assert_eq!(kept(&report, "e1"), (Why::Unproven, Some("7".into())));
    let Some(Saved::Failed { error }) = report.get("e2") else { panic!("{}", report.to_json()) };
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn a_failed_read_fails_what_would_replace_and_adds_the_rest() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let profile = with(with(bench.lookup(), "e1", "B"), "e2", "new");
    bench.store.hooks.lock().unwrap().fail_reads = true;
    assert_eq!(bench.service.lookup("ann").unwrap_err().kind(), ErrorKind::Unavailable);
    let report = bench.save(&profile);
    bench.store.hooks.lock().unwrap().fail_reads = false;
    assert!(
        report.to_json().contains(r#""e1":{"outcome":"failed","effect":"not-applied""#),
        "{}",
        report.to_json()
    );
    assert_eq!(bench.stored(), pairs(&[("e1", "A"), ("e2", "new")]));
}

#[test]
fn an_entry_lives_its_ttl_from_its_own_last_write() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    bench.clock.advance(HOUR / 2);
    bench.save(&with(bench.lookup(), "e2", "B"));
    assert_eq!(bench.entry("e2").expiry, Expiry::At(bench.clock.now().saturating_add(HOUR)));
    bench.clock.advance(HOUR / 2);
    assert_eq!(bench.stored(), pairs(&[("e2", "B")]));
}

#[test]
fn a_map_larger_than_one_write_is_saved_whole() {
    let bench = Bench::new();
    let mut profile = bench.lookup();
    for experiment in 0..2_500 {
        profile.set_variation(experiment.to_string(), "A");
    }
    let report = bench.save(&profile);
    assert!(report.iter().len() == 2_500 && report.iter().all(|(_, saved)| matches!(saved, Saved::Inserted)));
    let mut profile = bench.lookup();
    for experiment in 0..2_500 {
        profile.set_variation(experiment.to_string(), "B");
    }
    let report = bench.save(&profile);
    assert!(report.iter().all(|(_, saved)| matches!(saved, Saved::Replaced { .. })));
}

#[test]
fn a_replacement_carries_on_what_a_newer_version_wrote() {
    let bench = Bench::new();
    let text = r#"{"v":1,"revision":"AAECAwQFBgc","value":{"variation_id":"A"},"newer":1.50}"#;
    bench.store.inner.plant(&bench.subject(), Key::new("e1").unwrap(), text);
    bench.save(&with(bench.lookup(), "e1", "B"));
    let entry = bench.entry("e1");
    let unknown: Vec<_> = entry.unknown.iter().map(|(name, value)| (name, value.as_str())).collect();
    assert_eq!(unknown, [("newer", "1.50")]);
}

#[test]
fn an_entry_that_sdks_could_not_read_is_refused() {
    let bench = Bench::new();
    let deep = format!(r#"{{"variation_id":"A","x":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    let json = format!(
        r#"{{"user_id":"ann","experiment_bucket_map":{{"deep":{deep},"good":{{"variation_id":"A"}}}}}}"#
    );
    let report = bench.service.save_json(&json).unwrap();
    assert!(matches!(report.get("deep"), Some(Saved::Failed { .. })), "{}", report.to_json());
    assert_eq!(bench.stored(), pairs(&[("good", "A")]));
}

#[test]
fn debug_shows_no_variation() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "SECRET")]);
    let profile = bench.service.lookup("ann").unwrap();
    assert!(!format!("{profile:?}").contains("SECRET"));
}

#[test]
fn a_second_save_after_one_lookup_is_safe() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let read = bench.lookup();
    bench.save(&with(read.clone(), "e1", "B"));
    let report = bench.save(&with(read.clone(), "e1", "B"));
    assert!(matches!(report.get("e1"), Some(Saved::Unchanged)), "it finds its own");
    let report = bench.save(&with(read, "e1", "C"));
    assert_eq!(kept(&report, "e1"), (Why::Raced, Some(r#"{"variation_id":"B"}"#.into())));
}

#[test]
fn what_was_read_and_removed_is_not_brought_back() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let read = bench.lookup();
    bench.store.inner.remove(bench.call(), &bench.subject(), Key::new("e1").unwrap()).unwrap();
    assert_eq!(kept(&bench.save(&with(read, "e1", "B")), "e1"), (Why::Gone, None));
    assert_eq!(bench.stored(), []);
}

#[tokio::test]
async fn the_async_face_says_the_same() {
    let settings = || Settings::new(Namespace::new("shop").unwrap()).with_receipts(Receipts::On);
    let service = AsyncUserProfileService::new(Immediate::new(MemoryStore::new()), settings());
    let saved = service.save_json(r#"{"user_id":"ann","experiment_bucket_map":{"e1":{"variation_id":"A"}}}"#);
    assert_eq!(saved.await.unwrap().to_json(), r#"{"entries":{"e1":{"outcome":"inserted"}}}"#);
    let read = UserProfile::parse(&service.lookup_json("ann").await.unwrap()).unwrap();
    let report = service.save(&with(read, "e1", "B")).await.unwrap();
    assert!(matches!(report.get("e1"), Some(Saved::Replaced { .. })));
    assert_eq!(service.lookup("ann").await.unwrap().variation("e1"), Some("B"));
}

#[test]
fn services_work_over_any_store_behind_a_pointer() {
    let blocking: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let asynchronous: Arc<dyn AsyncStore> = Arc::new(Immediate::new(MemoryStore::new()));
    let settings = Settings::new(Namespace::new("shop").unwrap());
    assert!(UserProfileService::new(blocking, settings.clone()).lookup("ann").unwrap().is_empty());
    let _ = AsyncUserProfileService::new(asynchronous, settings);
}

#[test]
fn a_blind_write_is_an_insert_and_nothing_else() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A"), ("e2", "B")]);
    let writes = bench.store.hooks.lock().unwrap().writes.clone();
    assert!(writes.iter().all(|write| write.epoch() == EpochCheck::Is(None)));
    assert!(writes.iter().flat_map(Write::changes).all(|change| matches!(change, Change::Insert(..))));
}
