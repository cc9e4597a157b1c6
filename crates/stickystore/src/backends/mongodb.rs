//! `mongodb:`, `mongodb+srv:`, a store on a MongoDB replica set.

use std::sync::Arc;

use stickystore_mongodb::{Config, MongodbStore};

use super::{Leaving, Opener, ours};

#[expect(clippy::unnecessary_wraps, reason = "the module is there only where the feature is on")]
pub(super) fn opener() -> Option<Arc<dyn Opener>> {
    Some(ours(Leaving::Together, |url| async move { MongodbStore::new(&Config::from_url(&url)?) }))
}
