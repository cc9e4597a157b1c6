//! What a session tells that was dropped before what was saved in it was committed.

/// So many changes of so many users come to nothing. Whose they are, it does not say.
#[cfg_attr(not(feature = "tracing"), expect(unused_variables, reason = "nobody is told of the users"))]
pub(super) fn tell(store: &'static str, users: usize, changes: usize) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "stickystore", store, users, changes, "a session was dropped before its commit");
    #[cfg(feature = "metrics")]
    {
        let changes = u64::try_from(changes).unwrap_or(u64::MAX);
        metrics::counter!("stickystore_uncommitted_changes_total", "store" => store).increment(changes);
    }
}
