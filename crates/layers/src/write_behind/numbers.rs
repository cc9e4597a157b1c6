//! The counters and gauges, under the names that `write_behind` documents.

use std::time::Duration;

use metrics::{counter, gauge};
use stickystore_core::{Error, Outcome};

pub(super) fn queued(store: &'static str, changes: usize) {
    counter!("stickystore_behind_queued_total", "store" => store).increment(changes as u64);
}

pub(super) fn judged(store: &'static str, outcome: &Outcome) {
    if outcome.is_applied() || matches!(outcome, Outcome::Unchanged | Outcome::WasAbsent) {
        counter!("stickystore_behind_written_total", "store" => store, "answer" => outcome.as_str())
            .increment(1);
    } else {
        dropped(store, outcome.as_str(), 1);
    }
}

pub(super) fn failed(store: &'static str, error: &Error) {
    counter!("stickystore_behind_failed_total", "store" => store, "kind" => error.kind().as_str())
        .increment(1);
}

pub(super) fn tried_again(store: &'static str) {
    counter!("stickystore_behind_retries_total", "store" => store).increment(1);
}

pub(super) fn dropped(store: &'static str, why: &'static str, changes: usize) {
    counter!("stickystore_behind_dropped_total", "store" => store, "why" => why).increment(changes as u64);
}

pub(super) fn refused(store: &'static str, why: &'static str) {
    counter!("stickystore_behind_refused_total", "store" => store, "why" => why).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "no queue is so long")]
pub(super) fn depth(store: &'static str, changes: usize, bytes: usize, oldest: Duration) {
    gauge!("stickystore_behind_changes", "store" => store).set(changes as f64);
    gauge!("stickystore_behind_bytes", "store" => store).set(bytes as f64);
    gauge!("stickystore_behind_oldest_seconds", "store" => store).set(oldest.as_secs_f64());
}
