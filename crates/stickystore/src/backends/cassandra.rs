//! `cassandra:`, `scylla:`, a store on a Cassandra or ScyllaDB cluster.

use std::sync::Arc;

use stickystore_cassandra::{CassandraStore, Config};

use super::{Opener, by};

#[expect(clippy::unnecessary_wraps, reason = "the module is there only where the feature is on")]
pub(super) fn opener() -> Option<Arc<dyn Opener>> {
    Some(by(|url| async move { CassandraStore::new(&Config::from_url(&url)?) }))
}
