//! The blocking API of an async store, where the feature is on that brings a runtime for it.

use std::sync::Arc;

use stickystore_core::{AsyncStore, Result, Store};

#[cfg(feature = "blocking")]
pub(crate) fn over<S: AsyncStore>(
    open: impl Future<Output = Result<S>> + Send + 'static,
) -> Result<Arc<dyn Store>> {
    Ok(Arc::new(stickystore_core::Blocking::open(move || open)?))
}

#[cfg(not(feature = "blocking"))]
pub(crate) fn over<S: AsyncStore>(
    _: impl Future<Output = Result<S>> + Send + 'static,
) -> Result<Arc<dyn Store>> {
    use stickystore_core::{Error, ErrorKind, Operation};

    let context = "the blocking API of an async store needs stickystore's feature \"blocking\"";
    Err(Error::new(ErrorKind::Config, context).with_origin("stickystore", Operation::Open))
}
