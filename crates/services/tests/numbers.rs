//! What became of saves is counted under the documented names.
#![cfg(feature = "metrics")]

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use stickystore_core::{Namespace, memory::MemoryStore};
use stickystore_services::{Settings, optimizely::UserProfileService};

#[test]
fn replaced_and_served_once_are_counted_apart() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        let settings =
            Settings::new(Namespace::new("n").unwrap()).with_deadline(std::time::Duration::from_secs(60));
        let service = UserProfileService::new(MemoryStore::new(), settings);
        let save = |variation: &str| {
            service.save_json(&format!(
                r#"{{"user_id":"ann","experiment_bucket_map":{{"e":{{"variation_id":"{variation}"}}}}}}"#
            ))
        };
        save("red").unwrap();
        let mut profile = service.lookup("ann").unwrap();
        profile.set_variation("e", "blue");
        service.save(&profile).unwrap();
        save("green").unwrap();
    });
    let mut counted: Vec<_> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| {
            let labels: Vec<_> = key.key().labels().map(|label| label.value().to_owned()).collect();
            let DebugValue::Counter(count) = value else { return String::new() };
            format!("{}{{{}}} {count}", key.key().name(), labels.join(","))
        })
        .collect();
    counted.sort();
    assert_eq!(
        counted,
        [
            "stickystore_replaced_total{optimizely} 1",
            "stickystore_saved_total{optimizely,inserted} 1",
            "stickystore_saved_total{optimizely,kept} 1",
            "stickystore_saved_total{optimizely,replaced} 1",
            "stickystore_served_once_total{optimizely,unproven} 1",
        ]
    );
}
