//! How much the cache holds, and for how long.

use std::time::Duration;

/// How much a cache holds, and for how long.
///
/// ```
/// use std::time::Duration;
/// use stickystore_layers::cache::Config;
///
/// let config = Config::new().with_bytes(256 << 20).with_age(Duration::from_secs(10));
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    pub(super) bytes: u64,
    pub(super) age: Duration,
    pub(super) absent_age: Duration,
    pub(super) stale: Option<Duration>,
}

impl Config {
    /// The most bytes that are held, unless said otherwise: 64 MiB, some 200 000 users with three entries.
    pub const BYTES: u64 = 64 << 20;

    /// How old an answer may be, unless said otherwise: 30 s.
    pub const AGE: Duration = Duration::from_secs(30);

    /// How old the answer may be that a user has nothing, unless said otherwise: 1 s. Such users are about to get something,
    /// perhaps by another process.
    pub const ABSENT_AGE: Duration = Duration::from_secs(1);

    /// [`Config::BYTES`], [`Config::AGE`], [`Config::ABSENT_AGE`]; a read that fails is an error.
    pub fn new() -> Self {
        Self { bytes: Self::BYTES, age: Self::AGE, absent_age: Self::ABSENT_AGE, stale: None }
    }

    /// The most bytes that are held, with what it takes to hold them. Who was not read for longest is forgotten first.
    #[must_use]
    pub fn with_bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// How old an answer may be; the answer that a user has nothing may not be older either.
    #[must_use]
    pub fn with_age(mut self, age: Duration) -> Self {
        self.age = age;
        self
    }

    /// How old the answer may be that a user has nothing, or nothing any more as all has expired.
    #[must_use]
    pub fn with_absent_age(mut self, age: Duration) -> Self {
        self.absent_age = age;
        self
    }

    /// When the store cannot be reached or does not answer in time, what was read before is answered once more, if it is
    /// not older than this. Without it, and where nothing is held, such a read is an error.
    ///
    /// That a user has nothing is never answered so: it is no older than [`with_absent_age`](Self::with_absent_age) says, and then
    /// an error. There is nothing to keep in it, and an SDK that is told "nothing" decides anew, where another process may have
    /// decided since. Who wants that all the same says so where lookups fail: `failed_lookup=absent`.
    ///
    /// What has expired is left out all the same, and what this process wrote or erased meanwhile is never passed over.
    #[must_use]
    pub fn with_stale(mut self, stale: Duration) -> Self {
        self.stale = Some(stale);
        self
    }

    /// How old an answer may be at most, come what may.
    pub(super) fn oldest(&self) -> Duration {
        self.age.max(self.stale.unwrap_or_default())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}
