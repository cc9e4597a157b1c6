//! The blocking API of an async store, where the feature is on that brings a runtime for it.

use std::sync::Arc;

use stickystore_core::{AsyncStore, Result, Store};

use super::Driving;

/// The most runtimes of one handle: more were not measured.
#[cfg(feature = "blocking")]
const RUNTIMES: usize = 4;

/// Of one store, for all callers.
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

/// Of as many stores as suit it, all of the same server and with nothing of their own.
#[cfg(feature = "blocking")]
pub(crate) fn over_each<S, F, Fut>(driving: Driving, open: F) -> Result<Arc<dyn Store>>
where
    S: AsyncStore,
    F: Fn() -> Fut,
    Fut: Future<Output = Result<S>> + Send + 'static,
{
    use std::num::NonZeroUsize;
    use std::thread::available_parallelism;

    use stickystore_core::Blocking;

    match driving {
        Driving::OwnThread => over(driving, open()),
        Driving::Callers => {
            let processors = available_parallelism().map_or(1, NonZeroUsize::get);
            let runtimes = NonZeroUsize::new(processors.min(RUNTIMES)).unwrap_or(NonZeroUsize::MIN);
            Ok(Arc::new(Blocking::open_driven_on(runtimes, open)?))
        }
    }
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

#[cfg(not(feature = "blocking"))]
pub(crate) fn over_each<S, F, Fut>(driving: Driving, open: F) -> Result<Arc<dyn Store>>
where
    S: AsyncStore,
    F: Fn() -> Fut,
    Fut: Future<Output = Result<S>> + Send + 'static,
{
    over(driving, open())
}
