//! The option of calls that leave together: by default those of our stores on a network do.

use stickystore_core::Result;
use stickystore_core::options::Options;

pub(crate) use there::Config;

use crate::backends::Place;

/// What the option says.
#[derive(Debug, Default)]
pub(crate) enum Coalesce {
    /// Nothing: as is best for the store.
    #[default]
    Unsaid,
    On(Config),
    Off,
}

/// Takes the option.
pub(super) fn take(options: &mut Options) -> Result<Coalesce> {
    Ok(match options.choice("coalesce", &[("on", true), ("off", false)])? {
        Some(true) => Coalesce::On(there::config()?),
        Some(false) => Coalesce::Off,
        None => Coalesce::Unsaid,
    })
}

impl Coalesce {
    /// How calls of a store at this place leave together; nothing if they do not.
    pub(crate) fn at(self, place: Place) -> Option<Config> {
        match (self, place) {
            (Self::On(config), _) => Some(config),
            (Self::Unsaid, Place::Network) => there::by_default(),
            (Self::Unsaid, Place::Elsewhere) | (Self::Off, _) => None,
        }
    }
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

    #[expect(clippy::unnecessary_wraps, reason = "as where the feature is off")]
    pub(super) fn by_default() -> Option<Config> {
        Some(Config)
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

    pub(super) fn by_default() -> Option<Config> {
        None
    }
}
