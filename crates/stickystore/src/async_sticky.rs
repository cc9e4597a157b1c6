//! `AsyncSticky`: a store with everything bound that every call needs, async.

use std::sync::Arc;

use stickystore_core::{
    AsyncStore, AsyncStoreExt as _, Entry, Erase, Finding, Key, Outcome, Profile, Result, StoreInfo,
};
use stickystore_services::Settings;
use stickystore_services::assign::{Assigned, IntoValue, assign_async};
use stickystore_services::growthbook::AsyncStickyBucketService;
use stickystore_services::optimizely::AsyncUserProfileService;
use stickystore_services::session::AsyncSession;
use stickystore_services::vwo::AsyncUserStorageService;

use crate::cache::Held;
use crate::erasure::Erasure;
use crate::export;
use crate::sticky::was_put;

/// A store with its namespace, time to live, deadline and clock bound once; the same as [`Sticky`](crate::Sticky), async.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> stickystore::Result<()> {
/// let sticky = stickystore::open_async("memory:?namespace=shop&ttl=90d").await?;
/// let button = sticky.assign("ann", "button", || "red").await?;
/// assert_eq!(button.text().as_deref(), Some("red"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct AsyncSticky {
    store: Arc<dyn AsyncStore>,
    settings: Settings,
    #[cfg_attr(
        not(any(feature = "cache", feature = "write-behind")),
        expect(dead_code, reason = "a store without a cache has nothing to read ahead")
    )]
    pub(crate) held: Held,
}

impl AsyncSticky {
    /// Over a store that is open already.
    pub fn new(store: impl AsyncStore, settings: Settings) -> Self {
        Self::of((Arc::new(store), Held::none()), settings)
    }

    pub(crate) fn of((store, held): (Arc<dyn AsyncStore>, Held), settings: Settings) -> Self {
        Self { store, settings, held }
    }

    /// The same store with other settings.
    #[must_use]
    pub fn with_settings(self, change: impl FnOnce(Settings) -> Settings) -> Self {
        Self { settings: change(self.settings), ..self }
    }

    /// See [`Sticky::assign`](crate::Sticky::assign).
    ///
    /// # Errors
    /// As there.
    pub async fn assign<V: IntoValue>(
        &self,
        user: &str,
        key: &str,
        value: impl FnOnce() -> V,
    ) -> Result<Assigned> {
        assign_async(&self.store, &self.settings, user, key, value).await
    }

    /// See [`Sticky::get`](crate::Sticky::get).
    ///
    /// # Errors
    /// As there.
    pub async fn get(&self, user: &str, key: &str) -> Result<Option<Entry>> {
        self.store.get(self.settings.call(), &self.settings.subject(user)?, &Key::new(key)?).await
    }

    /// See [`Sticky::load`](crate::Sticky::load).
    ///
    /// # Errors
    /// As there.
    pub async fn load(&self, user: &str) -> Result<Profile> {
        self.store.load(self.settings.call(), &self.settings.subject(user)?).await
    }

    /// See [`Sticky::put`](crate::Sticky::put).
    ///
    /// # Errors
    /// As there.
    pub async fn put(&self, user: &str, key: &str, value: impl IntoValue) -> Result<Entry> {
        let call = self.settings.call();
        let entry = Entry::new(value.into_value(), self.settings.expiry(call.now)?);
        let put = self.store.put(call, &self.settings.subject(user)?, Key::new(key)?, entry.clone()).await?;
        was_put(&put, entry)
    }

    /// See [`Sticky::remove`](crate::Sticky::remove).
    ///
    /// # Errors
    /// As there.
    pub async fn remove(&self, user: &str, key: &str) -> Result<bool> {
        let removed =
            self.store.remove(self.settings.call(), &self.settings.subject(user)?, Key::new(key)?).await?;
        Ok(removed == Outcome::Removed)
    }

    /// See [`Sticky::erase`](crate::Sticky::erase).
    ///
    /// # Errors
    /// As there.
    pub async fn erase(&self, user: &str) -> Result<Erasure> {
        let call = self.settings.call();
        let erase = Erase::new(self.settings.subject(user)?, call.now);
        let stood = self.store.erase_one(call, erase.clone()).await?;
        Ok(Erasure::new(&erase, stood, self.store.info()))
    }

    /// See [`Sticky::export`](crate::Sticky::export).
    ///
    /// # Errors
    /// As there.
    pub async fn export(&self, user: &str) -> Result<String> {
        Ok(export::to_json(&self.settings.subject(user)?, &self.load(user).await?))
    }

    /// See [`Sticky::begin`](crate::Sticky::begin).
    ///
    /// # Errors
    /// As there.
    pub async fn begin(&self, user: &str) -> Result<AsyncSession<Arc<dyn AsyncStore>>> {
        self.begin_many([user]).await
    }

    /// See [`Sticky::begin_many`](crate::Sticky::begin_many).
    ///
    /// # Errors
    /// As there.
    pub async fn begin_many<U: AsRef<str>>(
        &self,
        users: impl IntoIterator<Item = U>,
    ) -> Result<AsyncSession<Arc<dyn AsyncStore>>> {
        AsyncSession::begin(Arc::clone(&self.store), self.settings.clone(), users).await
    }

    /// Optimizely's User Profile Service over this store.
    pub fn optimizely(&self) -> AsyncUserProfileService<Arc<dyn AsyncStore>> {
        AsyncUserProfileService::new(Arc::clone(&self.store), self.settings.clone())
    }

    /// VWO's User Storage Service over this store.
    pub fn vwo(&self) -> AsyncUserStorageService<Arc<dyn AsyncStore>> {
        AsyncUserStorageService::new(Arc::clone(&self.store), self.settings.clone())
    }

    /// GrowthBook's Sticky Bucket Service over this store. GrowthBook's Rust SDK takes the blocking one.
    pub fn growthbook(&self) -> AsyncStickyBucketService<Arc<dyn AsyncStore>> {
        AsyncStickyBucketService::new(Arc::clone(&self.store), self.settings.clone())
    }

    /// See [`Sticky::ping`](crate::Sticky::ping).
    ///
    /// # Errors
    /// As there.
    pub async fn ping(&self) -> Result<()> {
        self.store.ping(self.settings.call()).await
    }

    /// See [`Sticky::diagnose`](crate::Sticky::diagnose).
    pub async fn diagnose(&self) -> Vec<Finding> {
        self.store.diagnose(self.settings.call()).await
    }

    /// What the store is and promises; no I/O.
    pub fn info(&self) -> &StoreInfo {
        self.store.info()
    }

    /// See [`Sticky::close`](crate::Sticky::close).
    ///
    /// # Errors
    /// As there.
    pub async fn close(&self) -> Result<()> {
        self.store.close(self.settings.call()).await
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn AsyncStore> {
        &self.store
    }

    /// What is bound.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}
