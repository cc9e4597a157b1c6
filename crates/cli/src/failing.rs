//! A store that fails while it is told to: the recorded exceptions of a replay.
#![deny(clippy::missing_trait_methods)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use stickystore_core::{
    Call, Effect, Erase, Error, ErrorKind, Finding, Outcome, Profile, Read, Result, Scan, Store, StoreInfo,
    Write,
};

/// A store around another one; clones fail together.
#[derive(Debug, Clone)]
pub(crate) struct Failing<S> {
    inner: S,
    fails: Arc<AtomicBool>,
}

impl<S: Store> Failing<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner, fails: Arc::default() }
    }

    /// Whether reads and writes fail from now on.
    pub(crate) fn set_failing(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    fn failure(&self) -> Option<Error> {
        let error = Error::new(ErrorKind::Unavailable, "failed as recorded").with_effect(Effect::NotApplied);
        self.fails.load(Ordering::SeqCst).then_some(error)
    }
}

impl<S: Store> Store for Failing<S> {
    fn info(&self) -> &StoreInfo {
        self.inner.info()
    }

    fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        match self.failure() {
            Some(error) => vec![Err(error); reads.len()],
            None => self.inner.read(call, reads),
        }
    }

    fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        match self.failure() {
            Some(error) => {
                writes.iter().map(|write| vec![Err(error.clone()); write.changes().len()]).collect()
            }
            None => self.inner.write(call, writes),
        }
    }

    fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        self.inner.erase(call, erases)
    }

    fn ping(&self, call: Call) -> Result<()> {
        self.inner.ping(call)
    }

    fn close(&self, call: Call) -> Result<()> {
        self.inner.close(call)
    }

    fn diagnose(&self, call: Call) -> Vec<Finding> {
        self.inner.diagnose(call)
    }

    fn scan(&self) -> Option<&dyn Scan> {
        self.inner.scan()
    }
}
