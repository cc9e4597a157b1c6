//! All layers around a store, as an application puts them there; what the cache holds is so old so soon that a run sees it.

use std::sync::Arc;
use std::time::Duration;

use stickystore_core::AsyncStore;
use stickystore_layers::{Layers, cache, coalesce, resilience};

/// How old an answer of the cache may be.
const AGE: Duration = Duration::from_millis(150);

/// How old, if it is that the user has nothing.
const ABSENT_AGE: Duration = Duration::from_millis(40);

/// How old, if the store failed: what its readers may be behind.
pub(super) const STALE: Duration = Duration::from_millis(400);

/// So little that users are forgotten for others.
const BYTES: u64 = 16 << 10;

/// How many calls are under way at once: fewer than there are callers, so that some wait.
const LIMIT: usize = 5;

/// This store in all of them.
pub(super) fn layered(store: Arc<dyn AsyncStore>) -> Arc<dyn AsyncStore> {
    let cache =
        cache::Config::new().with_bytes(BYTES).with_age(AGE).with_absent_age(ABSENT_AGE).with_stale(STALE);
    Layers::new(store)
        .cache(cache)
        .resilience(resilience::Config::new().with_limit(LIMIT))
        .coalesce(coalesce::Bounds::default())
        .observe()
        .build()
}
