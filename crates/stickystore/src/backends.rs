//! Our stores: the schemes of each, the feature that brings it, and how it is opened.

use std::sync::Arc;

use async_trait::async_trait;
use stickystore_core::{AsyncStore, Detach, Result, Store};

mod blocking;
mod memory;

pub(crate) use blocking::in_layers as blocking_in_layers;

#[cfg(feature = "cassandra")]
mod cassandra;
#[cfg(feature = "embedded")]
mod embedded;
#[cfg(feature = "memcached")]
mod memcached;
#[cfg(feature = "mongodb")]
mod mongodb;
#[cfg(feature = "redis")]
mod redis;

#[cfg(not(feature = "cassandra"))]
use off as cassandra;
#[cfg(not(feature = "embedded"))]
use off as embedded;
#[cfg(not(feature = "memcached"))]
use off as memcached;
#[cfg(not(feature = "mongodb"))]
use off as mongodb;
#[cfg(not(feature = "redis"))]
use off as redis;

/// A store of ours, whether or not its feature is on.
pub(crate) struct Backend {
    pub(crate) schemes: &'static [&'static str],
    pub(crate) feature: &'static str,
    /// Nothing where the feature is off.
    pub(crate) opener: fn() -> Option<Arc<dyn Opener>>,
}

/// All stores of ours.
pub(crate) const ALL: &[Backend] = &[
    Backend { schemes: &["memory"], feature: "", opener: memory::opener },
    Backend { schemes: &["embedded"], feature: "embedded", opener: embedded::opener },
    Backend {
        schemes: &["memcache", "memcaches", "memcache+unix"],
        feature: "memcached",
        opener: memcached::opener,
    },
    Backend { schemes: &["redis", "rediss", "redis+unix", "unix"], feature: "redis", opener: redis::opener },
    Backend { schemes: &["mongodb", "mongodb+srv"], feature: "mongodb", opener: mongodb::opener },
    Backend { schemes: &["cassandra", "scylla"], feature: "cassandra", opener: cassandra::opener },
];

/// How stores of one kind are opened, from a URL without our own options.
#[async_trait]
pub(crate) trait Opener: Send + Sync {
    fn blocking(&self, url: &str) -> Result<Arc<dyn Store>>;
    async fn asynchronous(&self, url: String) -> Result<Arc<dyn AsyncStore>>;

    /// How their concurrent calls leave unless the URL says it.
    fn leaving(&self) -> Leaving {
        Leaving::Alone
    }

    /// Who drives the runtime of the blocking API.
    fn driving(&self) -> Driving {
        Driving::OwnThread
    }
}

/// Who drives the runtime on which an async store has its blocking API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driving {
    /// Its own thread: it costs two wake-ups, and whatever the store does keeps no caller.
    OwnThread,
    /// Its callers, on several runtimes: of stores that never keep a thread, need none of its thread-locals, and of which two
    /// on one server are as good as one.
    Callers,
}

/// How concurrent calls of a store leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// Together: what goes in one round trip costs client and server less, as was measured (`cargo xtask bench`).
    #[cfg_attr(not(feature = "mongodb"), expect(dead_code, reason = "the only one of ours is off"))]
    Together,
    /// Each by itself: of a store in this process, of one that only its author knows; of Redis and Memcached, over whose one
    /// connection what is asked at the same moment leaves in one piece anyway; and of Cassandra, whose driver sends each user's
    /// statement to that user's own nodes in any case.
    Alone,
}

/// An opener of somebody's async stores.
pub(crate) fn by<F, Fut, S>(factory: F) -> Arc<dyn Opener>
where
    F: Fn(String) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<S>> + Send + 'static,
    S: AsyncStore,
{
    ours(Leaving::Alone, factory)
}

/// An opener of stores of ours, on a runtime that has a thread of its own.
pub(crate) fn ours<F, Fut, S>(leaving: Leaving, factory: F) -> Arc<dyn Opener>
where
    F: Fn(String) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<S>> + Send + 'static,
    S: AsyncStore,
{
    let blocking = |open: &F, url: &str| blocking::over_one(open(url.to_owned()));
    Arc::new(Factory { open: factory, leaving, driving: Driving::OwnThread, blocking })
}

/// An opener of stores of ours whose callers drive their runtimes, and can have stores of their own. What they ask while one of
/// them is busy leaves in one piece: to wait for each other first gains nothing.
#[cfg_attr(
    not(any(feature = "memcached", feature = "redis")),
    expect(dead_code, reason = "none of them is on")
)]
pub(crate) fn driven<F, Fut, S>(factory: F) -> Arc<dyn Opener>
where
    F: Fn(String) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<S>> + Send + 'static,
    S: Detach,
{
    let blocking = |open: &F, url: &str| blocking::over_each(|| open(url.to_owned()));
    Arc::new(Factory { open: factory, leaving: Leaving::Alone, driving: Driving::Callers, blocking })
}

struct Factory<F> {
    open: F,
    leaving: Leaving,
    driving: Driving,
    blocking: fn(&F, &str) -> Result<Arc<dyn Store>>,
}

#[async_trait]
impl<F, Fut, S> Opener for Factory<F>
where
    F: Fn(String) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<S>> + Send + 'static,
    S: AsyncStore,
{
    fn blocking(&self, url: &str) -> Result<Arc<dyn Store>> {
        (self.blocking)(&self.open, url)
    }

    async fn asynchronous(&self, url: String) -> Result<Arc<dyn AsyncStore>> {
        Ok(Arc::new((self.open)(url).await?))
    }

    fn leaving(&self) -> Leaving {
        self.leaving
    }

    fn driving(&self) -> Driving {
        self.driving
    }
}

/// A store whose feature is off.
#[cfg_attr(
    all(
        feature = "cassandra",
        feature = "embedded",
        feature = "memcached",
        feature = "mongodb",
        feature = "redis"
    ),
    expect(dead_code, reason = "all features are on")
)]
mod off {
    use super::{Arc, Opener};

    pub(super) fn opener() -> Option<Arc<dyn Opener>> {
        None
    }
}
