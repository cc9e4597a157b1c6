//! What a store that was opened by its URL stands in: the layers that the URL asks for, and the one that tells of its calls,
//! if a feature asks for it.

use std::sync::Arc;

use stickystore_core::{AsyncStore, Result, Store};

use crate::backends::{self, Opener};
use crate::layered::Asked;

/// Opens a store with its blocking API.
pub(super) fn blocking(opener: &Arc<dyn Opener>, url: String, asked: Asked) -> Result<Arc<dyn Store>> {
    let store = if asked.is_none() {
        opener.blocking(&url)?
    } else {
        // Layers are async, so that the store inside them is too.
        let opener = Arc::clone(opener);
        backends::blocking_over(async move { Ok(around(opener.asynchronous(url).await?, asked)) })?
    };
    Ok(told::blocking(store))
}

/// Opens a store with its async API.
pub(super) async fn asynchronous(
    opener: &Arc<dyn Opener>,
    url: String,
    asked: Asked,
) -> Result<Arc<dyn AsyncStore>> {
    Ok(told::asynchronous(around(opener.asynchronous(url).await?, asked)))
}

#[cfg(any(feature = "cache", feature = "coalesce", feature = "resilience"))]
fn around(store: Arc<dyn AsyncStore>, asked: Asked) -> Arc<dyn AsyncStore> {
    if asked.is_none() {
        return store;
    }
    #[cfg(feature = "coalesce")]
    let bounds = asked.coalesce.map(|config| config.bounds(store.info()));
    let layers = stickystore_layers::Layers::new(store);
    #[cfg(feature = "coalesce")]
    let layers = match bounds {
        Some(bounds) => layers.coalesce(bounds),
        None => layers,
    };
    #[cfg(feature = "cache")]
    let layers = match asked.cache {
        Some(config) => layers.cache(config),
        None => layers,
    };
    #[cfg(feature = "resilience")]
    let layers = match asked.resilience {
        Some(config) => layers.resilience(config),
        None => layers,
    };
    layers.build()
}

#[cfg(not(any(feature = "cache", feature = "coalesce", feature = "resilience")))]
fn around(store: Arc<dyn AsyncStore>, _: Asked) -> Arc<dyn AsyncStore> {
    store
}

#[cfg(any(feature = "tracing", feature = "metrics"))]
mod told {
    use stickystore_layers::observe::{AsyncObserved, Observed};

    use super::{Arc, AsyncStore, Store};

    pub(super) fn blocking(store: Arc<dyn Store>) -> Arc<dyn Store> {
        Arc::new(Observed::new(store))
    }

    pub(super) fn asynchronous(store: Arc<dyn AsyncStore>) -> Arc<dyn AsyncStore> {
        Arc::new(AsyncObserved::new(store))
    }
}

#[cfg(not(any(feature = "tracing", feature = "metrics")))]
mod told {
    use super::{Arc, AsyncStore, Store};

    pub(super) fn blocking(store: Arc<dyn Store>) -> Arc<dyn Store> {
        store
    }

    pub(super) fn asynchronous(store: Arc<dyn AsyncStore>) -> Arc<dyn AsyncStore> {
        store
    }
}
