//! The async face of a blocking store that never waits.
#![deny(clippy::missing_trait_methods)]

use async_trait::async_trait;

use crate::async_store::{AsyncScan, AsyncStore, only};
use crate::call::{Call, Erase, Keys, Read, Write};
use crate::error::{Operation, Result};
use crate::id::{Namespace, Subject};
use crate::info::{Finding, StoreInfo};
use crate::outcome::Outcome;
use crate::profile::Profile;
use crate::scan::{Cursor, Page};
use crate::store::{Store, StoreExt};

/// Gives a blocking store that answers without waiting, such as the memory store, its async face.
///
/// It calls the store on the task itself: a store that waits for a disk or a network would hold up the runtime. All that it
/// could read is [at hand](AsyncStore::at_hand).
///
/// ```
/// use stickystore_core::{AsyncStore, Immediate, memory::MemoryStore};
///
/// let store: std::sync::Arc<dyn AsyncStore> = std::sync::Arc::new(Immediate::new(MemoryStore::new()));
/// assert_eq!(store.info().scheme, "memory");
/// ```
#[derive(Debug, Clone)]
pub struct Immediate<S>(S);

impl<S: Store> Immediate<S> {
    /// The async face of this store.
    pub fn new(store: S) -> Self {
        Self(store)
    }

    /// The store.
    pub fn get_ref(&self) -> &S {
        &self.0
    }
}

#[async_trait]
impl<S: Store> AsyncStore for Immediate<S> {
    fn info(&self) -> &StoreInfo {
        self.0.info()
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        self.0.read(call, reads)
    }

    fn at_hand(&self, call: Call, subject: &Subject, keys: &Keys) -> Option<Result<Profile>> {
        let read = Read::some(subject.clone(), keys.clone());
        Some(only(self.0.read(call, &[read]), self.0.info(), Operation::Read))
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        self.0.write(call, writes)
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        self.0.erase(call, erases)
    }

    async fn ping(&self, call: Call) -> Result<()> {
        self.0.ping(call)
    }

    async fn close(&self, call: Call) -> Result<()> {
        self.0.close(call)
    }

    async fn diagnose(&self, call: Call) -> Vec<Finding> {
        self.0.diagnose(call)
    }

    fn scan(&self) -> Option<&dyn AsyncScan> {
        self.0.scan().map(|_| self as &dyn AsyncScan)
    }
}

#[async_trait]
impl<S: Store> AsyncScan for Immediate<S> {
    async fn scan_page(
        &self,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        StoreExt::scan_users(&self.0, call, namespace, cursor, limit)
    }
}
