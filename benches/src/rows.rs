//! Rows: one contender in one situation, beside the bare driver and its batch in the same rounds.

use std::fmt;

use crate::measure::{Contender, Sample, Spread};

/// What was measured.
#[derive(Debug, Clone)]
pub(crate) struct Situation {
    pub(crate) backend: &'static str,
    pub(crate) operation: &'static str,
    pub(crate) entries: usize,
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
    /// Of this process, for one operation.
    pub(crate) cpu_us: f64,
    pub(crate) driver_cpu_us: f64,
    /// Of the server, for one operation.
    pub(crate) server_us: f64,
    pub(crate) driver_server_us: f64,
}

impl Row {
    pub(crate) const HEADINGS: &str = "operation             callers who              per second   to driver (quarters)   to batch   cpu us  driver's   server  driver's";

    /// A row for each contender that is neither the driver nor its batch.
    pub(crate) fn all(situation: &Situation, contenders: &[Contender], samples: &[Vec<Sample>]) -> Vec<Self> {
        let of = |name: &str| {
            let place = contenders.iter().position(|one| one.name == name);
            place.and_then(|place| samples.get(place)).map_or(&[][..], Vec::as_slice)
        };
        let (driver, batch) = (of("driver"), of("batch"));
        let ours =
            contenders.iter().zip(samples).filter(|(one, _)| one.name != "driver" && one.name != "batch");
        let row = |(contender, own): (&Contender, &Vec<Sample>)| Self {
            situation: situation.clone(),
            contender: contender.name.clone(),
            per_second: 1.0 / middle(own, |sample| sample.wall.as_secs_f64()),
            ratio_to_driver: ratios(own, driver),
            ratio_to_batch: ratios(own, batch),
            cpu_us: middle(own, |sample| sample.cpu.as_secs_f64() * 1e6),
            driver_cpu_us: middle(driver, |sample| sample.cpu.as_secs_f64() * 1e6),
            server_us: middle(own, |sample| sample.server.as_secs_f64() * 1e6),
            driver_server_us: middle(driver, |sample| sample.server.as_secs_f64() * 1e6),
        };
        ours.map(row).collect()
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
        let Situation { operation, callers, .. } = self.situation;
        let Spread { low, median, high } = self.ratio_to_driver;
        write!(
            f,
            "{operation:<21} {callers:>7} {:<16} {:>10.0} {median:>8.2} ({low:.2} to {high:.2}) {:>10.2} {:>8.1} {:>9.1} {:>8.1} {:>9.1}",
            self.contender,
            self.per_second,
            self.ratio_to_batch.median,
            self.cpu_us,
            self.driver_cpu_us,
            self.server_us,
            self.driver_server_us
        )
    }
}

/// All rows, as one JSON object.
pub(crate) fn json(rows: &[Row]) -> String {
    let rows: Vec<_> = rows.iter().map(row_json).collect();
    format!("{{\"rows\":[\n{}\n]}}\n", rows.join(",\n"))
}

fn row_json(row: &Row) -> String {
    let Situation { backend, operation, entries, api, callers, users, added_ms } = &row.situation;
    let number = |number: f64| if number.is_finite() { format!("{number:.3}") } else { "null".to_owned() };
    let spread = |spread: Spread| format!("[{},{}]", number(spread.low), number(spread.high));
    format!(
        "{{\"backend\":{backend:?},\"operation\":{operation:?},\"entries\":{entries},\"api\":{api:?},\"contender\":{:?},\
        \"callers\":{callers},\"users\":{users},\"added_ms\":{added_ms},\"ratio_to_driver\":{},\"ratio_to_driver_quarters\":{},\
        \"ratio_to_batch\":{},\"ratio_to_batch_quarters\":{},\"per_second\":{},\"cpu_us\":{},\"driver_cpu_us\":{},\"server_us\":{},\"driver_server_us\":{}}}",
        row.contender,
        number(row.ratio_to_driver.median),
        spread(row.ratio_to_driver),
        number(row.ratio_to_batch.median),
        spread(row.ratio_to_batch),
        number(row.per_second),
        number(row.cpu_us),
        number(row.driver_cpu_us),
        number(row.server_us),
        number(row.driver_server_us),
    )
}
