//! `mongodb:`, `mongodb+srv:`, a store on a MongoDB replica set.

use std::sync::Arc;

use stickystore_mongodb::{Config, MongodbStore};

use super::{Driving, Opener, together};

#[expect(clippy::unnecessary_wraps, reason = "the module is there only where the feature is on")]
pub(super) fn opener() -> Option<Arc<dyn Opener>> {
    Some(together(Driving::OwnThread, |url| async move { MongodbStore::new(&Config::from_url(&url)?) }))
}
