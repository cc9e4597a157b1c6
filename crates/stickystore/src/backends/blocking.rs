//! The blocking API of an async store, where the feature is on that brings a runtime for it.

use std::sync::Arc;

use stickystore_core::{AsyncStore, Detach, Result, Store};

use super::Driving;
use crate::cache::{BlockingHeld, Held};

/// The most runtimes of one handle: more were not measured.
#[cfg(feature = "blocking")]
const RUNTIMES: usize = 4;

/// The most callers of one handle who have a connection of their own at the same time: with more than that, those who share one
/// are as fast, and servers have fewer connections to look after.
#[cfg(feature = "blocking")]
const OWN: std::num::NonZeroUsize = std::num::NonZeroUsize::new(8).unwrap();

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

/// Of one store, on a runtime that has a thread of its own.
#[cfg(feature = "blocking")]
pub(crate) fn over_one<S: AsyncStore>(
    open: impl Future<Output = Result<S>> + Send + 'static,
) -> Result<Arc<dyn Store>> {
    Ok(Arc::new(over(Driving::OwnThread, open)?))
}

/// Of as many stores as suit it, all of the same server and with nothing of their own.
#[cfg(feature = "blocking")]
pub(crate) fn over_each<S, F, Fut>(open: F) -> Result<Arc<dyn Store>>
where
    S: Detach,
    F: Fn() -> Fut,
    Fut: Future<Output = Result<S>> + Send + 'static,
{
    use std::num::NonZeroUsize;
    use std::thread::available_parallelism;

    use stickystore_core::Blocking;

    let processors = available_parallelism().map_or(1, NonZeroUsize::get);
    let runtimes = NonZeroUsize::new(processors.min(RUNTIMES)).unwrap_or(NonZeroUsize::MIN);
    Ok(Arc::new(Blocking::open_driven_on(runtimes, open)?.with_own(OWN)))
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
pub(crate) fn over_one<S: AsyncStore>(
    _: impl Future<Output = Result<S>> + Send + 'static,
) -> Result<Arc<dyn Store>> {
    Err(off())
}

#[cfg(not(feature = "blocking"))]
pub(crate) fn over_each<S, F, Fut>(_: F) -> Result<Arc<dyn Store>>
where
    S: Detach,
    F: Fn() -> Fut,
    Fut: Future<Output = Result<S>> + Send + 'static,
{
    Err(off())
}
