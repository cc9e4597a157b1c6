//! Which scheme opens which store: ours, by feature, and those that others add.

use std::fmt;
use std::sync::Arc;

use stickystore_core::options::unknown;
use stickystore_core::{AsyncStore, Error, ErrorKind, Operation, Result, Store};

use crate::address::{self, Address};
use crate::async_sticky::AsyncSticky;
use crate::backends::{self, Opener};
use crate::sticky::Sticky;

mod coalesced;
mod observed;

/// Opens stores by their URLs: the stores whose features are on, and others' that are added.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> stickystore::Result<()> {
/// use stickystore::Registry;
/// use stickystore::core::{Immediate, memory::MemoryStore};
///
/// // In the place of MemoryStore, a store of your own.
/// let registry = Registry::new().with("mine", async |_url| Ok(Immediate::new(MemoryStore::new())));
/// let sticky = registry.open_async("mine://somewhere?namespace=shop").await?;
/// assert_eq!(sticky.assign("ann", "button", || "red").await?.text().as_deref(), Some("red"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Registry {
    openers: Vec<(String, Arc<dyn Opener>)>,
}

impl Registry {
    /// The stores whose features are on.
    pub fn new() -> Self {
        let ours = backends::ALL.iter().filter_map(|backend| Some((backend, (backend.opener)()?)));
        let openers = ours.flat_map(|(backend, opener)| {
            backend.schemes.iter().map(move |scheme| ((*scheme).to_owned(), Arc::clone(&opener)))
        });
        Self { openers: openers.collect() }
    }

    /// Adds a store of somebody else's under this scheme, or takes the place of one that has it. The factory is given the
    /// URL without the options that are stickystore's own.
    ///
    /// The blocking API opens it on a runtime of its own, which needs the feature `blocking`.
    #[must_use]
    pub fn with<F, Fut, S>(mut self, scheme: impl Into<String>, factory: F) -> Self
    where
        F: Fn(String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<S>> + Send + 'static,
        S: AsyncStore,
    {
        let scheme = scheme.into();
        self.openers.retain(|(taken, _)| *taken != scheme);
        self.openers.push((scheme, backends::by(factory)));
        self
    }

    /// The schemes that it opens.
    pub fn schemes(&self) -> impl Iterator<Item = &str> {
        self.openers.iter().map(|(scheme, _)| scheme.as_str())
    }

    /// Opens the store that this URL names, with its blocking API; see [`open`](crate::open()).
    ///
    /// # Errors
    /// As there.
    pub fn open(&self, url: &str) -> Result<Sticky> {
        let opener = self.opener(address::scheme(url)?)?;
        let address = Address::parse(url)?;
        let store: Result<Arc<dyn Store>> = if address.coalesce {
            coalesced::blocking(Arc::clone(opener), address.store.0)
        } else {
            opener.blocking(&address.store.0)
        };
        let store = store.map_err(|error| hint(error, address.meant))?;
        Ok(Sticky::of(observed::blocking(store), address.settings))
    }

    /// Opens the store that this URL names, with its async API; see [`open`](crate::open()).
    ///
    /// # Errors
    /// As there.
    pub async fn open_async(&self, url: &str) -> Result<AsyncSticky> {
        let opener = self.opener(address::scheme(url)?)?;
        let address = Address::parse(url)?;
        let store = if address.coalesce {
            coalesced::asynchronous(opener, address.store.0).await
        } else {
            opener.asynchronous(address.store.0).await
        };
        let store = store.map_err(|error| hint(error, address.meant))?;
        Ok(AsyncSticky::of(observed::asynchronous(store), address.settings))
    }

    fn opener(&self, scheme: &str) -> Result<&Arc<dyn Opener>> {
        if let Some((_, opener)) = self.openers.iter().find(|(known, _)| known == scheme) {
            return Ok(opener);
        }
        let off = backends::ALL.iter().find(|backend| backend.schemes.contains(&scheme));
        let context = match off {
            Some(backend) => format!(
                "the scheme \"{scheme}\" is of the feature \"{0}\", which is off: add it to stickystore's features",
                backend.feature
            ),
            None => unknown("store with the scheme", scheme, self.schemes()),
        };
        Err(Error::new(ErrorKind::Config, context).with_origin("stickystore", Operation::Open))
    }
}

/// Where a store does not know an option that is nearly one of ours, says so.
fn hint(error: Error, meant: Option<String>) -> Error {
    match meant {
        Some(meant) if error.kind() == ErrorKind::Config => {
            let hinted = Error::new(ErrorKind::Config, format!("{}; {meant}", error.context()));
            hinted.with_origin(error.backend().unwrap_or("stickystore"), Operation::Open)
        }
        _ => error,
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registry").field(&self.schemes().collect::<Vec<_>>()).finish()
    }
}
