//! What a server says of itself when a connection to it is made: its limit, its clock, whether it can swap.

use std::time::{Duration, Instant};

use stickystore_core::{Result, UnixMillis};

use crate::connection::Link;
use crate::error;
use crate::wire::{Command, Dialect, Refusal, Reply};

/// The first version whose answers to the meta commands all say whom they answer.
const FIRST_META: (u32, u32, u32) = (1, 6, 18);

/// What a server said of itself; nothing where it does not say.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Greeting {
    /// The most bytes that an item may take, with all that the server keeps around it.
    pub(crate) item_bytes: Option<usize>,
    /// Its version, as far as two versions differ for us.
    version: Option<(u32, u32, u32)>,
    /// What its clock showed, and when it was asked.
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
        let version = get(&general, "version").and_then(version);
        Ok(Self { item_bytes, version, clock: time.map(|time| (time, asked)) })
    }

    /// Whether it speaks this as we do.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](stickystore_core::ErrorKind::Config) if it does not, and what to do about it.
    pub(crate) fn speaks(&self, dialect: Dialect) -> Result<()> {
        match self.version {
            Some(version) if dialect == Dialect::Meta && version < FIRST_META => Err(error::too_old(version)),
            _ => Ok(()),
        }
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

/// The numbers of a version, whatever follows them; nothing if they are none.
fn version(text: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

/// Sums of times are rounded up; this one shall not run ahead.
fn whole_millis(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_too_old_for_the_meta_commands_is_told_so_and_spoken_to_in_binary() {
        let of = |text: &str| Greeting { version: version(text), ..Greeting::default() };
        for text in ["1.6.17", "1.6.9", "1.5.22", "1.6.17-rc2"] {
            let error = of(text).speaks(Dialect::Meta).unwrap_err();
            assert!(error.context().contains("protocol=binary"), "{text}: {error}");
            of(text).speaks(Dialect::Binary).unwrap();
        }
        for text in ["1.6.18", "1.6.18-1", "1.6.32", "1.7.0", "2.0.0", "of another maker"] {
            of(text).speaks(Dialect::Meta).unwrap();
        }
    }

    #[test]
    fn time_goes_on_from_what_the_clock_showed_and_not_ahead() {
        let (asked, shown) = (Instant::now(), UnixMillis::new(5_000).unwrap());
        let greeting = Greeting { clock: Some((shown, asked)), ..Greeting::default() };
        assert_eq!(greeting.time(asked), Some(shown));
        let later = asked + Duration::from_micros(1_999);
        assert_eq!(greeting.time(later), UnixMillis::new(5_001).ok());
        assert_eq!(Greeting::default().time(asked), None);
    }
}
