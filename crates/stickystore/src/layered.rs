//! The layers that a URL asks for, and a store inside them.

use stickystore_core::options::Options;
use stickystore_core::{Error, ErrorKind, Operation, Result};

use crate::backends::Leaving;

mod cache;
mod coalesce;
mod resilience;

/// What a URL says of layers.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    cache: Option<cache::Config>,
    coalesce: coalesce::Coalesce,
    resilience: Option<resilience::Config>,
}

/// Which layers a store is given.
#[derive(Debug)]
pub(crate) struct Given {
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

    /// The layers of a store whose calls leave like this unless the URL says it.
    pub(crate) fn over(self, leaving: Leaving) -> Given {
        Given { cache: self.cache, coalesce: self.coalesce.over(leaving), resilience: self.resilience }
    }
}

impl Given {
    /// Whether there are none.
    pub(crate) fn is_none(&self) -> bool {
        self.cache.is_none() && self.coalesce.is_none() && self.resilience.is_none()
    }
}

fn wrong(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, context).with_origin("stickystore", Operation::Open)
}
