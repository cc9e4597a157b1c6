//! What a store stands in whose URL says `coalesce=on`: the layer that lets concurrent calls leave together, if its feature
//! is on.

use std::sync::Arc;

use stickystore_core::{AsyncStore, Result, Store};

use crate::backends::Opener;

pub(super) use together::{asynchronous, blocking};

#[cfg(feature = "coalesce")]
mod together {
    use stickystore_core::Blocking;
    use stickystore_layers::coalesce::{Bounds, Coalesced};

    use super::{Arc, AsyncStore, Opener, Result, Store};

    /// Stores that send each user's write by itself: none gains by waiting for another's.
    const WRITES_GO_ALONE: [&str; 2] = ["mongodb", "cassandra"];

    /// On the layer's own runtime, where the threads of all callers meet.
    pub(in super::super) fn blocking(opener: Arc<dyn Opener>, url: String) -> Result<Arc<dyn Store>> {
        let open = move || async move { opener.asynchronous(url).await.map(around) };
        Ok(Arc::new(Blocking::open(open)?))
    }

    pub(in super::super) async fn asynchronous(
        opener: &Arc<dyn Opener>,
        url: String,
    ) -> Result<Arc<dyn AsyncStore>> {
        Ok(Arc::new(around(opener.asynchronous(url).await?)))
    }

    fn around(store: Arc<dyn AsyncStore>) -> Coalesced<Arc<dyn AsyncStore>> {
        let bounds = Bounds::default();
        let bounds = if WRITES_GO_ALONE.contains(&store.info().scheme) {
            bounds.with_writes_in_flight(Bounds::UNLIMITED)
        } else {
            bounds
        };
        Coalesced::with(store, bounds)
    }
}

#[cfg(not(feature = "coalesce"))]
mod together {
    use stickystore_core::{Error, ErrorKind, Operation};

    use super::{Arc, AsyncStore, Opener, Result, Store};

    pub(in super::super) fn blocking(_: Arc<dyn Opener>, _: String) -> Result<Arc<dyn Store>> {
        Err(off())
    }

    pub(in super::super) async fn asynchronous(
        _: &Arc<dyn Opener>,
        _: String,
    ) -> Result<Arc<dyn AsyncStore>> {
        Err(off())
    }

    fn off() -> Error {
        let context =
            "coalesce=on is of the feature \"coalesce\", which is off: add it to stickystore's features";
        Error::new(ErrorKind::Config, context).with_origin("stickystore", Operation::Open)
    }
}
