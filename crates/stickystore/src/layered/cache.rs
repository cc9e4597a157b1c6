//! The options of the cache.

use stickystore_core::Result;
use stickystore_core::options::Options;

pub(crate) use there::Config;

use super::wrong;

/// Takes the options of the cache; nothing if there is none.
pub(super) fn take(options: &mut Options) -> Result<Option<Config>> {
    let bytes = options.read("cache", "a size like 64MiB, 1GiB or 0 for none", parse_bytes)?;
    let age = options.duration("cache_age")?;
    let absent_age = options.duration("cache_absent_age")?;
    let stale = options.duration("cache_stale")?;
    let named = [("cache_age", age), ("cache_absent_age", absent_age), ("cache_stale", stale)];
    let Some(bytes) = bytes.filter(|bytes| *bytes > 0) else {
        return match named.iter().find(|(_, given)| given.is_some()) {
            Some((name, _)) => Err(wrong(format!(
                "the option \"{name}\" is about a cache, and there is none: add cache=64MiB"
            ))),
            None => Ok(None),
        };
    };
    there::config(bytes, age, absent_age, stale).map(Some)
}

#[cfg(feature = "cache")]
mod there {
    use std::time::Duration;

    use stickystore_core::Result;
    pub(crate) use stickystore_layers::cache::Config;

    pub(super) fn config(
        bytes: u64,
        age: Option<Duration>,
        absent_age: Option<Duration>,
        stale: Option<Duration>,
    ) -> Result<Config> {
        let mut config = Config::new().with_bytes(bytes);
        if let Some(age) = age {
            config = config.with_age(age);
        }
        if let Some(age) = absent_age {
            config = config.with_absent_age(age);
        }
        if let Some(stale) = stale {
            config = config.with_stale(stale);
        }
        Ok(config)
    }
}

#[cfg(not(feature = "cache"))]
mod there {
    use std::time::Duration;

    use stickystore_core::Result;

    /// There is none.
    #[derive(Debug)]
    pub(crate) enum Config {}

    pub(super) fn config(
        _: u64,
        _: Option<Duration>,
        _: Option<Duration>,
        _: Option<Duration>,
    ) -> Result<Config> {
        let context = "the option \"cache\" is of the feature \"cache\", which is off: add it to stickystore's features";
        Err(super::wrong(context))
    }
}

/// A size as options say it: a whole number, and `KiB`, `MiB` or `GiB` unless it is of bytes.
fn parse_bytes(text: &str) -> Option<u64> {
    let unit = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(unit)?;
    let number: u64 = number.parse().ok()?;
    match unit {
        "" => Some(number),
        "KiB" => number.checked_mul(1 << 10),
        "MiB" => number.checked_mul(1 << 20),
        "GiB" => number.checked_mul(1 << 30),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_whole_numbers_with_a_unit() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("1000", Some(1_000)),
            ("64MiB", Some(64 << 20)),
            ("1GiB", Some(1 << 30)),
            ("2KiB", Some(2_048)),
        ] {
            assert_eq!(parse_bytes(text), bytes, "{text}");
        }
        for text in ["", "MiB", "64MB", "64 MiB", "-1", "1.5GiB", "64mib", "18446744073709551615GiB"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }
}
