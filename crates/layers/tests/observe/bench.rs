//! What the tests of this folder have at hand: users, entries, and a store whose writes end unknown.

use std::time::Duration;

use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    Call, Entry, Erase, Error, ErrorKind, Expiry, Key, Namespace, Outcome, Profile, Read, Result, Store,
    StoreInfo, Subject, SystemClock, UserId, Value, Write,
};

pub(crate) fn call() -> Call {
    Call::within(&SystemClock, Duration::from_secs(5))
}

pub(crate) fn subject() -> Subject {
    Subject::new(Namespace::new("the namespace").unwrap(), UserId::new("ann's id").unwrap())
}

pub(crate) fn key() -> Key {
    Key::new("the key").unwrap()
}

pub(crate) fn entry() -> Entry {
    Entry::new(Value::string("the value"), Expiry::Never)
}

/// Reads as the memory store does; what it is to write gets no answer.
#[derive(Debug)]
pub(crate) struct Silent(pub(crate) MemoryStore);

impl Store for Silent {
    fn info(&self) -> &StoreInfo {
        self.0.info()
    }

    fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        self.0.read(call, reads)
    }

    fn write(&self, _call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        writes.iter().map(|write| vec![Err(no_answer()); write.changes().len()]).collect()
    }

    fn erase(&self, _call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        vec![Err(no_answer()); erases.len()]
    }

    fn ping(&self, _call: Call) -> Result<()> {
        Err(no_answer())
    }

    fn close(&self, call: Call) -> Result<()> {
        self.0.close(call)
    }
}

fn no_answer() -> Error {
    Error::new(ErrorKind::Timeout, "no answer by the deadline")
}

/// Never answers.
#[derive(Debug)]
pub(crate) struct Waits;

#[stickystore_core::async_trait]
impl stickystore_core::AsyncStore for Waits {
    fn info(&self) -> &StoreInfo {
        static INFO: std::sync::LazyLock<StoreInfo> = std::sync::LazyLock::new(|| StoreInfo::new("waits"));
        &INFO
    }

    async fn read(&self, _call: Call, _reads: &[Read]) -> Vec<Result<Profile>> {
        std::future::pending().await
    }

    async fn write(&self, _call: Call, _writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        std::future::pending().await
    }

    async fn erase(&self, _call: Call, _erases: &[Erase]) -> Vec<Result<bool>> {
        std::future::pending().await
    }

    async fn ping(&self, _call: Call) -> Result<()> {
        std::future::pending().await
    }

    async fn close(&self, _call: Call) -> Result<()> {
        std::future::pending().await
    }
}
