//! The counter of the cache, under the name that `cache` documents.

use metrics::counter;

pub(super) fn hit(store: &'static str) {
    count(store, "hit", 1);
}

pub(super) fn missed(store: &'static str, users: usize) {
    count(store, "miss", users);
}

pub(super) fn stale(store: &'static str) {
    count(store, "stale", 1);
}

fn count(store: &'static str, answer: &'static str, users: usize) {
    let users = u64::try_from(users).unwrap_or(u64::MAX);
    counter!("stickystore_cache_reads_total", "store" => store, "answer" => answer).increment(users);
}
