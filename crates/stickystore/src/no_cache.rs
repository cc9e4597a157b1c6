//! No store has a cache where the feature `cache` is off.

#[cfg(feature = "blocking")]
use std::sync::Arc;

#[cfg(feature = "blocking")]
use stickystore_core::{AsyncStore, Blocking, Store};

/// There is none.
#[derive(Debug, Clone)]
pub(crate) struct Held;

/// There is none.
#[derive(Debug, Clone)]
pub(crate) struct BlockingHeld;

/// The blocking API of a store in layers.
#[cfg(feature = "blocking")]
pub(crate) fn blocking(store: Blocking<Arc<dyn AsyncStore>>, _: Held) -> (Arc<dyn Store>, BlockingHeld) {
    (Arc::new(store), BlockingHeld)
}

impl Held {
    pub(crate) fn none() -> Self {
        Self
    }

    /// The store in these layers.
    #[cfg(any(feature = "coalesce", feature = "resilience"))]
    pub(crate) fn build(layers: stickystore_layers::Layers) -> (Arc<dyn AsyncStore>, Self) {
        (layers.build(), Self)
    }
}

impl BlockingHeld {
    pub(crate) fn none() -> Self {
        Self
    }
}
