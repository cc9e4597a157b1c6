//! Times as the model keeps them: absolute, in milliseconds, below 2^53; and the clock at the edge.
//!
//! Stores own no clock and no default: whoever makes a call says what time it is. Arithmetic here cannot
//! wrap; what does not fit is an error.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::{Error, ErrorKind, Result};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, below 2^53.
///
/// Below 2^53 every language's numbers hold it exactly, also those that know only floats.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnixMillis(
    /// One more than the milliseconds, so that an [`Expiry`] is no larger.
    NonZeroU64,
);

impl UnixMillis {
    /// The start of 1970.
    pub const EPOCH: Self = Self(NonZeroU64::MIN);
    /// The last time that can be said: 2^53 - 1, in the year 287396.
    pub const MAX: Self = Self(NonZeroU64::MIN.saturating_add(Self::MAX_MILLIS));

    const MAX_MILLIS: u64 = (1 << 53) - 1;

    /// A time from its milliseconds.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] above [`UnixMillis::MAX`].
    pub fn new(millis: u64) -> Result<Self> {
        if millis > Self::MAX_MILLIS {
            let context = format!("a time of {millis} ms is past the last that can be kept, {}", Self::MAX);
            return Err(Error::new(ErrorKind::Invalid, context));
        }
        Ok(Self::at_most(millis))
    }

    /// A time from its milliseconds; [`UnixMillis::MAX`] if they are past it.
    fn at_most(millis: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(millis)).min(Self::MAX)
    }

    /// The milliseconds.
    pub fn get(self) -> u64 {
        self.0.get() - 1
    }

    /// The time this much later, in whole milliseconds rounded up; [`UnixMillis::MAX`] if that is past it.
    #[must_use]
    pub fn saturating_add(self, time: Duration) -> Self {
        Self::at_most(self.get().saturating_add(millis_rounded_up(time)))
    }

    /// The time this much earlier, in whole milliseconds rounded up; [`UnixMillis::EPOCH`] if that is before it.
    #[must_use]
    pub fn saturating_sub(self, time: Duration) -> Self {
        Self::at_most(self.get().saturating_sub(millis_rounded_up(time)))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.get().saturating_sub(earlier.get()))
    }
}

impl fmt::Debug for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.get())
    }
}

impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.get())
    }
}

fn millis_rounded_up(time: Duration) -> u64 {
    let millis = time.as_nanos().div_ceil(1_000_000);
    u64::try_from(millis).unwrap_or(u64::MAX)
}

/// How long an entry shall live: at least one millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ttl(Duration);

impl Ttl {
    /// A time to live, rounded up to whole milliseconds.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for zero: an entry that should not live should not be written, and zero means
    /// "for ever" to some servers.
    pub fn new(ttl: Duration) -> Result<Self> {
        if ttl.is_zero() {
            let context = "a time to live of zero is refused; leave it out to keep entries for ever";
            return Err(Error::new(ErrorKind::Invalid, context));
        }
        Ok(Self(ttl))
    }

    /// The time to live.
    pub fn get(self) -> Duration {
        self.0
    }
}

/// When an entry ends: absolute, computed once where the entry is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Expiry {
    /// It does not.
    Never,
    /// It lives while `now` is before this.
    At(UnixMillis),
}

impl Expiry {
    /// The end of an entry that is made `now` and lives for `ttl`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if that is past [`UnixMillis::MAX`]: it is never wrapped or silently shortened.
    ///
    /// ```
    /// use std::time::Duration;
    /// use stickystore_core::{Expiry, Ttl, UnixMillis};
    ///
    /// let now = UnixMillis::new(1_000)?;
    /// let expiry = Expiry::after(now, Ttl::new(Duration::from_millis(500))?)?;
    /// assert!(expiry.is_live(UnixMillis::new(1_499)?));
    /// assert!(!expiry.is_live(UnixMillis::new(1_500)?));
    /// # Ok::<(), stickystore_core::Error>(())
    /// ```
    pub fn after(now: UnixMillis, ttl: Ttl) -> Result<Self> {
        let millis = now.get().saturating_add(millis_rounded_up(ttl.0));
        match UnixMillis::new(millis) {
            Ok(at) => Ok(Self::At(at)),
            Err(_) => Err(Error::new(
                ErrorKind::Invalid,
                format!("a time to live of {:?} ends past the last time that can be kept", ttl.0),
            )),
        }
    }

    /// Whether an entry with this expiry is live: `now < expiry`.
    pub fn is_live(self, now: UnixMillis) -> bool {
        match self {
            Self::Never => true,
            Self::At(at) => now < at,
        }
    }

    /// Whether it ended more than `grace` ago, so that a sweep may take the entry away.
    pub fn is_swept(self, now: UnixMillis, grace: Duration) -> bool {
        match self {
            Self::Never => false,
            Self::At(at) => at.saturating_add(grace) < now,
        }
    }
}

/// Tells services and other edges what time it is.
///
/// Stores never ask one: the time comes with each [`Call`](crate::Call).
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> UnixMillis;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> UnixMillis {
        (**self).now()
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMillis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMillis::at_most(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// A clock that stands still until it is told otherwise; clones share the time. For tests.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that shows this time.
    pub fn new(now: UnixMillis) -> Self {
        Self(Arc::new(AtomicU64::new(now.get())))
    }

    /// Shows this time from now on.
    pub fn set(&self, now: UnixMillis) {
        self.0.store(now.get(), Ordering::SeqCst);
    }

    /// Moves on by this much.
    pub fn advance(&self, time: Duration) {
        self.set(self.now().saturating_add(time));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixMillis {
        UnixMillis::at_most(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_as_large_as_its_time() {
        assert_eq!(size_of::<Expiry>(), size_of::<u64>());
        assert_eq!(UnixMillis::EPOCH.get(), 0);
        assert_eq!(UnixMillis::new((1 << 53) - 1).unwrap(), UnixMillis::MAX);
        assert!(UnixMillis::new(1 << 53).is_err());
    }

    #[test]
    fn a_ttl_below_a_millisecond_is_neither_zero_nor_endless() {
        let expiry =
            Expiry::after(UnixMillis::at_most(10), Ttl::new(Duration::from_nanos(1)).unwrap()).unwrap();
        assert_eq!(expiry, Expiry::At(UnixMillis::at_most(11)));
    }

    #[test]
    fn a_ttl_that_overflows_is_an_error() {
        for ttl in [Duration::MAX, Duration::from_millis(UnixMillis::MAX.get())] {
            let error = Expiry::after(UnixMillis::at_most(1), Ttl::new(ttl).unwrap()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
        let last = Expiry::after(
            UnixMillis::at_most(1),
            Ttl::new(Duration::from_millis(UnixMillis::MAX.get() - 1)).unwrap(),
        );
        assert_eq!(last.unwrap(), Expiry::At(UnixMillis::MAX));
    }

    #[test]
    fn zero_is_refused() {
        assert_eq!(Ttl::new(Duration::ZERO).unwrap_err().kind(), ErrorKind::Invalid);
    }
}
