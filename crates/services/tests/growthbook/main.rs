//! The Sticky Bucket Service as SDKs and Rust callers use it. What stands in the store is in `entries`, whose it is in
//! `users`, GrowthBook's own Rust SDK in `sdk`.
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

mod bench;
mod entries;
#[cfg(feature = "growthbook")]
mod sdk;
mod users;

use std::sync::{Arc, Barrier};

use stickystore_core::memory::MemoryStore;
use stickystore_core::{AsyncStore, Effect, Error, ErrorKind, Immediate, Namespace, Store};
use stickystore_services::growthbook::{AsyncStickyBucketService, Document, StickyBucketService};
use stickystore_services::{Saved, Settings, Why};

use crate::bench::{Bench, HOUR};

#[test]
fn a_save_is_one_write_and_a_lookup_one_read() {
    let bench = Bench::new();
    assert_eq!(bench.service.document_json("id", "ann").unwrap(), "null");
    assert_eq!(bench.store.calls(), (1, 0));
    let report = bench.service.save("id", "ann", [("a__0", "1"), ("b__2", "0")]).unwrap();
    assert_eq!(
        report.to_json(),
        r#"{"entries":{"a__0":{"outcome":"inserted"},"b__2":{"outcome":"inserted"}}}"#
    );
    assert_eq!(bench.store.calls(), (0, 1));
    assert_eq!(
        bench.service.document_json("id", "ann").unwrap(),
        r#"{"attributeName":"id","attributeValue":"ann","assignments":{"a__0":"1","b__2":"0"}}"#
    );
}

