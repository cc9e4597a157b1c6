//! The options of retries and of the limit of calls.

use stickystore_core::Result;
use stickystore_core::options::Options;

pub(crate) use there::Config;

use super::wrong;

/// Takes the options; nothing if neither is given.
pub(super) fn take(options: &mut Options) -> Result<Option<Config>> {
    let retries: Option<u32> = options.number("retries")?;
    let calls: Option<usize> = options.number("max_calls")?;
    if calls == Some(0) {
        return Err(wrong("the option \"max_calls\" is at least 1, or nothing could be called"));
    }
    if retries.is_none() && calls.is_none() {
        return Ok(None);
    }
    there::config(retries, calls).map(Some)
}

#[cfg(feature = "resilience")]
mod there {
    use stickystore_core::Result;
    pub(crate) use stickystore_layers::resilience::Config;

    pub(super) fn config(retries: Option<u32>, calls: Option<usize>) -> Result<Config> {
        let mut config = Config::new();
        if let Some(retries) = retries {
            config = config.with_retries(retries);
        }
        if let Some(calls) = calls {
            config = config.with_limit(calls);
        }
        Ok(config)
    }
}

#[cfg(not(feature = "resilience"))]
mod there {
    use stickystore_core::Result;

    /// There is none.
    #[derive(Debug)]
    pub(crate) enum Config {}

    pub(super) fn config(_: Option<u32>, _: Option<usize>) -> Result<Config> {
        let context = "the options \"retries\" and \"max_calls\" are of the feature \"resilience\", which is off: add it to stickystore's features";
        Err(super::wrong(context))
    }
}
