//! How the layer is set up: bounds, times, the journal, and which of it fits together.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use stickystore_core::{
    AsyncStore, Call, Clock, Erase, Error, ErrorKind, Operation, Result, Revision, SystemClock,
};

use super::handle::WriteBehind;
use super::journal::Journal;
use super::settle::Pauses;

/// How far clocks of the programs that share a store may be apart.
pub(super) const SKEW: Duration = Duration::from_secs(60);

const USERS: usize = 10_000;
const CHANGES: usize = 50_000;
const BYTES: usize = 64 << 20;
/// Long enough for an election or a restart of a server, short enough for the default erase mark.
const QUEUE_AGE: Duration = Duration::from_secs(5 * 60);
/// With the other ages and the skew, what the default erase mark has room for.
const JOURNAL_AGE: Duration = Duration::from_secs(8 * 60);
const ATTEMPT: Duration = Duration::from_secs(2);
/// Enough for a burst to leave together, too short to be noticed.
const LINGER: Duration = Duration::from_millis(5);
const RETRY_FROM: Duration = Duration::from_millis(50);
const RETRY_TO: Duration = Duration::from_secs(5);

/// The most that is queued.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) users: usize,
    pub(super) changes: usize,
    pub(super) bytes: usize,
}

/// What is answered when the queue is full. Nothing that was queued is ever dropped to make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// Waits for room until the call's deadline, then [`ErrorKind::Timeout`], not applied.
    #[default]
    Wait,
    /// [`ErrorKind::Full`] at once, not applied.
    Fail,
}

/// How [`WriteBehind`] is set up; made by [`WriteBehind::over`].
#[derive(Debug)]
pub struct Builder<S> {
    pub(super) store: S,
    pub(super) journal: Option<Journal>,
    pub(super) bounds: Bounds,
    pub(super) when_full: WhenFull,
    pub(super) times: Times,
    mark_life: Duration,
    pub(super) clock: Arc<dyn Clock>,
}

/// How long things take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) queue_age: Duration,
    pub(super) journal_age: Duration,
    pub(super) attempt: Duration,
    pub(super) linger: Duration,
    pub(super) backoff: Backoff,
}

/// How long to wait between attempts: twice as long each time, and somewhere in the upper half of that.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backoff {
    from: Duration,
    to: Duration,
}

impl<S: AsyncStore> Builder<S> {
    pub(super) fn new(store: S) -> Self {
        let backoff = Backoff { from: RETRY_FROM, to: RETRY_TO };
        Self {
            store,
            journal: None,
            bounds: Bounds { users: USERS, changes: CHANGES, bytes: BYTES },
            when_full: WhenFull::default(),
            times: Times {
                queue_age: QUEUE_AGE,
                journal_age: JOURNAL_AGE,
                attempt: ATTEMPT,
                linger: LINGER,
                backoff,
            },
            mark_life: Erase::MARK_LIFE,
            clock: Arc::new(SystemClock),
        }
    }

    /// The most users of whom something is queued; 10 000 by default.
    #[must_use]
    pub fn max_users(mut self, users: usize) -> Self {
        self.bounds.users = users;
        self
    }

    /// The most changes that are queued; 50 000 by default.
    #[must_use]
    pub fn max_changes(mut self, changes: usize) -> Self {
        self.bounds.changes = changes;
        self
    }

