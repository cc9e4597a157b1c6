//! What is wrong, or worth knowing, about the server.

use stickystore_core::{Call, Finding};

use crate::store::RedisStore;

pub(crate) async fn diagnose(_store: &RedisStore, _call: Call, _wait: u32) -> Vec<Finding> {
    Vec::new()
}
