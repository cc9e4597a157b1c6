//! The order of layers, which is right however they are asked for.
//!
//! | from the caller to the store | because |
//! |---|---|
//! | `observe` | it tells what callers see, with what the layers below made of it |
//! | `cache` | what is held costs no place, no retry and no deadline; a read that failed for good can be answered by what is held |
//! | `resilience` | its retries and places are for round trips |
//! | `coalesce` | what leaves together are round trips; each caller has its own retries |
//! | the store | |
//!
//! `write_behind` is not among them, since it is more than a store. It goes around all of them; its documentation says why.

use std::sync::Arc;

use stickystore_core::AsyncStore;

#[cfg(feature = "cache")]
use crate::cache;
#[cfg(feature = "coalesce")]
use crate::coalesce;
#[cfg(any(feature = "metrics", feature = "tracing"))]
use crate::observe::AsyncObserved;
#[cfg(feature = "resilience")]
use crate::resilience;

/// Layers around a store. In whichever order they are asked for, they stand in the right one; each stands there once.
///
/// ```
/// # #[cfg(all(feature = "cache", feature = "resilience"))] {
/// use stickystore_core::{AsyncStore, Immediate, memory::MemoryStore};
/// use stickystore_layers::{Layers, cache, resilience};
///
/// let layers = Layers::new(Immediate::new(MemoryStore::new()))
///     .cache(cache::Config::new())
///     .resilience(resilience::Config::new());
/// let store = layers.build();
/// assert!(store.info().reads_behind.is_some());
/// # }
/// ```
#[derive(Debug)]
pub struct Layers {
    store: Arc<dyn AsyncStore>,
    #[cfg(feature = "coalesce")]
    coalesce: Option<coalesce::Bounds>,
    #[cfg(feature = "resilience")]
    resilience: Option<resilience::Config>,
    #[cfg(feature = "cache")]
    cache: Option<cache::Config>,
    #[cfg(any(feature = "metrics", feature = "tracing"))]
    is_observed: bool,
}

/// The cache among [`Layers`].
#[cfg(feature = "cache")]
pub type LayeredCache = cache::Cached<Arc<dyn AsyncStore>>;

impl Layers {
    /// No layers around this store.
    pub fn new(store: impl AsyncStore) -> Self {
        Self {
            store: Arc::new(store),
            #[cfg(feature = "coalesce")]
            coalesce: None,
            #[cfg(feature = "resilience")]
            resilience: None,
            #[cfg(feature = "cache")]
            cache: None,
            #[cfg(any(feature = "metrics", feature = "tracing"))]
            is_observed: false,
        }
    }

    /// With concurrent calls that leave together.
    #[cfg(feature = "coalesce")]
    #[must_use]
    pub fn coalesce(mut self, bounds: coalesce::Bounds) -> Self {
        self.coalesce = Some(bounds);
        self
    }

    /// With one deadline, a budget of retries, a limit of what is under way.
    #[cfg(feature = "resilience")]
    #[must_use]
    pub fn resilience(mut self, config: resilience::Config) -> Self {
        self.resilience = Some(config);
        self
    }

    /// With what was read kept in this process for a while.
    #[cfg(feature = "cache")]
    #[must_use]
    pub fn cache(mut self, config: cache::Config) -> Self {
        self.cache = Some(config);
        self
    }

    /// With spans and numbers of every call.
    #[cfg(any(feature = "metrics", feature = "tracing"))]
    #[must_use]
    pub fn observe(mut self) -> Self {
        self.is_observed = true;
        self
    }

    /// The store in its layers.
    #[cfg(not(feature = "cache"))]
    pub fn build(self) -> Arc<dyn AsyncStore> {
        let store = self.innermost();
        self.outermost(store)
    }

    /// The store in its layers.
    #[cfg(feature = "cache")]
    pub fn build(self) -> Arc<dyn AsyncStore> {
        self.build_with_cache().0
    }

    /// The store in its layers, and the cache among them if there is one: to preload it, or to forget somebody.
    #[cfg(feature = "cache")]
    pub fn build_with_cache(self) -> (Arc<dyn AsyncStore>, Option<LayeredCache>) {
        let store = self.innermost();
        let cached = self.cache.as_ref().map(|config| cache::Cached::new(Arc::clone(&store), config));
        let store = cached.as_ref().map_or(store, |cached| Arc::new(cached.clone()));
        (self.outermost(store), cached)
    }

    fn innermost(&self) -> Arc<dyn AsyncStore> {
        let store = Arc::clone(&self.store);
        #[cfg(feature = "coalesce")]
        let store = match self.coalesce {
            Some(bounds) => Arc::new(coalesce::Coalesced::with(store, bounds)),
            None => store,
        };
        #[cfg(feature = "resilience")]
        if let Some(config) = &self.resilience {
            return Arc::new(resilience::Resilient::new(store, config));
        }
        store
    }

    fn outermost(&self, store: Arc<dyn AsyncStore>) -> Arc<dyn AsyncStore> {
        #[cfg(any(feature = "metrics", feature = "tracing"))]
        if self.is_observed {
            return Arc::new(AsyncObserved::new(store));
        }
        store
    }
}
