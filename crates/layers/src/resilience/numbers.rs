//! The counters of the layer, under the names that `resilience` documents.

use metrics::counter;
use stickystore_core::Operation;

pub(super) fn retried(store: &'static str, operation: Operation) {
    counter!("stickystore_retries_total", "store" => store, "operation" => operation.as_str()).increment(1);
}

pub(super) fn refused(store: &'static str, operation: Operation) {
    counter!("stickystore_retries_refused_total", "store" => store, "operation" => operation.as_str())
        .increment(1);
}

pub(super) fn crowded(store: &'static str, operation: Operation) {
    counter!("stickystore_crowded_total", "store" => store, "operation" => operation.as_str()).increment(1);
}
