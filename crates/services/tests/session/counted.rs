//! What commits report is counted, when they do, under the names of saves.

use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use crate::bench::{Bench, decide, lookup, record, with};

/// What this counts: names, labels and numbers.
pub(crate) fn counted(work: impl FnOnce()) -> Vec<String> {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, work);
    let told = snapshotter.snapshot().into_vec().into_iter().map(|(key, _, _, value)| {
        let labels: Vec<_> = key.key().labels().map(|label| label.value().to_owned()).collect();
        let DebugValue::Counter(count) = value else { panic!("{key:?} is no counter") };
        format!("{}{{{}}} {count}", key.key().name(), labels.join(","))
    });
    let mut told: Vec<_> = told.collect();
    told.sort();
    told
}

#[test]
fn what_is_never_committed_is_not_counted() {
    let bench = Bench::new();
    bench.put("A");
    let told = counted(|| {
        let session = bench.begin();
        let view = session.view();
        view.save(&with(lookup(view, "ann"), "e1", "B")).unwrap();
        view.save_assignments("id", "ann", [("e__0", "B")]).unwrap_err();
        view.set(&record("red", "")).unwrap();
        session.discard();
    });
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn what_a_commit_reports_is_counted_once_by_the_service_whose_save_it_was() {
    let bench = Bench::new();
    bench.put("A");
    let told = counted(|| {
        let session = bench.begin();
        let view = session.view();
        view.save(&with(lookup(view, "ann"), "e1", "B")).unwrap();
        view.save(&with(lookup(view, "bob"), "e1", "B")).unwrap();
        view.set(&record("red", "")).unwrap();
        view.set(&record("red", "g1")).unwrap();
        view.assign("ann", "k", || "x").unwrap();
        session.commit();
        session.commit();
    });
    assert_eq!(
        told,
        [
            "stickystore_replaced_total{optimizely} 1",
            "stickystore_saved_total{assign,inserted} 1",
            "stickystore_saved_total{optimizely,inserted} 1",
            "stickystore_saved_total{optimizely,replaced} 1",
            "stickystore_saved_total{vwo,inserted} 1",
        ]
    );
}

#[test]
fn what_lost_a_race_was_served_once_unless_it_is_decided_again() {
    let lost =
        ["stickystore_saved_total{optimizely,kept} 1", "stickystore_served_once_total{optimizely,raced} 1"];
    let bench = Bench::new();
    let told = counted(|| {
        let session = bench.begin();
        decide(session.view(), "ann", "e1", &["B", "A"]);
        bench.put("A");
        session.commit();
    });
    assert_eq!(told, lost);
    let bench = Bench::new();
    let told = counted(|| {
        let session = bench.begin();
        bench.put("A");
        session.decide(|view| decide(view, "ann", "e1", &["B", "A"])).unwrap();
    });
    assert_eq!(told, lost[..1]);
}

#[test]
fn a_record_that_was_kept_from_the_store_is_counted_too() {
    let bench = Bench::new();
    let told = counted(|| {
        let session = bench.begin();
        assert_eq!(session.view().get("ann", "c1").unwrap(), None);
        session.view().set(&record("red", "")).unwrap();
        bench.other_vwo().set(&record("blue", "")).unwrap();
        session.commit();
    });
    assert_eq!(
        told,
        [
            "stickystore_saved_total{vwo,inserted} 1",
            "stickystore_saved_total{vwo,kept} 1",
            "stickystore_served_once_total{vwo,raced} 1",
        ],
        "the other's, and the session's"
    );
}
