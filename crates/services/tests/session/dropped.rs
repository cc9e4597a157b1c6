//! A session that ends without its commit: its view, and what is said of it.

use stickystore_core::ErrorKind;

use crate::bench::{Bench, lookup, with};

#[test]
fn its_view_looks_up_and_saves_no_more() {
    let bench = Bench::new();
    bench.put("A");
    let session = bench.begin();
    let view = session.view().clone();
    session.commit();
    drop(session);
    assert_eq!(lookup(&view, "ann").variation("e1"), Some("A"));
    let error = view.save(&with(lookup(&view, "ann"), "e1", "B")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(view.assign("ann", "k", || "v").unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(view.set(&crate::bench::record("red", "")).unwrap_err().kind(), ErrorKind::Closed);
}

#[cfg(feature = "metrics")]
#[test]
fn it_is_counted_unless_it_is_meant() {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        let bench = Bench::new();
        let session = bench.begin();
        session.view().assign("ann", "k", || "v").unwrap();
        session.view().assign("bob", "k", || "v").unwrap();
        drop(session);
        let session = bench.begin();
        session.view().assign("ann", "k", || "v").unwrap();
        session.discard();
        let session = bench.begin();
        session.view().assign("ann", "k", || "v").unwrap();
        session.commit();
        drop(session);
    });
    let told = snapshotter.snapshot().into_vec();
    let told: Vec<_> =
        told.into_iter().map(|(key, _, _, value)| (key.key().name().to_owned(), value)).collect();
    assert_eq!(told, [("stickystore_uncommitted_changes_total".to_owned(), DebugValue::Counter(2))]);
}

#[cfg(feature = "tracing")]
#[test]
fn it_is_an_event_that_names_nobody() {
    use std::sync::{Arc, Mutex};
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, || {
        let session = Bench::new().begin();
        session.view().assign("ann", "k", || "v").unwrap();
    });
    let lines = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(lines.contains("WARN stickystore: a session was dropped before its commit"), "{lines}");
    assert!(lines.contains("users=1 changes=1") && !lines.contains("ann"), "{lines}");
}
