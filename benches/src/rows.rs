//! Rows: one contender in one situation, beside the bare driver and its batch in the same rounds.

use std::fmt;

use crate::heap;
use crate::measure::{Contender, Sample, Spread};
use crate::operation::Operation;

/// What was measured.
#[derive(Debug, Clone)]
pub(crate) struct Situation {
    pub(crate) backend: &'static str,
    pub(crate) operation: Operation,
    pub(crate) api: &'static str,
    pub(crate) callers: usize,
    pub(crate) users: usize,
    pub(crate) added_ms: f64,
}

/// One of ours in it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) situation: Situation,
    pub(crate) contender: String,
    pub(crate) per_second: f64,
    /// Ours by the driver's, of each round: above 1 is faster.
    pub(crate) ratio_to_driver: Spread,
    pub(crate) ratio_to_batch: Spread,
    pub(crate) ratio_to_opendal: Spread,
    own: Taken,
    driver: Taken,
}

/// What one operation takes, besides its time.
#[derive(Debug, Clone, Copy)]
struct Taken {
    /// Of this process.
    cpu_us: f64,
    /// Of the server.
    server_us: f64,
    /// Where they are counted.
    allocations: f64,
    bytes: f64,
}

impl Row {
    pub(crate) fn headings() -> String {
        let numbers = if heap::is_counted() {
            "allocations  driver's     bytes  driver's"
        } else {
            "per second   to driver (quarters)   to batch to opendal   cpu us  driver's   server  driver's"
        };
        format!("{:<21} {:>7} {:<16} {numbers}", "operation", "callers", "who")
    }

    /// A row for each contender that is neither the driver nor its batch; what would be picked instead has one too.
    pub(crate) fn all(situation: &Situation, contenders: &[Contender], samples: &[Vec<Sample>]) -> Vec<Self> {
        let of = |name: &str| {
            let place = contenders.iter().position(|one| one.name == name);
            place.and_then(|place| samples.get(place)).map_or(&[][..], Vec::as_slice)
        };
        let (driver, batch, opendal) = (of("driver"), of("batch"), of("opendal"));
        let ours = contenders.iter().zip(samples);
        let ours = ours.filter(|(one, _)| !["driver", "batch"].contains(&one.name.as_str()));
        let row = |(contender, own): (&Contender, &Vec<Sample>)| Self {
            situation: situation.clone(),
            contender: contender.name.clone(),
            per_second: 1.0 / middle(own, |sample| sample.wall.as_secs_f64()),
            ratio_to_driver: ratios(own, driver),
            ratio_to_batch: ratios(own, batch),
            ratio_to_opendal: ratios(own, opendal),
            own: Taken::of(own),
            driver: Taken::of(driver),
        };
        ours.map(row).collect()
    }

    /// As a JSON object.
    pub(crate) fn json(&self) -> String {
        let Situation { backend, operation, api, callers, users, added_ms } = &self.situation;
        let (name, entries) = (operation.name(), operation.entries());
        let mut text = format!(
            "{{\"backend\":{backend:?},\"operation\":{name:?},\"entries\":{entries},\"api\":{api:?},\"contender\":{:?},\
            \"callers\":{callers},\"users\":{users},\"added_ms\":{added_ms},\"per_second\":{}",
            self.contender,
            number(self.per_second)
        );
        let ratios = [
            ("driver", self.ratio_to_driver),
            ("batch", self.ratio_to_batch),
            ("opendal", self.ratio_to_opendal),
        ];
        for (whom, Spread { low, median, high }) in ratios {
            let (low, median, high) = (number(low), number(median), number(high));
            text += &format!(",\"ratio_to_{whom}\":{median},\"ratio_to_{whom}_quarters\":[{low},{high}]");
        }
        for (whose, taken) in [("", self.own), ("driver_", self.driver)] {
            text += &format!(
                ",\"{whose}cpu_us\":{},\"{whose}server_us\":{}",
                number(taken.cpu_us),
                number(taken.server_us)
            );
            if heap::is_counted() {
                text += &format!(
                    ",\"{whose}allocations\":{},\"{whose}allocated_bytes\":{}",
                    number(taken.allocations),
                    number(taken.bytes)
                );
            }
        }
        text + "}"
    }
}

impl Taken {
    fn of(samples: &[Sample]) -> Self {
        Self {
            cpu_us: middle(samples, |sample| sample.cpu.as_secs_f64() * 1e6),
            server_us: middle(samples, |sample| sample.server.as_secs_f64() * 1e6),
            allocations: middle(samples, |sample| sample.allocations),
            bytes: middle(samples, |sample| sample.bytes),
        }
    }
}

fn middle(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    Spread::of(samples.iter().map(of)).median
}

fn ratios(ours: &[Sample], theirs: &[Sample]) -> Spread {
    Spread::of(
        ours.iter().zip(theirs).map(|(ours, theirs)| theirs.wall.as_secs_f64() / ours.wall.as_secs_f64()),
    )
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { situation: Situation { operation, callers, .. }, own, driver, .. } = self;
        let Self { contender, .. } = self;
        write!(f, "{:<21} {callers:>7} {contender:<16} ", operation.to_string())?;
        if heap::is_counted() {
            let (ours, theirs) = (own.allocations, driver.allocations);
            return write!(f, "{ours:>11.1} {theirs:>9.1} {:>9.0} {:>9.0}", own.bytes, driver.bytes);
        }
        let Spread { low, median, high } = self.ratio_to_driver;
        write!(f, "{:>10.0} {median:>8.2} ({low:.2} to {high:.2}) ", self.per_second)?;
        let (batch, opendal) = (ratio(self.ratio_to_batch.median), ratio(self.ratio_to_opendal.median));
        write!(f, "{batch:>10} {opendal:>10} {:>8.1} {:>9.1} ", own.cpu_us, driver.cpu_us)?;
        write!(f, "{:>8.1} {:>9.1}", own.server_us, driver.server_us)
    }
}

/// A ratio, or that there is nothing to compare with.
fn ratio(ratio: f64) -> String {
    if ratio.is_finite() { format!("{ratio:.2}") } else { "-".to_owned() }
}

/// JSON has no name for what is no number.
pub(crate) fn number(number: f64) -> String {
    if number.is_finite() { format!("{number:.3}") } else { "null".to_owned() }
}
