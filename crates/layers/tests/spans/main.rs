//! Spans and events, and what must never be in them.
#![cfg(feature = "tracing")]
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

#[path = "../observe/bench.rs"]
mod bench;

use std::cell::RefCell;
use std::io;
use std::sync::Once;

use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Change, EpochCheck, Erase, Immediate, Key, Keys, Store as _,
    StoreExt as _, Subject, Write,
};
use stickystore_layers::observe::{AsyncObserved, Observed};
use tracing_subscriber::fmt::format::FmtSpan;

use bench::{Silent, call, entry, key, subject};

/// What must never be told.
const SECRETS: [&str; 4] = ["ann's id", "the namespace", "the key", "the value"];

thread_local! {
    /// What this test was told.
    static TOLD: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Lines;

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        TOLD.with_borrow_mut(|told| told.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Every line that was told, on all levels. One subscriber for all tests: those of single threads miss spans that another
/// thread is the first to meet.
fn told(run: impl FnOnce()) -> Vec<String> {
    static SUBSCRIBER: Once = Once::new();
    SUBSCRIBER.call_once(|| {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(FmtSpan::CLOSE)
            .with_ansi(false)
            .without_time()
            .with_writer(|| Lines)
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
    TOLD.take();
    run();
    let text = String::from_utf8(TOLD.take()).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn two_changes(subject: Subject) -> Write {
    let changes = vec![Change::Put(key(), entry()), Change::Put(Key::new("another").unwrap(), entry())];
    Write::new(subject, EpochCheck::Ignore, changes).unwrap()
}

#[test]
fn a_call_is_a_span_with_its_counts() {
    let lines = told(|| {
        Observed::new(MemoryStore::new()).write(call(), &[two_changes(subject())]);
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    let fields = r#"stickystore{store="memory" operation="write" users=1 items=2 failed=0}"#;
    assert!(lines[0].trim_start().starts_with("INFO") && lines[0].contains(fields), "{lines:?}");
}

#[test]
fn what_is_at_hand_is_the_span_of_a_read_and_nothing_at_hand_is_none() {
    let lines = told(|| {
        let store = AsyncObserved::new(Immediate::new(MemoryStore::new()));
        store.at_hand(call(), &subject(), &Keys::All).unwrap().unwrap();
        assert!(AsyncObserved::new(bench::Waits).at_hand(call(), &subject(), &Keys::All).is_none());
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    let fields = r#"stickystore{store="memory" operation="read" users=1 items=1 failed=0}"#;
    assert!(lines[0].contains(fields), "{lines:?}");
}

#[test]
fn errors_of_a_kind_are_one_warning_inside_the_span() {
    let lines = told(|| {
        Observed::new(Silent(MemoryStore::new())).write(call(), &[two_changes(subject())]);
    });
    let warning =
        r#"stickystore: answers failed kind="timeout" effect="unknown" count=2 error=deadline passed"#;
    assert!(lines[0].trim_start().starts_with("WARN") && lines[0].contains(warning), "{lines:?}");
    assert!(lines[0].contains(r#"operation="write""#), "{lines:?}");
    assert!(lines[1].contains("failed=2"), "{lines:?}");
}

#[test]
fn nothing_that_a_caller_gave_is_told_on_any_level() {
    let lines = told(|| {
        let blocking = Observed::new(Silent(MemoryStore::new()));
        blocking.write(call(), &[two_changes(subject())]);
        let memory = MemoryStore::new();
        let observed = Observed::new(memory.clone());
        observed.put(call(), &subject(), key(), entry()).unwrap();
        memory.plant(&subject(), key(), "the value of another program");
        observed.load(call(), &subject()).unwrap();
        observed.insert(call(), &subject(), EpochCheck::Ignore, key(), entry()).unwrap_err();
        observed.erase_one(call(), Erase::new(subject(), call().now)).unwrap();
        let waits = AsyncObserved::new(bench::Waits);
        let subject = subject();
        let mut read = Box::pin(waits.load(call(), &subject));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(read.as_mut().poll(&mut context).is_pending());
        drop(read);
        let _ = AsyncObserved::new(Immediate::new(memory));
    });
    let text = lines.join("\n");
    for told in ["damaged=1", r#"kind="corrupt""#, "dropped before it was answered"] {
        assert!(text.contains(told), "{told} is told: {text}");
    }
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} is not told: {text}");
    }
}
