//! What a run has measured, as JSON.

use crate::arrivals::Arrivals;
use crate::held::Held;
use crate::measure::Spread;
use crate::rows::{Row, number};

#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
    pub(crate) arrivals: Vec<Arrivals>,
    pub(crate) held: Vec<Held>,
}

impl Report {
    pub(crate) fn json(&self) -> String {
        let rows: Vec<_> = self.rows.iter().map(Row::json).collect();
        let arrivals: Vec<_> = self.arrivals.iter().map(arrival).collect();
        let held: Vec<_> = self.held.iter().map(held).collect();
        format!(
            "{{\"rows\":[\n{}\n],\"open_loop\":[\n{}\n],\"memory\":[\n{}\n]}}\n",
            rows.join(",\n"),
            arrivals.join(",\n"),
            held.join(",\n")
        )
    }
}

fn arrival(row: &Arrivals) -> String {
    let Arrivals { backend, operation, contender, share, .. } = row;
    let (operation, entries) = (operation.name(), operation.entries());
    let Spread { low, median, high } = row.p99_to_driver;
    format!(
        "{{\"backend\":{backend:?},\"operation\":{operation:?},\"entries\":{entries},\"contender\":{contender:?},\
        \"share_of_driver_peak\":{share},\"per_second\":{},\"median_ms\":{},\"p99_ms\":{},\"p99_to_driver\":{},\
        \"p99_to_driver_quarters\":[{},{}]}}",
        number(row.per_second),
        number(row.median_ms),
        number(row.p99_ms),
        number(median),
        number(low),
        number(high)
    )
}

fn held(held: &Held) -> String {
    let Held { backend, client, bytes } = held;
    format!("{{\"backend\":{backend:?},\"client\":{client:?},\"bytes\":{bytes}}}")
}
