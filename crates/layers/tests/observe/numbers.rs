//! Counters and histograms, by their documented names.

use std::collections::{BTreeMap, BTreeSet};

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Erase, Immediate, Keys, Store, StoreExt as _, Subject,
};
use stickystore_layers::observe::{AsyncObserved, Observed};

use crate::bench::{Silent, call, entry, key, subject};

/// Everything that was counted: the name with its labels, in their order, and the count (of a histogram, of samples).
fn counted(run: impl FnOnce()) -> BTreeMap<String, u64> {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, run);
    let counts = snapshotter.snapshot().into_vec().into_iter().map(|(key, _, _, value)| {
        let (name, labels) = key.key().clone().into_parts();
        let labels: Vec<_> = labels.iter().map(|label| label.value().to_owned()).collect();
        let count = match value {
            DebugValue::Counter(count) => count,
            DebugValue::Histogram(samples) => samples.len() as u64,
            DebugValue::Gauge(_) => 0,
        };
        (format!("{} {}", name.as_str(), labels.join(" ")), count)
    });
    counts.collect()
}

fn all_operations<S: Store>(store: &Observed<S>) {
    let subject: Subject = subject();
    store.load(call(), &subject).unwrap();
    // Some stores of these tests never answer.
    let _ = store.put(call(), &subject, key(), entry());
    store.load(call(), &subject).unwrap();
    let _ = store.erase_one(call(), Erase::new(subject.clone(), call().now));
    let _ = store.scan_users(call(), &subject.namespace, None, 10);
    let _ = store.ping(call());
    store.diagnose(call());
    store.close(call()).unwrap();
    store.load(call(), &subject).unwrap_err();
}

#[test]
fn every_answer_is_counted_under_its_name() {
    let counts = counted(|| all_operations(&Observed::new(MemoryStore::new())));
    let answers = counts.iter().filter_map(|(name, count)| {
        name.strip_prefix("stickystore_answers_total memory ").map(|answer| (answer, *count))
    });
    let expected = [
        ("close ok", 1),
        ("diagnose ok", 1),
        ("erase stood", 1),
        ("ping ok", 1),
        ("read absent", 1),
        ("read closed", 1),
        ("read found", 1),
        ("scan ok", 1),
        ("write written", 1),
    ];
    assert_eq!(answers.collect::<Vec<_>>(), expected);
    assert_eq!(counts["stickystore_call_seconds memory read"], 3);
    assert!(!counts.keys().any(|name| name.starts_with("stickystore_unknown_total")), "{counts:?}");
}

#[test]
fn what_nobody_knows_is_counted_apart() {
    let counts = counted(|| all_operations(&Observed::new(Silent(MemoryStore::new()))));
    assert_eq!(counts["stickystore_unknown_total memory write"], 1);
    assert_eq!(counts["stickystore_unknown_total memory erase"], 1);
    assert_eq!(counts["stickystore_answers_total memory write timeout"], 1);
    assert!(!counts.contains_key("stickystore_unknown_total memory ping"), "a ping changes nothing");
}

#[test]
fn a_call_that_is_dropped_is_counted_and_has_no_time() {
    let counts = counted(|| {
        let store = AsyncObserved::new(Immediate::new(MemoryStore::new()));
        let subject = subject();
        let mut read = Box::pin(store.load(call(), &subject));
        // The first poll begins the call; memory would answer it, so it is dropped from inside a store that waits.
        let waits = AsyncObserved::new(crate::bench::Waits);
        let mut waiting = Box::pin(waits.load(call(), &subject));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(read.as_mut().poll(&mut context).is_ready());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        drop(waiting);
    });
    assert_eq!(counts["stickystore_dropped_calls_total waits read"], 1);
    assert!(!counts.contains_key("stickystore_call_seconds waits read"), "{counts:?}");
    assert!(!counts.contains_key("stickystore_dropped_calls_total memory read"), "{counts:?}");
}

#[test]
fn what_is_at_hand_counts_as_a_read_and_nothing_at_hand_as_none() {
    let counts = counted(|| {
        let subject = subject();
        let store = AsyncObserved::new(Immediate::new(MemoryStore::new()));
        store.at_hand(call(), &subject, &Keys::All).unwrap().unwrap();
        let waits = AsyncObserved::new(crate::bench::Waits);
        assert!(waits.at_hand(call(), &subject, &Keys::All).is_none());
    });
    let expected =
        [("stickystore_answers_total memory read absent", 1), ("stickystore_call_seconds memory read", 1)];
    assert_eq!(counts.iter().map(|(name, count)| (name.as_str(), *count)).collect::<Vec<_>>(), expected);
}

#[test]
fn the_documented_names_are_those_that_are_counted() {
    let source = include_str!("../../src/observe.rs");
    let documented = source.lines().filter_map(|line| line.strip_prefix("//! | `stickystore_"));
    let documented: BTreeSet<_> = documented.map(|line| line.split('`').next().unwrap()).collect();
    let numbers = include_str!("../../src/observe/numbers.rs");
    let counted = numbers.split("\"stickystore_").skip(1).map(|rest| rest.split('"').next().unwrap());
    assert_eq!(documented, counted.collect());
    assert!(documented.len() > 3, "{documented:?}");
}
