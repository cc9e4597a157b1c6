//! What a store that was opened by its URL stands in: the layers that the URL asks for or the store has by default, and the
//! one that tells of its calls, if a feature asks for it.

use std::sync::Arc;

use stickystore_core::{AsyncStore, Result, Store};

use crate::backends::{self, Opener};
use crate::layered::{Asked, Given};

/// Opens a store with its blocking API.
pub(super) fn blocking(opener: &Arc<dyn Opener>, url: String, asked: Asked) -> Result<Arc<dyn Store>> {
    let given = asked.over(opener.leaving());
    let store = if given.is_none() {
        opener.blocking(&url)?
    } else {
        // Layers are async, so that the store inside them is too.
        let opener = Arc::clone(opener);
        backends::blocking_over(async move { Ok(around(opener.asynchronous(url).await?, given)) })?
    };
    Ok(told::blocking(store))
}

/// Opens a store with its async API.
pub(super) async fn asynchronous(
    opener: &Arc<dyn Opener>,
    url: String,
    asked: Asked,
) -> Result<Arc<dyn AsyncStore>> {
    let given = asked.over(opener.leaving());
    Ok(told::asynchronous(around(opener.asynchronous(url).await?, given)))
}

#[cfg(any(feature = "cache", feature = "coalesce", feature = "resilience"))]
fn around(store: Arc<dyn AsyncStore>, given: Given) -> Arc<dyn AsyncStore> {
    if given.is_none() {
        return store;
    }
    #[cfg(feature = "coalesce")]
    let bounds = given.coalesce.map(|config| config.bounds(store.info()));
    let layers = stickystore_layers::Layers::new(store);
    #[cfg(feature = "coalesce")]
    let layers = match bounds {
        Some(bounds) => layers.coalesce(bounds),
        None => layers,
    };
    #[cfg(feature = "cache")]
    let layers = match given.cache {
        Some(config) => layers.cache(config),
        None => layers,
    };
    #[cfg(feature = "resilience")]
    let layers = match given.resilience {
        Some(config) => layers.resilience(config),
        None => layers,
    };
    layers.build()
}

#[cfg(not(any(feature = "cache", feature = "coalesce", feature = "resilience")))]
fn around(store: Arc<dyn AsyncStore>, _: Given) -> Arc<dyn AsyncStore> {
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

#[cfg(test)]
#[cfg(all(feature = "coalesce", feature = "redis"))]
mod tests {
    use stickystore_core::Immediate;
    use stickystore_core::memory::MemoryStore;

    use super::*;
    use crate::address::Address;

    fn opener(gains: bool) -> Arc<dyn Opener> {
        let open = |_| async { Ok(Immediate::new(MemoryStore::new())) };
        if gains { backends::together(open) } else { backends::by(open) }
    }

    fn asked(option: &str) -> Asked {
        Address::parse(&format!("theirs:?namespace=n{option}")).unwrap().layers
    }

    /// Whether calls leave together, through the blocking API and the async one.
    async fn leave_together(gains: bool, option: &str) -> [bool; 2] {
        let opener = opener(gains);
        let blocking = blocking(&opener, "theirs:".to_owned(), asked(option)).unwrap();
        let asynchronous = asynchronous(&opener, "theirs:".to_owned(), asked(option)).await.unwrap();
        [format!("{blocking:?}"), format!("{asynchronous:?}")].map(|shown| shown.contains("Coalesced"))
    }

    #[tokio::test]
    async fn calls_of_a_store_that_gains_leave_together_unless_the_url_says_off() {
        assert_eq!(leave_together(true, "").await, [true; 2]);
        assert_eq!(leave_together(true, "&coalesce=on").await, [true; 2]);
        assert_eq!(leave_together(true, "&coalesce=off").await, [false; 2]);
    }

    #[tokio::test]
    async fn those_of_another_store_do_not_unless_the_url_says_on() {
        assert_eq!(leave_together(false, "").await, [false; 2]);
        assert_eq!(leave_together(false, "&coalesce=off").await, [false; 2]);
        assert_eq!(leave_together(false, "&coalesce=on").await, [true; 2]);
    }

    #[cfg(feature = "coalesce")]
    #[tokio::test]
    async fn writes_wait_for_another_users_only_where_the_server_takes_several_at_once() {
        use stickystore_layers::coalesce::Bounds;

        let urls = [
            ("redis", "redis://127.0.0.1", true),
            ("memcached", "memcache://127.0.0.1", false),
            ("mongodb", "mongodb://127.0.0.1", false),
            ("cassandra", "cassandra://127.0.0.1", false),
        ];
        for (feature, url, waits) in urls {
            let backend = backends::ALL.iter().find(|backend| backend.feature == feature).unwrap();
            let Some(opener) = (backend.opener)() else { continue };
            let store = opener.asynchronous(url.to_owned()).await.unwrap();
            assert_eq!(Bounds::of(store.info()).writes_in_flight < Bounds::UNLIMITED, waits, "{url}");
        }
    }

    #[test]
    fn calls_of_redis_memcached_and_mongodb_leave_together() {
        for backend in backends::ALL {
            let Some(opener) = (backend.opener)() else { continue };
            let gains = ["redis", "memcached", "mongodb"].contains(&backend.feature);
            let leaving = if gains { backends::Leaving::Together } else { backends::Leaving::Alone };
            assert_eq!(opener.leaving(), leaving, "{:?}", backend.schemes);
        }
    }
}
