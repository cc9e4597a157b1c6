//! How much a call may cost.

use std::time::Duration;

/// How much a call may cost: time, attempts, and places among the calls that are under way.
///
/// ```
/// use std::time::Duration;
/// use stickystore_layers::resilience::Config;
///
/// let config = Config::new().with_deadline(Duration::from_millis(100)).with_retries(1).with_limit(256);
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    pub(super) deadline: Option<Duration>,
    pub(super) retries: u32,
    pub(super) limit: usize,
    pub(super) wait: Duration,
}

impl Config {
    /// How often a call is sent again at most, unless said otherwise.
    pub const RETRIES: u32 = 2;

    /// How many calls are under way at once at most, unless said otherwise.
    pub const LIMIT: usize = 1024;

    /// How long the first retry waits at most, unless said otherwise; each further one twice as long.
    pub const WAIT: Duration = Duration::from_millis(10);

    /// [`Config::RETRIES`], [`Config::LIMIT`], [`Config::WAIT`], and the deadlines of the callers.
    pub fn new() -> Self {
        Self { deadline: None, retries: Self::RETRIES, limit: Self::LIMIT, wait: Self::WAIT }
    }

    /// How long a read, a write or an erase may take, all attempts and waiting included; a caller's own deadline counts if it
    /// is sooner.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// How often a call is sent again at most; 0 sends each once.
    #[must_use]
    pub fn with_retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// How many calls are under way at once at most; at least 1.
    #[must_use]
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit.max(1);
        self
    }

    /// How long the first retry waits at most, each further one twice as long: a random time between none and this, so that
    /// those who failed together do not come back together.
    #[must_use]
    pub fn with_wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}
