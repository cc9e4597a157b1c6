//! What a store that was opened by its URL stands in: the layers that the URL asks for or the store has by default, and the
//! one that tells of its calls, if a feature asks for it.

use std::sync::Arc;

use stickystore_core::{AsyncStore, Result, Store};

use crate::backends::{self, Opener};
use crate::cache::{BlockingHeld, Held};
use crate::layered::{Asked, Given};

/// Opens a store with its blocking API.
pub(super) fn blocking(
    opener: &Arc<dyn Opener>,
    url: String,
    asked: Asked,
) -> Result<(Arc<dyn Store>, BlockingHeld)> {
    let given = asked.over(opener.leaving());
    let (store, held) = if given.is_none() {
        (opener.blocking(&url)?, BlockingHeld::none())
    } else {
        // Layers are async, so that the store inside them is too.
        let (opener, driving) = (Arc::clone(opener), opener.driving());
        backends::blocking_in_layers(
            driving,
            async move { Ok(around(opener.asynchronous(url).await?, given)) },
        )?
    };
    Ok((told::blocking(store), held))
}

/// Opens a store with its async API.
pub(super) async fn asynchronous(
    opener: &Arc<dyn Opener>,
    url: String,
    asked: Asked,
) -> Result<(Arc<dyn AsyncStore>, Held)> {
    let given = asked.over(opener.leaving());
    let (store, held) = around(opener.asynchronous(url).await?, given);
    Ok((told::asynchronous(store), held))
}

#[cfg(any(feature = "cache", feature = "coalesce", feature = "resilience"))]
fn around(store: Arc<dyn AsyncStore>, given: Given) -> (Arc<dyn AsyncStore>, Held) {
    if given.is_none() {
        return (store, Held::none());
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
    Held::build(layers)
}

#[cfg(not(any(feature = "cache", feature = "coalesce", feature = "resilience")))]
fn around(store: Arc<dyn AsyncStore>, _: Given) -> (Arc<dyn AsyncStore>, Held) {
    (store, Held::none())
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
    use std::sync::atomic::{AtomicUsize, Ordering};

    use stickystore_core::Immediate;
    use stickystore_core::memory::MemoryStore;
    use stickystore_redis::{Config, RedisStore};

    use super::*;
    use crate::address::Address;
    use crate::backends::{Driving, Leaving};

    async fn open(_: String) -> Result<Immediate<MemoryStore>> {
        Ok(Immediate::new(MemoryStore::new()))
    }

    /// It connects when it is first used.
    async fn open_redis(_: String) -> Result<RedisStore> {
        RedisStore::new(&Config::from_url("redis://127.0.0.1:1")?)
    }

    fn asked(option: &str) -> Asked {
        Address::parse(&format!("theirs:?namespace=n{option}")).unwrap().layers
    }

    /// Whether calls leave together, through the blocking API and the async one.
    async fn leave_together(opener: Arc<dyn Opener>, option: &str) -> [bool; 2] {
        let (blocking, _) = blocking(&opener, "theirs:".to_owned(), asked(option)).unwrap();
        let (asynchronous, _) = asynchronous(&opener, "theirs:".to_owned(), asked(option)).await.unwrap();
        [format!("{blocking:?}"), format!("{asynchronous:?}")].map(|shown| shown.contains("Coalesced"))
    }

    #[tokio::test]
    async fn calls_of_a_store_that_gains_leave_together_unless_the_url_says_off() {
        let opener = || backends::ours(Leaving::Together, open);
        assert_eq!(leave_together(opener(), "").await, [true; 2]);
        assert_eq!(leave_together(opener(), "&coalesce=on").await, [true; 2]);
        assert_eq!(leave_together(opener(), "&coalesce=off").await, [false; 2]);
    }

    #[tokio::test]
    async fn callers_who_drive_wait_for_nobody_unless_the_url_says_on() {
        let opener = || backends::driven(open_redis);
        assert_eq!(leave_together(opener(), "").await, [false; 2]);
        assert_eq!(leave_together(opener(), "&coalesce=on").await, [true; 2]);
        assert_eq!(leave_together(opener(), "&coalesce=off").await, [false; 2]);
    }

    #[test]
    fn what_layers_hold_is_held_once_and_without_them_every_processor_has_a_store() {
        let opens = |option| {
            let opened = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&opened);
            let counting = move |url| {
                counted.fetch_add(1, Ordering::SeqCst);
                open_redis(url)
            };
            let opener = backends::driven(counting);
            drop(blocking(&opener, "theirs:".to_owned(), asked(option)).unwrap());
            opened.load(Ordering::SeqCst)
        };
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        assert_eq!([opens(""), opens("&coalesce=on")], [processors.min(4), 1]);
    }

    #[test]
    fn callers_drive_redis_and_memcached() {
        for backend in backends::ALL {
            let Some(opener) = (backend.opener)() else { continue };
            let driven = ["redis", "memcached"].contains(&backend.feature);
            let driving = if driven { Driving::Callers } else { Driving::OwnThread };
            assert_eq!(opener.driving(), driving, "{:?}", backend.schemes);
        }
        assert_eq!(backends::by(open).driving(), Driving::OwnThread, "a store that only its author knows");
    }

    #[tokio::test]
    async fn those_of_another_store_do_not_unless_the_url_says_on() {
        assert_eq!(leave_together(backends::by(open), "").await, [false; 2]);
        assert_eq!(leave_together(backends::by(open), "&coalesce=off").await, [false; 2]);
        assert_eq!(leave_together(backends::by(open), "&coalesce=on").await, [true; 2]);
    }

    #[cfg(feature = "coalesce")]
    #[tokio::test]
    async fn no_write_of_a_server_waits_for_another_users() {
        use stickystore_layers::coalesce::Bounds;

        let urls = [
            ("redis", "redis://127.0.0.1"),
            ("memcached", "memcache://127.0.0.1"),
            ("mongodb", "mongodb://127.0.0.1"),
            ("cassandra", "cassandra://127.0.0.1"),
        ];
        for (feature, url) in urls {
            let backend = backends::ALL.iter().find(|backend| backend.feature == feature).unwrap();
            let Some(opener) = (backend.opener)() else { continue };
            let store = opener.asynchronous(url.to_owned()).await.unwrap();
            assert_eq!(Bounds::of(store.info()).writes_in_flight, Bounds::UNLIMITED, "{url}");
        }
    }

    #[test]
    fn calls_of_mongodb_leave_together() {
        for backend in backends::ALL {
            let Some(opener) = (backend.opener)() else { continue };
            let leaving = if backend.feature == "mongodb" { Leaving::Together } else { Leaving::Alone };
            assert_eq!(opener.leaving(), leaving, "{:?}", backend.schemes);
        }
    }
}
