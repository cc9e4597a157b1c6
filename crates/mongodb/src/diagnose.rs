//! What is wrong, or worth knowing, about the servers.

use stickystore_core::{Call, Finding};

use crate::store::MongodbStore;

pub(crate) async fn diagnose(store: &MongodbStore, call: Call) -> Vec<Finding> {
    let _ = (store, call);
    Vec::new()
}
