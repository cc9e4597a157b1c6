//! The counters of saves, under the names that `report` documents.

use metrics::counter;

use super::Saved;

pub(super) fn saved(service: &'static str, saved: &Saved, is_served: bool) {
    counter!("stickystore_saved_total", "service" => service, "outcome" => saved.as_str()).increment(1);
    match saved {
        Saved::Replaced { .. } => counter!("stickystore_replaced_total", "service" => service).increment(1),
        Saved::Kept { why, winner: Some(_) } if is_served => {
            counter!("stickystore_served_once_total", "service" => service, "why" => why.as_str())
                .increment(1);
        }
        _ => {}
    }
}
