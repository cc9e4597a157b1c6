//! The clock that all processes of a run share, and the clocks apart by which they tell the time.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use stickystore_core::{Clock, SystemClock, UnixMillis};

use super::history::Moment;

/// Now, on the shared clock. It never goes back, and is the same for every process of this machine.
pub(crate) fn now() -> Moment {
    let time = clock_gettime(ClockId::Monotonic);
    let time = Duration::try_from(time).unwrap();
    u64::try_from(time.as_nanos()).unwrap()
}

/// What the machine's clock showed, in milliseconds, when the shared one showed zero.
pub(crate) fn beginning() -> u64 {
    SystemClock.now().get() - now() / 1_000_000
}

/// A process's own clock, so far ahead of the others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Apart {
    /// What it would show with nothing ahead when the shared clock shows zero; see [`beginning`].
    pub(crate) beginning: u64,
    /// How far, in milliseconds.
    pub(crate) ahead: i64,
}

impl Clock for Apart {
    fn now(&self) -> UnixMillis {
        let millis = self.beginning + now() / 1_000_000;
        UnixMillis::new(millis.saturating_add_signed(self.ahead)).unwrap()
    }
}
