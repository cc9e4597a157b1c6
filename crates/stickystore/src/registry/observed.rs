//! What a store that was opened by its URL stands in: the layer that tells of its calls, if a feature asks for one.

use std::sync::Arc;

use stickystore_core::{AsyncStore, Store};

pub(super) use told::{asynchronous, blocking};

#[cfg(any(feature = "tracing", feature = "metrics"))]
mod told {
    use stickystore_layers::observe::{AsyncObserved, Observed};

    use super::{Arc, AsyncStore, Store};

    pub(in super::super) fn blocking(store: Arc<dyn Store>) -> Arc<dyn Store> {
        Arc::new(Observed::new(store))
    }

    pub(in super::super) fn asynchronous(store: Arc<dyn AsyncStore>) -> Arc<dyn AsyncStore> {
        Arc::new(AsyncObserved::new(store))
    }
}

#[cfg(not(any(feature = "tracing", feature = "metrics")))]
mod told {
    use super::{Arc, AsyncStore, Store};

    pub(in super::super) fn blocking(store: Arc<dyn Store>) -> Arc<dyn Store> {
        store
    }

    pub(in super::super) fn asynchronous(store: Arc<dyn AsyncStore>) -> Arc<dyn AsyncStore> {
        store
    }
}
