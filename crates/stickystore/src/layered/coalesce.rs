//! The option of calls that leave together: by default those do whose stores gain by it.

use stickystore_core::Result;
use stickystore_core::options::Options;

pub(crate) use there::Config;

use crate::backends::Leaving;

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
    /// How calls of a store leave together whose calls leave like this if nothing is said; nothing if they do not.
    pub(crate) fn over(self, leaving: Leaving) -> Option<Config> {
        match (self, leaving) {
            (Self::On(config), _) => Some(config),
            (Self::Unsaid, Leaving::Together) => there::by_default(),
            (Self::Unsaid, Leaving::Alone) | (Self::Off, _) => None,
        }
    }
}

#[cfg(feature = "coalesce")]
mod there {
    use stickystore_core::{Result, StoreInfo};
    use stickystore_layers::coalesce::Bounds;

    /// As is best for the store.
    #[derive(Debug)]
    pub(crate) struct Config;

    impl Config {
        pub(crate) fn bounds(&self, info: &StoreInfo) -> Bounds {
            Bounds::of(info)
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