    /// The most bytes that are queued: keys and entries, 128 for each change and 256 for each write; 64 MiB by default.
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.bounds.bytes = bytes;
        self
    }

    /// What is answered when the queue is full; [`WhenFull::Wait`] by default.
    #[must_use]
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// How long a change may be queued, 5 minutes by default. One that the store did not take by then is reported as
    /// failed, with the last attempt's error.
    #[must_use]
    pub fn queue_age(mut self, age: Duration) -> Self {
        self.times.queue_age = age;
        self
    }

    /// How long one call to the store, or to the journal, may take; 2 s by default.
    #[must_use]
    pub fn attempt(mut self, time: Duration) -> Self {
        self.times.attempt = time;
        self
    }

    /// How long a change waits for company before it leaves, 5 ms by default; a flush does not wait. While a call is under
    /// way, what is queued waits for its end and leaves together anyway.
    #[must_use]
    pub fn linger(mut self, time: Duration) -> Self {
        self.times.linger = time;
        self
    }

    /// How long to wait after a failed attempt: `from` after the first, twice as long after each further one, at most `to`;
    /// 50 ms and 5 s by default. Each wait is a random time in the upper half of that.
    #[must_use]
    pub fn retry(mut self, from: Duration, to: Duration) -> Self {
        self.times.backoff = Backoff { from, to };
        self
    }

    /// Writes what is queued to this journal first; see [`Journal`].
    #[must_use]
    pub fn journal(mut self, journal: Journal) -> Self {
        self.journal = Some(journal);
        self
    }

    /// How long beyond [`queue_age`](Self::queue_age) what is found in the journal after a crash may still be written; 8
    /// minutes by default. What is older is dropped and reported.
    #[must_use]
    pub fn journal_age(mut self, age: Duration) -> Self {
        self.times.journal_age = age;
        self
    }

    /// How long erase marks live, of *every* program that erases users in this store; [`Erase::MARK_LIFE`] by default. A mark
    /// has to outlive every write that was made before it, so the ages here have to fit in.
    #[must_use]
    pub fn mark_life(mut self, life: Duration) -> Self {
        self.mark_life = life;
        self
    }

    /// The clock that ages are judged by, and attempts are made by; the machine's by default.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Reads the journal, if there is one, and starts two background tasks on the runtime of the caller, which end with
    /// [`WriteBehind::shutdown`] or with the last handle. What stood in the journal is queued again.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the settings do not fit together or there is no tokio runtime with time; those of reading the journal.
    pub async fn start(self, call: Call) -> Result<WriteBehind<S>> {
        self.check()?;
        WriteBehind::start(self, call).await
    }

    fn check(&self) -> Result<()> {
        let Bounds { users, changes, bytes } = self.bounds;
        if users == 0 || changes == 0 || bytes == 0 {
            return Err(wrong("a queue of nothing takes nothing: users, changes and bytes are at least 1"));
        }
        let Times { queue_age, journal_age, attempt, backoff, .. } = self.times;
        if queue_age.is_zero() || attempt.is_zero() || backoff.from.is_zero() {
            return Err(wrong("the queue age, an attempt and the first wait take at least some time"));
        }
        let journal_age = if self.journal.is_some() { journal_age } else { Duration::ZERO };
        let needed = [queue_age, journal_age, attempt, SKEW]
            .iter()
            .try_fold(Duration::ZERO, |sum, age| sum.checked_add(*age));
        if needed.is_none_or(|needed| needed > self.mark_life) {
            return Err(wrong(format!(
                "queue age, journal age, an attempt and {SKEW:?} between clocks have to fit in the life of an erase mark \
                 ({:?}), or erased data could come back: shorten them, or let every program that erases leave longer marks \
                 and say so by mark_life",
                self.mark_life
            )));
        }
        self.journal.as_ref().map_or(Ok(()), Journal::check)
    }
}

impl Pauses for Backoff {
    fn after(&self, failures: u32) -> Duration {
        let doubled =
            2_u32.checked_pow(failures.saturating_sub(1)).and_then(|times| self.from.checked_mul(times));
        let whole = doubled.unwrap_or(self.to).min(self.to);
        // A random number of our own needs: any will do, and revisions have them.
        let [byte, ..] = Revision::random().to_bytes();
        whole / 2 + (whole / 2).mul_f64(f64::from(byte) / f64::from(u8::MAX))
    }
}

impl fmt::Display for WhenFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wait => "wait",
            Self::Fail => "fail",
        })
    }
}

pub(super) fn wrong(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, context).with_origin("write-behind", Operation::Open)
}
