//! `memcache:`, `memcaches:`, `memcache+unix:`, a store on Memcached servers.

use std::sync::Arc;

use stickystore_memcached::{Config, MemcachedStore};

use super::{Opener, driven};

#[expect(clippy::unnecessary_wraps, reason = "the module is there only where the feature is on")]
pub(super) fn opener() -> Option<Arc<dyn Opener>> {
    Some(driven(|url| async move { MemcachedStore::new(&Config::from_url(&url)?) }))
}
