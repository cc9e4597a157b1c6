//! What the suite needs to know of a store: how to open it, through which API, and how to damage its data.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use stickystore_core::{AsyncStore, Error, ErrorKind, Key, Result, Store, Subject};

use crate::probe::Probe;

/// How long a single call may take in a case, unless the harness says otherwise.
const DEADLINE: Duration = Duration::from_secs(5);

/// A store under test: how the suite opens it, once for each case.
#[derive(Clone)]
pub struct Harness {
    pub(crate) backend: String,
    pub(crate) api: Api,
    pub(crate) open: Arc<dyn Fn() -> BoxFuture<'static, Result<Opened>> + Send + Sync>,
    pub(crate) deadline: Duration,
    pub(crate) grace: Option<Duration>,
    pub(crate) missing: Option<String>,
    pub(crate) effort: Effort,
}

/// How far random cases go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// As many tries as the case is worth, and what fails is shrunk.
    Full,
    /// Few tries and no shrinking: when it matters that a case fails and not how.
    Quick,
}

/// Through which trait a store is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Api {
    /// `AsyncStore`.
    Async,
    /// `Store`.
    Blocking,
}

impl Api {
    /// Its name in reports: `async`, `blocking`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Async => "async",
            Self::Blocking => "blocking",
        }
    }
}

/// A store that was opened for a case, and what the suite may do to it behind its back.
pub struct Opened {
    pub(crate) store: Probe,
    pub(crate) clone: Probe,
    pub(crate) plant: Option<Arc<dyn Plant>>,
}

/// Puts things into the database behind the store's back, as another program or a broken disk would.
#[async_trait]
pub trait Plant: Send + Sync {
    /// Puts something under this user and key that the store cannot read as an entry.
    async fn damaged_entry(&self, subject: &Subject, key: &Key);

    /// Puts something under the user's whole storage key that is not ours.
    async fn foreign_user(&self, subject: &Subject);
}

impl Harness {
    /// A store with the async API. `open` is called once for each case, and again where a case wants a second handle:
    /// on a network store all of them may use one server, since each case has a namespace of its own.
    pub fn asynchronous<F, Fut, O>(backend: impl Into<String>, open: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O>> + Send + 'static,
        O: Into<Opened>,
    {
        let open = move || {
            let opening = open();
            async move { opening.await.map(Into::into) }.boxed()
        };
        Self::new(backend.into(), Api::Async, Arc::new(open))
    }

    /// A store with the blocking API; see [`asynchronous`](Self::asynchronous).
    pub fn blocking<F, O>(backend: impl Into<String>, open: F) -> Self
    where
        F: Fn() -> Result<O> + Clone + Send + Sync + 'static,
        O: Into<Opened> + Send + 'static,
    {
        let open = move || {
            let open = open.clone();
            async move {
                let opened = tokio::task::spawn_blocking(open);
                opened.await.expect("opening the store does not panic").map(Into::into)
            }
            .boxed()
        };
        Self::new(backend.into(), Api::Blocking, Arc::new(open))
    }

    /// A store that cannot be tried here, because its server is not there: every case is skipped for this reason.
    pub fn missing(backend: impl Into<String>, api: Api, why: impl Into<String>) -> Self {
        let never = || {
            let error = Error::new(ErrorKind::Unavailable, "this store is missing");
            futures::future::ready(Err(error)).boxed()
        };
        let mut harness = Self::new(backend.into(), api, Arc::new(never));
        harness.missing = Some(why.into());
        harness
    }

    /// How long a single call may take; 5 s by default.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How long the opened stores let expired entries stand before they sweep them. It should be small (some
    /// 100 ms; 1 s where the server counts in seconds): the cases about sweeping wait for three times as long in
    /// real time. Without it they are skipped.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// Random cases shall go only so far.
    pub(crate) fn with_effort(mut self, effort: Effort) -> Self {
        self.effort = effort;
        self
    }

    fn new(
        backend: String,
        api: Api,
        open: Arc<dyn Fn() -> BoxFuture<'static, Result<Opened>> + Send + Sync>,
    ) -> Self {
        Self { backend, api, open, deadline: DEADLINE, grace: None, missing: None, effort: Effort::Full }
    }
}

impl Opened {
    /// An async store. Its clones have to share its data; wrap it in an `Arc` if it has none.
    pub fn asynchronous(store: impl AsyncStore + Clone) -> Self {
        let clone = Probe::Async(Arc::new(store.clone()));
        Self { store: Probe::Async(Arc::new(store)), clone, plant: None }
    }

    /// A blocking store. Its clones have to share its data; wrap it in an `Arc` if it has none.
    pub fn blocking(store: impl Store + Clone) -> Self {
        let clone = Probe::Blocking(Arc::new(store.clone()));
        Self { store: Probe::Blocking(Arc::new(store)), clone, plant: None }
    }

    /// Lets the suite damage this store's data. Without it the cases about damage are skipped.
    #[must_use]
    pub fn with_plant(mut self, plant: impl Plant + 'static) -> Self {
        self.plant = Some(Arc::new(plant));
        self
    }
}

impl fmt::Debug for Harness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harness")
            .field("backend", &self.backend)
            .field("api", &self.api)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("store", &self.store).finish_non_exhaustive()
    }
}
