//! A folder of a test's own, and short words for the model.

use std::path::PathBuf;
use std::time::Duration;

use stickystore_core::{
    Call, Clock as _, Entry, Expiry, Key, Namespace, Revision, Subject, SystemClock, UserId, Value,
};
use stickystore_embedded::{Config, EmbeddedStore};

/// How long a call may take where the test is not about time: a slow disk under many tests at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder that is removed with its handle.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        let name = format!("stickystore-embedded-{}-{}", std::process::id(), Revision::random());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn config(&self) -> Config {
        Config::new(self.file("sticky.redb"))
    }

    pub(crate) fn open(&self) -> EmbeddedStore {
        EmbeddedStore::open(self.config()).unwrap()
    }

    /// The names of the files in it.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = std::fs::read_dir(&self.0).unwrap();
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn call() -> Call {
    Call::within(&SystemClock, PATIENCE)
}

pub(crate) fn call_in(time: Duration) -> Call {
    Call::new(SystemClock.now().saturating_add(time), call().deadline)
}

pub(crate) fn user(name: &str) -> Subject {
    Subject::new(Namespace::new("n").unwrap(), UserId::new(name).unwrap())
}

pub(crate) fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

pub(crate) fn entry(value: &str) -> Entry {
    Entry::new(Value::string(value), Expiry::Never)
}
