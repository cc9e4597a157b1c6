//! What a server says of itself when a connection to it is made: its limit, its clock, whether it can swap.

use std::time::{Duration, Instant};

use stickystore_core::{Result, UnixMillis};

use crate::connection::Link;
use crate::error;
use crate::wire::{Command, Refusal, Reply};

/// What a server said of itself; nothing where it does not say.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Greeting {
    /// The most bytes that an item may take, with all that the server keeps around it.
    pub(crate) item_bytes: Option<usize>,
    /// What its clock showed, and when that arrived.
    clock: Option<(UnixMillis, Instant)>,
}

impl Greeting {
    /// Asks for it.
    ///
    /// # Errors
    /// Those of a connection; a login that is missing; a server without compare-and-swap.
    pub(crate) async fn ask(link: &Link) -> Result<Self> {
        // When it was asked, so that the answer's way counts as time that has passed.
        let asked = Instant::now();
        // One after the other: to two at once, a server that wants a login answers one.
        let general = stats(link.one(&Command::Stats("")).await?)?;
        let settings = stats(link.one(&Command::Stats("settings")).await?)?;
        if get(&settings, "cas_enabled") == Some("no") {
            return Err(error::without_swap());
        }
        let seconds = get(&general, "time").and_then(|seconds| seconds.parse::<u64>().ok());
        let time = seconds.and_then(|seconds| UnixMillis::new(seconds.saturating_mul(1_000)).ok());
        let item_bytes = get(&settings, "item_size_max").and_then(|bytes| bytes.parse().ok());
        Ok(Self { item_bytes, clock: time.map(|time| (time, asked)) })
    }

    /// The server's time at this moment, to a second.
    pub(crate) fn time(&self, moment: Instant) -> Option<UnixMillis> {
        let (time, asked) = self.clock?;
        Some(time.saturating_add(whole_millis(moment.saturating_duration_since(asked))))
    }
}

/// What this is called among these.
pub(crate) fn get<'a>(stats: &'a [(String, String)], name: &str) -> Option<&'a str> {
    stats.iter().find(|(stat, _)| stat == name).map(|(_, text)| text.as_str())
}

/// Stats, or none where the server gives none.
pub(crate) fn stats(reply: Reply) -> Result<Vec<(String, String)>> {
    match reply {
        Reply::Stats(stats) => Ok(stats),
        Reply::Refused(Refusal::Denied) => Err(error::refused(Refusal::Denied)),
        Reply::Refused(_) => Ok(Vec::new()),
        _ => Err(error::odd_answer()),
    }
}

/// Sums of times are rounded up; this one shall not run ahead.
fn whole_millis(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
