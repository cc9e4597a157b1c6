//! A store that several handles share, each closed by itself, as a network store is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    AsyncScan, AsyncStore, AsyncStoreExt as _, Call, Cursor, Erase, Error, ErrorKind, Finding, Immediate,
    Namespace, Operation, Outcome, Page, Profile, Read, Result, Scope, Sharing, Store as _, StoreInfo, Write,
    async_trait,
};

#[derive(Debug, Clone)]
pub(crate) struct Network {
    server: Immediate<MemoryStore>,
    info: StoreInfo,
    is_closed: Arc<AtomicBool>,
}

impl Network {
    /// A new handle to what this server holds.
    pub(crate) fn to(server: &MemoryStore) -> Self {
        let info = server.info().clone().sharing(Sharing::Network).winner(Scope::Primary);
        Self { server: Immediate::new(server.clone()), info, is_closed: Arc::default() }
    }

    fn closed(&self, operation: Operation) -> Result<()> {
        if self.is_closed.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Closed, "closed").with_origin(self.info.scheme, operation));
        }
        Ok(())
    }
}

#[async_trait]
impl AsyncStore for Network {
    fn info(&self) -> &StoreInfo {
        &self.info
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        match self.closed(Operation::Read) {
            Ok(()) => self.server.read(call, reads).await,
            Err(error) => vec![Err(error); reads.len()],
        }
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        match self.closed(Operation::Write) {
            Ok(()) => self.server.write(call, writes).await,
            Err(error) => {
                writes.iter().map(|write| vec![Err(error.clone()); write.changes().len()]).collect()
            }
        }
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        match self.closed(Operation::Erase) {
            Ok(()) => self.server.erase(call, erases).await,
            Err(error) => vec![Err(error); erases.len()],
        }
    }

    async fn ping(&self, call: Call) -> Result<()> {
        self.closed(Operation::Ping)?;
        self.server.ping(call).await
    }

    async fn close(&self, _: Call) -> Result<()> {
        self.is_closed.store(true, Ordering::SeqCst);
        Ok(())
    }

    async fn diagnose(&self, call: Call) -> Vec<Finding> {
        self.server.diagnose(call).await
    }

    fn scan(&self) -> Option<&dyn AsyncScan> {
        Some(self)
    }
}

#[async_trait]
impl AsyncScan for Network {
    async fn scan_page(
        &self,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        self.closed(Operation::Scan)?;
        self.server.scan_users(call, namespace, cursor, limit).await
    }
}
