//! An async store that works only on a runtime, as every store with a connection: for what calls it from elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    AsyncStore, Call, Erase, Error, ErrorKind, Immediate, Outcome, Profile, Read, Result, StoreInfo, Write,
};

/// Answers each call from a task that it spawns, and so needs the runtime that it was opened on to go on running.
#[derive(Debug, Clone)]
pub struct Waiting {
    inner: Immediate<MemoryStore>,
    ping: Ping,
}

/// What a ping does.
#[derive(Debug, Clone)]
pub enum Ping {
    /// Answers.
    Answers,
    /// Never ends; tells when it is dropped.
    Hangs(Arc<AtomicBool>),
    /// Panics.
    Panics,
}

impl Waiting {
    /// A store whose ping does this.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where there is no runtime to open it on.
    pub fn open(ping: Ping) -> Result<Self> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(Error::new(ErrorKind::Config, "no runtime to open the store on"));
        }
        Ok(Self { inner: Immediate::new(MemoryStore::new()), ping })
    }
}

/// Sets its flag when it is dropped.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Lets a task of its own do the work.
async fn on_task<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    match tokio::spawn(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[async_trait]
impl AsyncStore for Waiting {
    fn info(&self) -> &StoreInfo {
        self.inner.info()
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        let (inner, reads) = (self.inner.clone(), reads.to_vec());
        on_task(async move { inner.read(call, &reads).await }).await
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let (inner, writes) = (self.inner.clone(), writes.to_vec());
        on_task(async move { inner.write(call, &writes).await }).await
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        let (inner, erases) = (self.inner.clone(), erases.to_vec());
        on_task(async move { inner.erase(call, &erases).await }).await
    }

    #[expect(clippy::panic, reason = "a store that panics is what is tested")]
    async fn ping(&self, call: Call) -> Result<()> {
        match &self.ping {
            Ping::Answers => {
                let inner = self.inner.clone();
                on_task(async move { inner.ping(call).await }).await
            }
            Ping::Hangs(dropped) => {
                let _tells = Dropped(Arc::clone(dropped));
                std::future::pending().await
            }
            Ping::Panics => panic!("the store panics, as it was told to"),
        }
    }

    async fn close(&self, call: Call) -> Result<()> {
        self.inner.close(call).await
    }
}
