//! wip
use crate::store::MemcachedStore;
use stickystore_core::{Call, Finding};
pub(crate) async fn diagnose(_store: &MemcachedStore, _call: Call) -> Vec<Finding> {
    Vec::new()
}
