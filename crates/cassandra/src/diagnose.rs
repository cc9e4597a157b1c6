//! What is wrong, or worth knowing, about the cluster.

use stickystore_core::{Call, Finding};

use crate::store::CassandraStore;

pub(crate) async fn diagnose(_store: &CassandraStore, _call: Call) -> Vec<Finding> {
    Vec::new()
}
