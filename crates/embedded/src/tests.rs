//! What only a test inside can see: disks that fail, a writer that is held, the number of syncs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stickystore_core::{
    Call, Clock as _, Entry, EpochCheck, Expiry, Key, Namespace, Outcome, Result, Revision, StoreExt as _,
    Subject, SystemClock, UserId, Value,
};

use crate::config::Config;
use crate::store::EmbeddedStore;

mod calls;
mod disk;
mod failures;
mod group_commit;
#[cfg(unix)]
mod power_loss;

/// How long a call may take where the test is not about time: a slow disk under many tests at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder that is removed with its handle.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("stickystore-embedded-{}-{}", std::process::id(), Revision::random());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn config(&self) -> Config {
        Config::new(self.0.join("sticky.redb"))
    }

    fn open(&self) -> EmbeddedStore {
        EmbeddedStore::open(self.config()).unwrap()
    }

    fn open_on(&self, disk: &Arc<disk::Controls>) -> EmbeddedStore {
        EmbeddedStore::open_wrapped(self.config(), disk::wrap(disk)).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn call() -> Call {
    Call::within(&SystemClock, PATIENCE)
}

fn call_for(time: Duration) -> Call {
    Call::new(SystemClock.now(), Instant::now() + time)
}

fn user(name: &str) -> Subject {
    Subject::new(Namespace::new("n").unwrap(), UserId::new(name).unwrap())
}

fn key() -> Key {
    Key::new("k").unwrap()
}

fn entry(value: &str) -> Entry {
    Entry::new(Value::string(value), Expiry::Never)
}

fn insert(store: &EmbeddedStore, call: Call, name: &str) -> Result<Outcome> {
    store.insert(call, &user(name), EpochCheck::Is(None), key(), entry(name))
}

fn is_there(store: &EmbeddedStore, name: &str) -> bool {
    store.get(call(), &user(name), &key()).unwrap().is_some()
}

/// Waits for something that another thread is about to do.
fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < end, "never came: {what}");
        std::thread::yield_now();
    }
}
