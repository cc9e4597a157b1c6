//! The event of a session that is dropped before its commit; alone in its process, for whether an event is wanted is known
//! there once for all threads.
#![cfg(feature = "tracing")]
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

use stickystore_core::{Namespace, memory::MemoryStore};
use stickystore_services::Settings;
use stickystore_services::session::Session;

fn settings() -> Settings {
    Settings::new(Namespace::new("shop").unwrap())
}

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
        let session = Session::begin(MemoryStore::new(), settings(), ["ann"]).unwrap();
        session.view().assign("ann", "k", || "v").unwrap();
    });
    let lines = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(lines.contains("WARN stickystore: a session was dropped before its commit"), "{lines}");
    assert!(lines.contains("users=1 changes=1") && !lines.contains("ann"), "{lines}");
}
