//! `Sticky`: a store with everything bound that every call needs, blocking.

use std::sync::Arc;

use stickystore_core::{
    Entry, Erase, Error, ErrorKind, Finding, Key, Outcome, Profile, Result, Store, StoreExt as _, StoreInfo,
};
use stickystore_services::Settings;
use stickystore_services::assign::{Assigned, IntoValue, assign};
use stickystore_services::growthbook::StickyBucketService;
use stickystore_services::optimizely::UserProfileService;
use stickystore_services::session::Session;
use stickystore_services::vwo::UserStorageService;

use crate::cache::BlockingHeld;
use crate::erasure::Erasure;
use crate::export;

/// A store with its namespace, time to live, deadline and clock bound once. Clones share the store.
///
/// ```
/// # fn main() -> stickystore::Result<()> {
/// let sticky = stickystore::open("memory:?namespace=shop&ttl=90d&deadline=250ms")?;
/// sticky.assign("ann", "button", || "red")?;
/// let later = sticky.assign("ann", "button", || "blue")?;
/// assert_eq!(later.text().as_deref(), Some("red"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Sticky {
    store: Arc<dyn Store>,
    settings: Settings,
    #[cfg_attr(
        not(feature = "cache"),
        expect(dead_code, reason = "a store without a cache has nothing to read ahead")
    )]
    pub(crate) held: BlockingHeld,
}

impl Sticky {
    /// Over a store that is open already.
    pub fn new(store: impl Store, settings: Settings) -> Self {
        Self::of((Arc::new(store), BlockingHeld::none()), settings)
    }

    pub(crate) fn of((store, held): (Arc<dyn Store>, BlockingHeld), settings: Settings) -> Self {
        Self { store, settings, held }
    }

    /// The same store with other settings.
    #[must_use]
    pub fn with_settings(self, change: impl FnOnce(Settings) -> Settings) -> Self {
        Self { settings: change(self.settings), ..self }
    }

    /// What the user has under this key; if that is nothing, `value` is asked once and what it gives is kept.
    ///
    /// What is answered is what the store keeps, whoever wrote it: a value that was computed is answered only after the
    /// store has named it the winner. One round trip for a user who has one, two for a new one.
    ///
    /// # Errors
    /// What the store answers; [`ErrorKind::Corrupt`] if what stands there is damaged; [`ErrorKind::Timeout`] if the user
    /// was being erased until the deadline. If its effect is unknown, the value may have been kept: assign again.
    pub fn assign<V: IntoValue>(&self, user: &str, key: &str, value: impl FnOnce() -> V) -> Result<Assigned> {
        assign(&self.store, &self.settings, user, key, value)
    }

    /// What the user has under this key.
    ///
    /// # Errors
    /// What the store answers; [`ErrorKind::Corrupt`] if what stands there is damaged.
    pub fn get(&self, user: &str, key: &str) -> Result<Option<Entry>> {
        self.store.get(self.settings.call(), &self.settings.subject(user)?, &Key::new(key)?)
    }

    /// All that the user has.
    ///
    /// # Errors
    /// What the store answers.
    pub fn load(&self, user: &str) -> Result<Profile> {
        self.store.load(self.settings.call(), &self.settings.subject(user)?)
    }

    /// Writes over whatever the user has under this key: the explicit override. Answers what stands there now.
    ///
    /// # Errors
    /// What the store answers.
    pub fn put(&self, user: &str, key: &str, value: impl IntoValue) -> Result<Entry> {
        let call = self.settings.call();
        let entry = Entry::new(value.into_value(), self.settings.expiry(call.now)?);
        let put = self.store.put(call, &self.settings.subject(user)?, Key::new(key)?, entry.clone())?;
        was_put(&put, entry)
    }

