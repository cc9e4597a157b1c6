//! The naive store, as teams write it: the whole profile is one value, which a lookup reads and a save writes.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value as Json;
use stickystore_core::{AsyncStore, AsyncStoreExt as _, Entry, Expiry, Key, Outcome, Result, Value};
use stickystore_services::Settings;

use super::log::Told;
use super::profiles::{BucketMap, Profiles, Reported};

mod redis;
#[cfg(test)]
mod tests;

pub(crate) use redis::Texts;

/// Where the one value stands.
const KEY: &str = "profile";

/// Whole profiles on any store, by what every store can: to get and to put.
#[derive(Debug)]
pub(crate) struct Whole {
    store: Arc<dyn AsyncStore>,
    settings: Settings,
}

impl Whole {
    /// Over this store.
    pub(crate) fn new(store: Arc<dyn AsyncStore>, settings: Settings) -> Self {
        Self { store, settings }
    }
}

#[async_trait]
impl Profiles for Whole {
    async fn lookup(&self, user: &str) -> Result<BucketMap> {
        let subject = self.settings.subject(user)?;
        let entry = self.store.get(self.settings.call(), &subject, &Key::new(KEY)?).await?;
        let map: Option<Json> = entry.map(|entry| serde_json::from_str(entry.value.as_str()).unwrap());
        Ok(map.as_ref().and_then(Json::as_object).cloned().unwrap_or_default())
    }

    async fn bucket_map(&self, user: &str) -> Result<BucketMap> {
        self.lookup(user).await
    }

    async fn save(&self, user: &str, map: BucketMap, changed: &[String]) -> Result<Reported> {
        let subject = self.settings.subject(user)?;
        let entry = Entry::new(Value::new(Json::Object(map).to_string())?, Expiry::Never);
        let put = self.store.put(self.settings.call(), &subject, Key::new(KEY)?, entry).await?;
        let told = if put == Outcome::Written { Told::Acknowledged } else { Told::Refused };
        Ok(changed.iter().map(|key| (key.clone(), (told, None))).collect())
    }
}
