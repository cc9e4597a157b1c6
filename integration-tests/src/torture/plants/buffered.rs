//! A store that keeps writes in its process for a while, and is right as long as the process lives: whoever reads or writes a user
//! meets what was kept of that user. What is kept when the process is killed is lost.
#![deny(clippy::missing_trait_methods)]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use stickystore_core::{
    AsyncScan, AsyncStore, AsyncStoreExt as _, Call, Change, Clock as _, EpochCheck, Erase, Finding, Keys,
    Outcome, Profile, Read, Result, StoreInfo, Subject, SystemClock, Write,
};
use tokio::sync::Mutex;

use super::broken::success;

/// How long a write is kept, if nobody reads or writes its user before.
const KEPT: Duration = Duration::from_millis(300);

/// How long an attempt to write it may take, and how long it is waited after one that failed.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(10);

/// A store with a buffer.
#[derive(Debug)]
pub(super) struct Buffered {
    store: Arc<dyn AsyncStore>,
    kept: Arc<Mutex<HashMap<Subject, Write>>>,
}

impl Buffered {
    pub(super) fn new(store: Arc<dyn AsyncStore>) -> Self {
        Self { store, kept: Arc::default() }
    }

    /// Keeps a write of which it is sure that it will be made; makes any other at once.
    async fn keep_or_make(&self, call: Call, write: &Write) -> Vec<Result<Outcome>> {
        let mut kept = self.kept.lock().await;
        flush(&*self.store, &mut kept, write.subject()).await;
        let standing = self.store.load(call, write.subject()).await;
        if !standing.is_ok_and(|standing| is_sure(&standing, write)) {
            return self.store.write_one(call, write.clone()).await;
        }
        kept.insert(write.subject().clone(), write.clone());
        let (store, kept, subject) =
            (Arc::clone(&self.store), Arc::clone(&self.kept), write.subject().clone());
        tokio::spawn(async move {
            tokio::time::sleep(KEPT).await;
            flush(&*store, &mut *kept.lock().await, &subject).await;
        });
        write.changes().iter().map(success).collect()
    }

    /// Makes what is kept of these users.
    async fn settle(&self, subjects: impl Iterator<Item = &Subject>) {
        let mut kept = self.kept.lock().await;
        for subject in subjects {
            flush(&*self.store, &mut kept, subject).await;
        }
    }
}

/// Makes what is kept of this user, however often that fails: it has one revision, and is made once.
async fn flush(store: &dyn AsyncStore, kept: &mut HashMap<Subject, Write>, subject: &Subject) {
    let Some(write) = kept.get(subject) else { return };
    loop {
        let call = Call::new(SystemClock.now(), Instant::now() + PATIENCE);
        if store.write_one(call, write.clone()).await.iter().all(Result::is_ok) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    kept.remove(subject);
}

/// Whether every change will be made, where this stands and nobody else comes.
fn is_sure(standing: &Profile, write: &Write) -> bool {
    let is_epoch = match write.epoch() {
        EpochCheck::Is(epoch) => epoch == standing.epoch(),
        _ => false,
    };
    let is_sure = |change: &Change| match change {
        Change::Insert(key, _) => standing.get(key.as_str()).is_none(),
        Change::Replace(key, was, new) => {
            standing.get(key.as_str()).is_some_and(|entry| entry.revision == *was && entry.value != new.value)
        }
        _ => false,
    };
    is_epoch && write.changes().iter().all(is_sure)
}

#[async_trait]
impl AsyncStore for Buffered {
    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let mut answers = Vec::new();
        for write in writes {
            answers.push(self.keep_or_make(call, write).await);
        }
        answers
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        self.settle(reads.iter().map(|read| &read.subject)).await;
        self.store.read(call, reads).await
    }

    /// Every read has to come by.
    fn at_hand(&self, _: Call, _: &Subject, _: &Keys) -> Option<Result<Profile>> {
        None
    }

    fn info(&self) -> &StoreInfo {
        self.store.info()
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        self.settle(erases.iter().map(|erase| &erase.subject)).await;
        self.store.erase(call, erases).await
    }

    async fn ping(&self, call: Call) -> Result<()> {
        self.store.ping(call).await
    }

    async fn close(&self, call: Call) -> Result<()> {
        self.store.close(call).await
    }

    async fn diagnose(&self, call: Call) -> Vec<Finding> {
        self.store.diagnose(call).await
    }

    fn scan(&self) -> Option<&dyn AsyncScan> {
        self.store.scan()
    }
}