    /// Takes away what the user has under this key; true if there was something.
    ///
    /// # Errors
    /// What the store answers.
    pub fn remove(&self, user: &str, key: &str) -> Result<bool> {
        let removed =
            self.store.remove(self.settings.call(), &self.settings.subject(user)?, Key::new(key)?)?;
        Ok(removed == Outcome::Removed)
    }

    /// Erases all that the user has, and keeps writes that are under way from bringing it back.
    ///
    /// # Errors
    /// What the store answers.
    pub fn erase(&self, user: &str) -> Result<Erasure> {
        let call = self.settings.call();
        let erase = Erase::new(self.settings.subject(user)?, call.now);
        let stood = self.store.erase_one(call, erase.clone())?;
        Ok(Erasure::new(&erase, stood, self.store.info()))
    }

    /// All that is kept of the user, as JSON: see [the crate's documentation](crate).
    ///
    /// # Errors
    /// What the store answers.
    pub fn export(&self, user: &str) -> Result<String> {
        Ok(export::to_json(&self.settings.subject(user)?, &self.load(user)?))
    }

    /// A session for this user: reads it, answers SDKs without I/O, writes at once. See
    /// [`session`](crate::services::session).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let sticky = stickystore::open("memory:?namespace=shop")?;
    /// let session = sticky.begin("ann")?;
    /// // Committed before it is served; decided again where another request was faster.
    /// let decided = session.decide(|view| view.assign("ann", "button", || "red"))?;
    /// assert_eq!(decided.value?.text().as_deref(), Some("red"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is no user id. That the user could not be read the session's
    /// [view](crate::services::session::View::failed) says.
    pub fn begin(&self, user: &str) -> Result<Session<Arc<dyn Store>>> {
        self.begin_many([user])
    }

    /// A session for these users, read in one call; see [`begin`](Self::begin).
    ///
    /// # Errors
    /// As there, if one is no user id.
    pub fn begin_many<U: AsRef<str>>(
        &self,
        users: impl IntoIterator<Item = U>,
    ) -> Result<Session<Arc<dyn Store>>> {
        Session::begin(Arc::clone(&self.store), self.settings.clone(), users)
    }

    /// Optimizely's User Profile Service over this store.
    pub fn optimizely(&self) -> UserProfileService<Arc<dyn Store>> {
        UserProfileService::new(Arc::clone(&self.store), self.settings.clone())
    }

    /// VWO's User Storage Service over this store.
    pub fn vwo(&self) -> UserStorageService<Arc<dyn Store>> {
        UserStorageService::new(Arc::clone(&self.store), self.settings.clone())
    }

    /// GrowthBook's Sticky Bucket Service over this store.
    pub fn growthbook(&self) -> StickyBucketService<Arc<dyn Store>> {
        StickyBucketService::new(Arc::clone(&self.store), self.settings.clone())
    }

    /// Asks the server whether it is there.
    ///
    /// # Errors
    /// What the store answers.
    pub fn ping(&self) -> Result<()> {
        self.store.ping(self.settings.call())
    }

    /// What is wrong, or worth knowing, about the server.
    pub fn diagnose(&self) -> Vec<Finding> {
        self.store.diagnose(self.settings.call())
    }

    /// What the store is and promises; no I/O.
    pub fn info(&self) -> &StoreInfo {
        self.store.info()
    }

    /// Closes the store, for all clones.
    ///
    /// # Errors
    /// What the store answers.
    pub fn close(&self) -> Result<()> {
        self.store.close(self.settings.call())
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// What is bound.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}

/// What a put answers.
pub(crate) fn was_put(outcome: &Outcome, entry: Entry) -> Result<Entry> {
    match outcome {
        Outcome::Written => Ok(entry),
        Outcome::Expired => {
            let context = "the entry expired before it could be written; give it a longer time to live";
            Err(Error::new(ErrorKind::Timeout, context).with_effect(stickystore_core::Effect::NotApplied))
        }
        _ => Err(Error::new(ErrorKind::Unexpected, "the store gave an answer that a put does not have")),
    }
}
