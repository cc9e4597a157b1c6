//! The layers that a URL asks for, and a store inside them.

use stickystore_core::options::Options;
use stickystore_core::{Error, ErrorKind, Operation, Result};

mod cache;
mod coalesce;
mod resilience;

/// Which layers a URL asks for.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) cache: Option<cache::Config>,
    pub(crate) coalesce: Option<coalesce::Config>,
    pub(crate) resilience: Option<resilience::Config>,
}

impl Asked {
    /// Takes the options that ask for layers.
    pub(crate) fn take(options: &mut Options) -> Result<Self> {
        Ok(Self {
            cache: cache::take(options)?,
            coalesce: coalesce::take(options)?,
            resilience: resilience::take(options)?,
        })
    }

    /// Whether it asks for none.
    pub(crate) fn is_none(&self) -> bool {
        self.cache.is_none() && self.coalesce.is_none() && self.resilience.is_none()
    }
}

fn wrong(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, context).with_origin("stickystore", Operation::Open)
}
