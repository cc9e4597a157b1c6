//! An async store that works only on a runtime, as every store with a connection: for what calls it from elsewhere.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use async_trait::async_trait;
use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    AsyncStore, Call, Detach, Detaching, Erase, Error, ErrorKind, Immediate, Outcome, Profile, Read, Result,
    StoreInfo, Subject, Write,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::words::{entry, key};

/// Answers each call from a task that it spawns, and so needs the runtime that it was opened on to go on running.
#[derive(Debug, Clone)]
pub struct Waiting {
    inner: Immediate<MemoryStore>,
    ping: Ping,
    /// A caller's own needs no runtime. It has whoever is asked for, where that of all callers has nobody.
    is_own: bool,
}

/// What a ping does.
#[derive(Debug, Clone)]
pub enum Ping {
    /// Answers.
    Answers,
    /// Asks a server that echoes.
    Echoes(Arc<Mutex<TcpStream>>),
    /// Never ends; tells when it is dropped.
    Hangs(Arc<AtomicBool>),
    /// Keeps its thread for so long, which no async store may.
    Blocks(Duration),
    /// Panics.
    Panics,
    /// Answers; tells, when the store is dropped, whether that was on a runtime.
    Tells(Arc<TellsDrop>),
}

/// Tells when it is dropped whether it could start a task there, as a driver that says goodbye to its server.
#[derive(Debug)]
pub struct TellsDrop(pub Sender<bool>);

impl Drop for TellsDrop {
    fn drop(&mut self) {
        let _ = self.0.send(tokio::runtime::Handle::try_current().is_ok());
    }
}

impl Ping {
    /// A connection to a server that echoes.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] where there is none.
    pub async fn echoes(server: SocketAddr) -> Result<Self> {
        let connection = TcpStream::connect(server).await;
        connection.map(|connection| Self::Echoes(Arc::new(Mutex::new(connection)))).map_err(broken)
    }
}

fn broken(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "no connection").with_source(error)
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
        Ok(Self { inner: Immediate::new(MemoryStore::new()), ping, is_own: false })
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
        if self.is_own {
            let profile = Profile::new(None, [(key("k"), entry("v"))], Vec::new(), call.now);
            return vec![Ok(profile); reads.len()];
        }
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
            Ping::Answers | Ping::Tells(_) => {
                let inner = self.inner.clone();
                on_task(async move { inner.ping(call).await }).await
            }
            Ping::Echoes(connection) => {
                let mut connection = connection.lock().await;
                connection.write_all(b"?").await.map_err(broken)?;
                connection.read_u8().await.map(drop).map_err(broken)
            }
            Ping::Hangs(dropped) => {
                let _tells = Dropped(Arc::clone(dropped));
                std::future::pending().await
            }
            Ping::Blocks(time) => {
                std::thread::sleep(*time);
                Ok(())
            }
            Ping::Panics => panic!("the store panics, as it was told to"),
        }
    }

    async fn close(&self, call: Call) -> Result<()> {
        self.inner.close(call).await
    }
}

impl Detach for Waiting {
    fn detach(&self) -> Detaching<Self> {
        let own = Self { is_own: true, ..self.clone() };
        Box::pin(std::future::ready(Ok(own)))
    }

    fn is_ready(&self, _: &Subject) -> bool {
        self.is_own
    }
}
