//! What write-behind says by events, and what must never be in them. A process of its own, for its subscriber.
#![cfg(feature = "write-behind")]
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    Call, Change, Entry, EpochCheck, Expiry, Immediate, Key, Namespace, Store as _, Subject, SystemClock,
    UserId, Value, Write,
};
use stickystore_layers::write_behind::{Builder, Journal, WriteBehind};

/// What must never be told.
const SECRETS: [&str; 4] = ["ann's id", "the namespace", "the key", "the value"];

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn call() -> Call {
    Call::within(&SystemClock, Duration::from_secs(60))
}

fn write() -> Write {
    let subject = Subject::new(Namespace::new(SECRETS[1]).unwrap(), UserId::new(SECRETS[0]).unwrap());
    let entry = Entry::new(Value::string(SECRETS[3]), Expiry::Never);
    let change = Change::Insert(Key::new(SECRETS[2]).unwrap(), entry);
    Write::new(subject, EpochCheck::Is(None), vec![change]).unwrap()
}

/// Nothing that is queued is ever due.
fn slow(store: &MemoryStore) -> Builder<Immediate<MemoryStore>> {
    WriteBehind::over(Immediate::new(store.clone())).linger(Duration::from_secs(3_600))
}

/// One test for all of it: two at once would read each other's lines.
#[tokio::test]
async fn what_is_left_behind_and_what_fails_is_said_without_identifiers() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false).without_time();
    tracing::subscriber::set_global_default(subscriber.with_writer(move || writer.clone()).finish()).unwrap();
    let told = || String::from_utf8(std::mem::take(&mut *lines.0.lock().unwrap())).unwrap();

    let store = MemoryStore::new();
    let handle = slow(&store).start(call()).await.unwrap();
    handle.enqueue(call(), write()).await.unwrap();
    assert_eq!(told(), "");
    drop(handle);
    let text = told();
    assert!(
        text.contains("WARN") && text.contains("the last handle was dropped with changes queued"),
        "{text}"
    );
    assert!(text.contains("changes=1 unknown=0 journaled=0"), "{text}");

    let journal = Journal::new(Immediate::new(MemoryStore::new()));
    let handle = slow(&store).journal(journal).start(call()).await.unwrap();
    handle.enqueue(call(), write()).await.unwrap();
    drop(handle);
    let left = told();
    assert!(left.contains("changes=1 unknown=0 journaled=1"), "{left}");

    let handle = slow(&store).start(call()).await.unwrap();
    handle.shutdown(call()).await;
    drop(handle);
    assert_eq!(told(), "", "nothing is left, nothing is said");

    store.close(call()).unwrap();
    let handle = slow(&store).start(call()).await.unwrap();
    handle.enqueue(call(), write()).await.unwrap();
    assert!(!handle.flush(call()).await.is_clean());
    let failed = told();
    assert!(failed.contains("kind=\"closed\" count=1"), "{failed}");

    for secret in SECRETS {
        assert!(![&text, &left, &failed].iter().any(|text| text.contains(secret)), "{secret} was told");
    }
}
