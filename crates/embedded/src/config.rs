//! What an embedded store is opened with.

use std::path::{Path, PathBuf};
use std::time::Duration;

use stickystore_core::options::Options;
use stickystore_core::{Error, ErrorKind, Limits, Operation, Result};

use crate::SCHEME;

/// How an embedded store is opened: plain data.
///
/// ```
/// use std::time::Duration;
/// use stickystore_embedded::Config;
///
/// let config = Config::new("/var/lib/app/sticky.redb").with_grace(Duration::from_secs(5));
/// assert_eq!(config, Config::from_url("embedded:/var/lib/app/sticky.redb?grace=5s")?);
/// # Ok::<(), stickystore_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The file. Its folder has to be there; the file is made if it is not.
    pub path: PathBuf,
    /// How long an expired entry stays before a sweep may take it; [`GRACE`] by default.
    pub grace: Duration,
    /// The largest entry, by [`Entry::size_bytes`](stickystore_core::Entry::size_bytes); [`Limits::ENTRY_BYTES`] by default.
    pub max_entry_bytes: usize,
    /// How much of the file is kept in memory, in bytes; [`CACHE_BYTES`] by default.
    pub cache_bytes: usize,
}

/// How long an expired entry stays before a sweep may take it, unless the configuration says otherwise: the time by
/// which writers' clocks may differ.
pub const GRACE: Duration = Duration::from_secs(60);

/// How much of the file is kept in memory, unless the configuration says otherwise: 64 MiB, which holds the
/// assignments of some 100 000 users.
pub const CACHE_BYTES: usize = 64 << 20;

impl Config {
    /// This file, with everything else as by default.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            grace: GRACE,
            max_entry_bytes: Limits::ENTRY_BYTES,
            cache_bytes: CACHE_BYTES,
        }
    }

    /// From `embedded:<path>`, with options behind a question mark: `grace` (`500ms`, `60s`), `max_entry_bytes`,
    /// `cache_bytes`.
    ///
    /// The path is taken as it stands, up to the question mark: nothing in it is escaped.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for another scheme, an empty path, an option that is not known or not readable.
    pub fn from_url(url: &str) -> Result<Self> {
        let rest = url.strip_prefix(SCHEME).and_then(|rest| rest.strip_prefix(':'));
        let rest = rest.ok_or_else(|| wrong("an embedded store's URL begins with embedded:"))?;
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (path, options) = rest.split_once('?').unwrap_or((rest, ""));
        if path.is_empty() {
            return Err(wrong("an embedded store's URL names a file: embedded:/path/to/file"));
        }
        let mut config = Self::new(path);
        let given = options.split('&').filter(|option| !option.is_empty());
        let given = given.map(|option| option.split_once('=').unwrap_or((option, "")));
        let given = given.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let mut options = Options::new(SCHEME, given)?;
        config.grace = options.duration("grace")?.unwrap_or(config.grace);
        config.max_entry_bytes = options.number("max_entry_bytes")?.unwrap_or(config.max_entry_bytes);
        config.cache_bytes = options.number("cache_bytes")?.unwrap_or(config.cache_bytes);
        options.finish()?;
        Ok(config)
    }

    /// With this grace.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// With this largest entry.
    #[must_use]
    pub fn with_max_entry_bytes(mut self, bytes: usize) -> Self {
        self.max_entry_bytes = bytes;
        self
    }

    /// With this much of the file in memory.
    #[must_use]
    pub fn with_cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// The folder that the file is in.
    pub(crate) fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }
}

fn wrong(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, context).with_origin(SCHEME, Operation::Open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_path_and_options() {
        let url = "embedded:///var/lib/a b%20.redb?grace=250ms&max_entry_bytes=10&cache_bytes=4096";
        let config = Config::from_url(url).unwrap();
        let expected = Config::new("/var/lib/a b%20.redb").with_grace(Duration::from_millis(250));
        assert_eq!(config, expected.with_max_entry_bytes(10).with_cache_bytes(4096));
        assert_eq!(Config::from_url("embedded:data.redb").unwrap(), Config::new("data.redb"));
    }

    #[test]
    fn what_a_url_says_wrong_is_named() {
        for url in ["redis:/x", "embedded", "embedded:", "embedded://?grace=1s"] {
            assert_eq!(Config::from_url(url).unwrap_err().kind(), ErrorKind::Config, "{url}");
        }
        for option in ["grace", "grace=5", "grace=-1s", "max_entry_bytes=x", "sync=off"] {
            let error = Config::from_url(&format!("embedded:/x?{option}")).unwrap_err();
            assert!(error.context().contains(option.split('=').next().unwrap()), "{error}");
        }
    }
}
