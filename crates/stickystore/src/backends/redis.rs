//! `redis:`, `rediss:`, `redis+unix:`, a store on a Redis server.

use std::sync::Arc;

use stickystore_redis::{Config, RedisStore};

use super::{Opener, driven};

#[expect(clippy::unnecessary_wraps, reason = "the module is there only where the feature is on")]
pub(super) fn opener() -> Option<Arc<dyn Opener>> {
    Some(driven(|url| async move { RedisStore::new(&Config::from_url(&url)?) }))
}