#[test]
fn a_save_of_nothing_asks_the_store_nothing() {
    let bench = Bench::new();
    let report = bench.service.save("id", "ann", [] as [(&str, &str); 0]).unwrap();
    assert_eq!((report.to_json().as_str(), bench.store.calls()), (r#"{"entries":{}}"#, (0, 0)));
}

#[test]
fn a_save_adds_and_never_changes() {
    let bench = Bench::new();
    bench.service.save("id", "ann", [("a__0", "1")]).unwrap();
    let before = bench.stored("a__0");
    let report = bench.service.save("id", "ann", [("a__0", "0"), ("a__1", "0")]).unwrap();
    let Some(Saved::Kept { why: Why::Unproven, winner: Some(winner) }) = report.get("a__0") else {
        panic!("{report:?}")
    };
    assert_eq!(winner.as_str(), "\"1\"");
    assert!(matches!(report.get("a__1"), Some(Saved::Inserted)), "{report:?}");
    assert_eq!(bench.stored("a__0"), before);
}

#[test]
fn a_whole_document_saved_again_changes_nothing_and_brings_back_nothing_it_lacks() {
    let bench = Bench::new();
    bench.service.save("id", "ann", [("a__0", "1"), ("b__0", "1")]).unwrap();
    let before = (bench.stored("a__0"), bench.stored("b__0"));
    let old = r#"{"attributeName":"id","attributeValue":"ann","assignments":{"a__0":"1"},"more":1}"#;
    let report = bench.service.save_json(old).unwrap();
    assert_eq!(report.to_json(), r#"{"entries":{"a__0":{"outcome":"unchanged"}}}"#);
    assert_eq!((bench.stored("a__0"), bench.stored("b__0")), before);
}

#[test]
fn of_saves_that_race_one_wins_and_everyone_is_told_which() {
    let store = MemoryStore::new();
    let settings = Settings::new(Namespace::new("shop").unwrap());
    let barrier = Arc::new(Barrier::new(4));
    // Each a process of its own: no more than the store is shared.
    let processes: Vec<_> = (0..4)
        .map(|process| {
            let service = StickyBucketService::new(store.clone(), settings.clone());
            let barrier = Arc::clone(&barrier);
            std::thread::spawn(move || {
                barrier.wait();
                let save = |user: u32| service.save("id", &user.to_string(), [("a__0", process.to_string())]);
                (0..200).map(|user| save(user).unwrap()).collect::<Vec<_>>()
            })
        })
        .collect();
    let reports: Vec<_> = processes.into_iter().map(|process| process.join().unwrap()).collect();
    let service = StickyBucketService::new(store, settings);
    for user in 0..200 {
        let stands = service.assignments("id", &user.to_string()).unwrap()["a__0"].clone();
        for (process, report) in reports.iter().enumerate() {
            let saved = report[user].get("a__0");
            if stands == process.to_string() {
                assert!(matches!(saved, Some(Saved::Inserted)), "user {user}: {saved:?}");
            } else {
                let Some(Saved::Kept { winner: Some(winner), .. }) = saved else { panic!("{saved:?}") };
                assert_eq!(winner.as_string().unwrap(), stands, "user {user}");
            }
        }
    }
}

#[test]
fn a_save_that_was_under_way_does_not_bring_back_an_erased_user() {
    let bench = Bench::new();
    bench.service.save("id", "ann", [("a__0", "1")]).unwrap();
    bench.erase();
    let report = bench.service.save("id", "ann", [("a__0", "1")]).unwrap();
    assert_eq!(report.to_json(), r#"{"entries":{"a__0":{"outcome":"kept","why":"erased"}}}"#);
    assert_eq!(bench.stored("a__0"), None);
    bench.clock.advance(HOUR);
    let report = bench.service.save("id", "ann", [("a__0", "1")]).unwrap();
    assert!(matches!(report.get("a__0"), Some(Saved::Inserted)), "{report:?}");
}

#[test]
fn an_assignment_lives_its_ttl_from_its_own_save() {
    let bench = Bench::new();
    bench.service.save("id", "ann", [("a__0", "1")]).unwrap();
    bench.clock.advance(HOUR / 2);
    bench.service.save("id", "ann", [("b__0", "1")]).unwrap();
    bench.clock.advance(HOUR / 2);
    let left = bench.service.assignments("id", "ann").unwrap();
    assert_eq!(left.keys().collect::<Vec<_>>(), ["b__0"]);
}

#[test]
fn more_assignments_than_fit_into_one_write_are_all_saved() {
    let bench = Bench::new();
    let many: Vec<_> = (0..2_500).map(|n| (format!("e{n}__0"), "1")).collect();
    let report = bench.service.save("id", "ann", many).unwrap();
    assert!(report.iter().all(|(_, saved)| matches!(saved, Saved::Inserted)), "{}", report.to_json());
    assert_eq!(bench.service.assignments("id", "ann").unwrap().len(), 2_500);
}

#[test]
fn a_failed_read_is_an_error_and_a_failed_write_is_in_the_report() {
    let bench = Bench::new();
    bench.store.fail(true, true);
    let error = bench.service.document("id", "ann").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let report = bench.service.save("id", "ann", [("a__0", "1"), ("b__0", "1")]).unwrap();
    assert_eq!(report.iter().filter(|(_, saved)| matches!(saved, Saved::Failed { .. })).count(), 2);
    assert_eq!(report.error().map(Error::effect), Some(Effect::Unknown));
}

#[test]
fn many_attributes_are_one_read_and_each_has_its_own_answer() {
    let bench = Bench::new();
    bench.service.save("id", "ann", [("a__0", "1")]).unwrap();
    bench.service.save("company", "7", [("b__0", "0")]).unwrap();
    bench.store.calls();
    let long = "x".repeat(5_000);
    let asked = [("company", "7"), ("id", long.as_str()), ("id", "bob"), ("id", "ann")];
    let documents = bench.service.documents(asked);
    assert_eq!(bench.store.calls(), (1, 0));
    let says = |document: &Result<Document, Error>| match document {
        Ok(document) => document.to_json(),
        Err(error) => format!("{:?}", error.kind()),
    };
    let company = r#"{"attributeName":"company","attributeValue":"7","assignments":{"b__0":"0"}}"#;
    let ann = r#"{"attributeName":"id","attributeValue":"ann","assignments":{"a__0":"1"}}"#;
    assert_eq!(documents.iter().map(says).collect::<Vec<_>>(), [company, "Invalid", "null", ann]);
}

#[test]
fn what_is_no_document_is_refused_by_name() {
    for (text, named) in [
        ("[]", "document"),
        (r#"{"attributeValue":"ann","assignments":{}}"#, "attributeName"),
        (r#"{"attributeName":"id","attributeValue":7,"assignments":{}}"#, "attributeValue"),
        (r#"{"attributeName":"id","attributeValue":"ann"}"#, "assignments"),
        (r#"{"attributeName":"id","attributeValue":"ann","assignments":[]}"#, "assignments"),
    ] {
        let error = Document::parse(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{text}");
        assert!(error.context().contains(named), "{text}: {error}");
    }
}

#[test]
fn debug_output_tells_who_and_how_many_and_not_what() {
    let document = Document::new("id", "ann").with([("secret-experiment__0", "secret-variation")]);
    let shown = format!("{document:?}");
    assert!(shown.contains("ann") && !shown.contains("secret"), "{shown}");
}

#[tokio::test]
async fn the_async_service_does_the_same() {
    let memory = MemoryStore::new();
    let settings = Settings::new(Namespace::new("shop").unwrap());
    let blocking = StickyBucketService::new(Arc::new(memory.clone()) as Arc<dyn Store>, settings.clone());
    let store: Arc<dyn AsyncStore> = Arc::new(Immediate::new(memory));
    let service = AsyncStickyBucketService::new(store, settings);
    service.save("id", "ann", [("a__0", "1")]).await.unwrap();
    let report = service.save("id", "ann", [("a__0", "0"), ("", "0")]).await.unwrap();
    assert_eq!(report.to_json(), blocking.save("id", "ann", [("a__0", "0"), ("", "0")]).unwrap().to_json(),);
    assert_eq!(service.assignments("id", "ann").await.unwrap(), blocking.assignments("id", "ann").unwrap());
    let (ours, theirs) = (service.document_json("id", "ann").await, blocking.document_json("id", "ann"));
    assert_eq!(ours.unwrap(), theirs.unwrap());
    let documents = service.documents([("id", "bob"), ("id", "ann")]).await;
    assert_eq!(documents.last().unwrap().as_ref().unwrap().assignments().len(), 1);
    assert_eq!(service.save_json("{}").await.unwrap_err().kind(), ErrorKind::Invalid);
}
