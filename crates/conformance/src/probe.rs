//! One face over both APIs, so that every case is written once: always through `dyn`, as stores are used.
#![deny(clippy::missing_trait_methods)]

use std::sync::Arc;

use async_trait::async_trait;
use stickystore_core::{
    AsyncScan, AsyncStore, AsyncStoreExt as _, Call, Cursor, Erase, Finding, Keys, Namespace, Outcome, Page,
    Profile, Read, Result, Store, StoreExt as _, StoreInfo, Subject, Write,
};

/// The store of a case. Calls of the blocking API are made on threads of their own.
#[derive(Debug, Clone)]
pub enum Probe {
    /// Through the async API.
    Async(Arc<dyn AsyncStore>),
    /// Through the blocking API.
    Blocking(Arc<dyn Store>),
}

/// Runs a blocking call on a thread where it may block; its panic goes on here.
async fn on_thread<T: Send + 'static>(
    store: &Arc<dyn Store>,
    call: impl FnOnce(&dyn Store) -> T + Send + 'static,
) -> T {
    let store = Arc::clone(store);
    match tokio::task::spawn_blocking(move || call(&*store)).await {
        Ok(answer) => answer,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[async_trait]
impl AsyncStore for Probe {
    fn info(&self) -> &StoreInfo {
        match self {
            Self::Async(store) => store.info(),
            Self::Blocking(store) => store.info(),
        }
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        match self {
            Self::Async(store) => store.read(call, reads).await,
            Self::Blocking(store) => {
                let reads = reads.to_vec();
                on_thread(store, move |store| store.read(call, &reads)).await
            }
        }
    }

    fn at_hand(&self, call: Call, subject: &Subject, keys: &Keys) -> Option<Result<Profile>> {
        match self {
            Self::Async(store) => store.at_hand(call, subject, keys),
            Self::Blocking(_) => None,
        }
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        match self {
            Self::Async(store) => store.write(call, writes).await,
            Self::Blocking(store) => {
                let writes = writes.to_vec();
                on_thread(store, move |store| store.write(call, &writes)).await
            }
        }
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        match self {
            Self::Async(store) => store.erase(call, erases).await,
            Self::Blocking(store) => {
                let erases = erases.to_vec();
                on_thread(store, move |store| store.erase(call, &erases)).await
            }
        }
    }

    async fn ping(&self, call: Call) -> Result<()> {
        match self {
            Self::Async(store) => store.ping(call).await,
            Self::Blocking(store) => on_thread(store, move |store| store.ping(call)).await,
        }
    }

    async fn close(&self, call: Call) -> Result<()> {
        match self {
            Self::Async(store) => store.close(call).await,
            Self::Blocking(store) => on_thread(store, move |store| store.close(call)).await,
        }
    }

    async fn diagnose(&self, call: Call) -> Vec<Finding> {
        match self {
            Self::Async(store) => store.diagnose(call).await,
            Self::Blocking(store) => on_thread(store, move |store| store.diagnose(call)).await,
        }
    }

    fn scan(&self) -> Option<&dyn AsyncScan> {
        let can = match self {
            Self::Async(store) => store.scan().is_some(),
            Self::Blocking(store) => store.scan().is_some(),
        };
        can.then_some(self)
    }
}

#[async_trait]
impl AsyncScan for Probe {
    async fn scan_page(
        &self,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        match self {
            Self::Async(store) => store.scan_users(call, namespace, cursor, limit).await,
            Self::Blocking(store) => {
                let (namespace, cursor) = (namespace.clone(), cursor.cloned());
                on_thread(store, move |store| store.scan_users(call, &namespace, cursor.as_ref(), limit))
                    .await
            }
        }
    }
}
