//! `embedded:`, a store in one file.

use std::sync::Arc;

use async_trait::async_trait;
use stickystore_core::{AsyncStore, Result, Store};
use stickystore_embedded::{AsyncEmbeddedStore, Config, EmbeddedStore};

use super::Opener;

#[expect(clippy::unnecessary_wraps, reason = "the module is there only where the feature is on")]
pub(super) fn opener() -> Option<Arc<dyn Opener>> {
    Some(Arc::new(Embedded))
}

struct Embedded;

#[async_trait]
impl Opener for Embedded {
    fn blocking(&self, url: &str) -> Result<Arc<dyn Store>> {
        Ok(Arc::new(EmbeddedStore::open(Config::from_url(url)?)?))
    }

    async fn asynchronous(&self, url: String) -> Result<Arc<dyn AsyncStore>> {
        Ok(Arc::new(AsyncEmbeddedStore::open(Config::from_url(&url)?).await?))
    }
}
