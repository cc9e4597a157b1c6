//! The blocking API of an async store, where the feature is on that brings a runtime for it.

use std::sync::Arc;

use stickystore_core::{AsyncStore, Result, Store};

use super::Driving;

#[cfg(feature = "blocking")]
pub(crate) fn over<S: AsyncStore>(
    driving: Driving,
    open: impl Future<Output = Result<S>> + Send + 'static,
) -> Result<Arc<dyn Store>> {
    use stickystore_core::Blocking;

    let open = move || open;
    let store = match driving {
        Driving::OwnThread => Blocking::open(open),
        Driving::Callers => Blocking::open_driven(open),
    };
    Ok(Arc::new(store?))
}

#[cfg(not(feature = "blocking"))]
pub(crate) fn over<S: AsyncStore>(
    _: Driving,
    _: impl Future<Output = Result<S>> + Send + 'static,
) -> Result<Arc<dyn Store>> {
    use stickystore_core::{Error, ErrorKind, Operation};

    let context = "the blocking API of an async store needs stickystore's feature \"blocking\"";
    Err(Error::new(ErrorKind::Config, context).with_origin("stickystore", Operation::Open))
}
