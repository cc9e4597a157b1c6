//! A cache around a store that the tests can look into, and short ways to use both.

use std::time::{Duration, Instant};

use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    AsyncStoreExt as _, Call, Change, Entry, EpochCheck, Expiry, Key, Namespace, Outcome, Profile, Result,
    StoreExt as _, Subject, UnixMillis, UserId, Value,
};
use stickystore_layers::cache::{Cached, Config};

use crate::gate::Gate;

/// When the tests begin.
const START: u64 = 1_700_000_000_000;

pub(crate) struct World {
    /// What another process sees and writes.
    pub(crate) memory: MemoryStore,
    pub(crate) gate: Gate,
    pub(crate) cached: Cached<Gate>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(&Config::new())
    }

    pub(crate) fn with(config: &Config) -> Self {
        let memory = MemoryStore::new();
        let gate = Gate::new(memory.clone());
        let cached = Cached::new(gate.clone(), config);
        Self { memory, gate, cached }
    }

    /// What the cache answers at this time.
    pub(crate) async fn load(&self, at: u64, user: &str) -> Result<Profile> {
        self.cached.load(call(at), &subject(user)).await
    }

    /// The value under `k` by the cache: nothing, or its text.
    pub(crate) async fn value(&self, at: u64, user: &str) -> Option<String> {
        value_of(&self.load(at, user).await.unwrap())
    }

    /// Another process puts a value under `k`.
    pub(crate) fn put_elsewhere(&self, user: &str, value: &str) {
        let put = self.memory.put(call(0), &subject(user), key(), entry(value));
        assert_eq!(put.unwrap(), Outcome::Written);
    }

    /// Puts a value under `k` through the cache.
    pub(crate) async fn put(&self, at: u64, user: &str, value: &str) {
        let put = self.cached.put(call(at), &subject(user), key(), entry(value)).await;
        assert_eq!(put.unwrap(), Outcome::Written);
    }

    /// Inserts a value under `k` through the cache.
    pub(crate) async fn insert(&self, at: u64, user: &str, value: &str) -> Outcome {
        let change = Change::Insert(key(), entry(value));
        self.cached.change(call(at), &subject(user), EpochCheck::Is(None), change).await.unwrap()
    }
}

pub(crate) fn value_of(profile: &Profile) -> Option<String> {
    profile.get("k").map(|entry| entry.value.as_string().unwrap().into_owned())
}

/// A call so many milliseconds after the tests begin, with time enough.
pub(crate) fn call(at: u64) -> Call {
    Call::new(time(at), Instant::now() + Duration::from_secs(60))
}

pub(crate) fn time(at: u64) -> UnixMillis {
    UnixMillis::new(START + at).unwrap()
}

pub(crate) fn subject(user: &str) -> Subject {
    Subject::new(Namespace::new("n").unwrap(), UserId::new(user).unwrap())
}

pub(crate) fn key() -> Key {
    Key::new("k").unwrap()
}

pub(crate) fn entry(value: &str) -> Entry {
    Entry::new(Value::string(value), Expiry::Never)
}

pub(crate) fn until(value: &str, at: u64) -> Entry {
    Entry::new(Value::string(value), Expiry::At(time(at)))
}
