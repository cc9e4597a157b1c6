//! The option of calls that leave together.

use stickystore_core::Result;
use stickystore_core::options::Options;

pub(crate) use there::Config;

/// Takes the option; nothing if it is not given, or off.
pub(super) fn take(options: &mut Options) -> Result<Option<Config>> {
    let is_on = options.choice("coalesce", &[("on", true), ("off", false)])?.unwrap_or(false);
    is_on.then(there::config).transpose()
}

#[cfg(feature = "coalesce")]
mod there {
    use stickystore_core::{Result, StoreInfo};
    use stickystore_layers::coalesce::Bounds;

    /// Stores that send each user's write by itself: none gains by waiting for another's.
    const WRITES_GO_ALONE: [&str; 2] = ["mongodb", "cassandra"];

    /// As is best for the store.
    #[derive(Debug)]
    pub(crate) struct Config;

    impl Config {
        pub(crate) fn bounds(&self, info: &StoreInfo) -> Bounds {
            let bounds = Bounds::default();
            if WRITES_GO_ALONE.contains(&info.scheme) {
                bounds.with_writes_in_flight(Bounds::UNLIMITED)
            } else {
                bounds
            }
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "as where the feature is off")]
    pub(super) fn config() -> Result<Config> {
        Ok(Config)
    }
}

#[cfg(not(feature = "coalesce"))]
mod there {
    use stickystore_core::Result;

    /// There is none.
    #[derive(Debug)]
    pub(crate) enum Config {}

    pub(super) fn config() -> Result<Config> {
        let context =
            "coalesce=on is of the feature \"coalesce\", which is off: add it to stickystore's features";
        Err(crate::layered::wrong(context))
    }
}
