//! Counters and gauges, by their documented names.

use std::collections::BTreeMap;
use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use stickystore_core::{AsyncStoreExt as _, Change, Erase, ErrorKind};
use stickystore_layers::write_behind::WhenFull;

use crate::planted::{
    Fault, Planted, behind, call, clock, entry, insert, key, short_call, start, subject, write,
};

/// Everything that was counted, by name and labels; a gauge by its last value.
fn counted(run: impl Future<Output = ()>) -> BTreeMap<String, u64> {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(run));
    let counts = snapshotter.snapshot().into_vec().into_iter().map(|(key, _, _, value)| {
        let (name, labels) = key.key().clone().into_parts();
        let labels: Vec<_> = labels.iter().map(|label| label.value().to_owned()).collect();
        let count = match value {
            DebugValue::Counter(count) => count,
            DebugValue::Gauge(value) => value.round() as u64,
            DebugValue::Histogram(samples) => samples.len() as u64,
        };
        let name = name.as_str().strip_prefix("stickystore_behind_").unwrap().to_owned();
        (format!("{name} {}", labels.join(" ")), count)
    });
    counts.collect()
}

#[test]
fn everything_that_becomes_of_a_change_is_counted_under_its_name() {
    let counts = counted(async {
        let store = Planted::new();
        let clock = clock();
        let handle =
            start(behind(&store).clock(clock.clone()).max_changes(2).when_full(WhenFull::Fail)).await;
        store.plant([Fault::Lost]);
        let red = entry("red");
        handle.enqueue(call(), write("ann", vec![Change::Insert(key("k"), red.clone())])).await.unwrap();
        handle.flush(call()).await;
        handle.enqueue(call(), insert("ann", "k", "blue")).await.unwrap();
        handle.flush(call()).await;
        store.plant([Fault::Refused(ErrorKind::Corrupt)]);
        handle.enqueue(call(), insert("ann", "l", "v")).await.unwrap();
        handle.flush(call()).await;
        store.hold();
        handle.enqueue(call(), insert("ann", "m", "v")).await.unwrap();
        store.begun(5).await;
        handle.enqueue(call(), insert("ann", "n", "v")).await.unwrap();
        handle.enqueue(call(), insert("ann", "o", "v")).await.unwrap_err();
        handle.erase_one(call(), Erase::new(subject("ann"), call().now)).await.unwrap();
        handle.shutdown(short_call()).await;
    });
    let expected = [
        ("queued_total planted", 5),
        ("retries_total planted", 1),
        ("written_total planted inserted", 1),
        ("dropped_total planted kept", 1),
        ("failed_total planted corrupt", 1),
        ("refused_total planted full", 1),
        ("dropped_total planted erased", 1),
        ("dropped_total planted left", 1),
    ];
    let counters: BTreeMap<_, _> = counts.into_iter().filter(|(name, _)| name.contains("_total")).collect();
    let expected: BTreeMap<_, _> =
        expected.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    assert_eq!(counters, expected);
}

#[test]
fn gauges_show_what_is_queued_and_for_how_long() {
    let counts = counted(async {
        let store = Planted::new();
        store.hold();
        let clock = clock();
        let handle = start(behind(&store).clock(clock.clone())).await;
        handle.enqueue(call(), insert("ann", "k", "v")).await.unwrap();
        store.begun(1).await;
        handle.enqueue(call(), insert("bob", "k", "v")).await.unwrap();
        clock.advance(Duration::from_secs(7));
        store.plant([Fault::Refused(ErrorKind::Unavailable); 10_000]);
        store.release();
        store.begun(3).await;
        // Dropped, it would show an empty queue.
        std::mem::forget(handle);
    });
    assert_eq!(counts["changes planted"], 2);
    assert_eq!(counts["oldest_seconds planted"], 7);
    assert!(counts["bytes planted"] > 500);
}

#[test]
fn an_empty_queue_shows_as_empty() {
    let counts = counted(async {
        let store = Planted::new();
        let handle = start(behind(&store)).await;
        handle.enqueue(call(), insert("ann", "k", "v")).await.unwrap();
        handle.shutdown(call()).await;
    });
    assert_eq!(
        (counts["changes planted"], counts["bytes planted"], counts["oldest_seconds planted"]),
        (0, 0, 0)
    );
}
