//! The blocking API of an async store, where the feature is on that brings a runtime for it.

use std::sync::Arc;

use stickystore_core::{AsyncStore, Result, Store};

use super::Driving;
use crate::cache::{BlockingHeld, Held};

/// The most runtimes of one handle: more were not measured.
#[cfg(feature = "blocking")]
const RUNTIMES: usize = 4;

/// Of one store in layers, for all callers; and of the cache that is among them.
#[cfg(feature = "blocking")]
pub(crate) fn in_layers(
    driving: Driving,
    open: impl Future<Output = Result<(Arc<dyn AsyncStore>, Held)>> + Send + 'static,
) -> Result<(Arc<dyn Store>, BlockingHeld)> {
    use std::sync::OnceLock;

    let told = Arc::new(OnceLock::new());
    let tells = Arc::clone(&told);
    let store = over(driving, async move {
        let (store, held) = open.await?;
        // It is opened once.
        let _ = tells.set(held);
        Ok(store)
    })?;
    Ok(crate::cache::blocking(store, told.get().cloned().unwrap_or_else(Held::none)))
}

/// Of one store, for all callers.
#[cfg(feature = "blocking")]
fn over<S: AsyncStore>(
    driving: Driving,
    open: impl Future<Output = Result<S>> + Send + 'static,
) -> Result<stickystore_core::Blocking<S>> {
    use stickystore_core::Blocking;

    let open = move || open;
    match driving {
        Driving::OwnThread => Blocking::open(open),
        Driving::Callers => Blocking::open_driven(open),
    }
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
        Driving::OwnThread => Ok(Arc::new(over(driving, open())?)),
        Driving::Callers => {
            let processors = available_parallelism().map_or(1, NonZeroUsize::get);
            let runtimes = NonZeroUsize::new(processors.min(RUNTIMES)).unwrap_or(NonZeroUsize::MIN);
            Ok(Arc::new(Blocking::open_driven_on(runtimes, open)?))
        }
    }
}

#[cfg(not(feature = "blocking"))]
pub(crate) fn in_layers(
    _: Driving,
    _: impl Future<Output = Result<(Arc<dyn AsyncStore>, Held)>> + Send + 'static,
) -> Result<(Arc<dyn Store>, BlockingHeld)> {
    Err(off())
}

#[cfg(not(feature = "blocking"))]
fn off() -> stickystore_core::Error {
    use stickystore_core::{Error, ErrorKind, Operation};

    let context = "the blocking API of an async store needs stickystore's feature \"blocking\"";
    Error::new(ErrorKind::Config, context).with_origin("stickystore", Operation::Open)
}

#[cfg(not(feature = "blocking"))]
pub(crate) fn over_each<S, F, Fut>(_: Driving, _: F) -> Result<Arc<dyn Store>>
where
    S: AsyncStore,
    F: Fn() -> Fut,
    Fut: Future<Output = Result<S>> + Send + 'static,
{
    Err(off())
}
