//! The counters and the histogram, under the names that `observe` documents.

use std::time::Duration;

use metrics::{counter, histogram};
use stickystore_core::Operation;

pub(super) fn took(store: &'static str, operation: Operation, time: Duration) {
    histogram!("stickystore_call_seconds", "store" => store, "operation" => operation.as_str()).record(time);
}

pub(super) fn answer(store: &'static str, operation: Operation, answer: &'static str) {
    let operation = operation.as_str();
    counter!("stickystore_answers_total", "store" => store, "operation" => operation, "answer" => answer)
        .increment(1);
}

pub(super) fn unknown(store: &'static str, operation: Operation) {
    counter!("stickystore_unknown_total", "store" => store, "operation" => operation.as_str()).increment(1);
}

pub(super) fn damaged(store: &'static str, entries: usize) {
    let entries = u64::try_from(entries).unwrap_or(u64::MAX);
    counter!("stickystore_damaged_entries_total", "store" => store).increment(entries);
}

pub(super) fn dropped(store: &'static str, operation: Operation) {
    let operation = operation.as_str();
    counter!("stickystore_dropped_calls_total", "store" => store, "operation" => operation).increment(1);
}
