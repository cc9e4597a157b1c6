//! Optimizely's User Profile Service: `lookup` and `save`, exactly the SDK's JSON.
//!
//! Contract: the SDKs call `lookup(user_id)` once before a decision and `save(profile)` after it if something was
//! newly bucketed, with the **whole** map as that process knew it. A lookup that failed looks to them like an empty
//! profile. So a save here replaces only what its caller provably read and changed, and else adds:
//!
//! | an entry of the saved map | becomes |
//! |---|---|
//! | was read, comes back as it was | nothing, without a round trip |
//! | was read, has another variation | a replacement of the revision that was read |
//! | was not read | an insert, unless something stands there, or the user was erased since |
//! | was read, is not in the map | nothing: it left the datafile, or the SDK dropped it |
//!
//! What proves a read is the receipt, one more entry of the map under `stickystore`; a map that is passed by attribute has
//! one of its own, see [`BucketMap`]. An entry comes back *as it was* if
//! its variation does: members beside it, which Java's SDK drops and no SDK changes, are not compared.

use stickystore_core::{AsyncStore, AsyncStoreExt as _, Read, Result, Store, StoreExt as _, UnixMillis};

use crate::report::SaveReport;
use crate::settings::Settings;

mod bucket_map;
mod profile;
mod save;

pub use bucket_map::BucketMap;
pub(crate) use profile::variation;
pub use profile::{RECEIPT_KEY, UserProfile, is_receipt_entry};
use save::{Save, Step};

/// The User Profile Service over a blocking store.
///
/// ```
/// use stickystore_core::{Namespace, memory::MemoryStore};
/// use stickystore_services::{Settings, optimizely::UserProfileService};
///
/// let service = UserProfileService::new(MemoryStore::new(), Settings::new(Namespace::new("shop")?));
/// service.save_json(r#"{"user_id":"ann","experiment_bucket_map":{"e1":{"variation_id":"red"}}}"#)?;
///
/// let mut profile = service.lookup("ann")?;
/// assert_eq!(profile.variation("e1"), Some("red"));
///
/// // The variation is gone from the datafile: what was read may be replaced.
/// profile.set_variation("e1", "blue");
/// let report = service.save(&profile)?;
/// assert_eq!(
///     report.to_json(),
///     r#"{"entries":{"e1":{"outcome":"replaced","old":{"variation_id":"red"}}}}"#
/// );
/// # Ok::<(), stickystore_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct UserProfileService<S> {
    store: S,
    settings: Settings,
    is_tracking_only: bool,
}

impl<S: Store> UserProfileService<S> {
    /// The service over this store.
    pub fn new(store: S, settings: Settings) -> Self {
        Self { store, settings, is_tracking_only: false }
    }

    /// Only tracks: every lookup answers that there is nothing, without asking the store, so that the SDKs decide as if
    /// there were none, and what they decide is kept all the same. Nothing proves such a save, so that it only adds, unless
    /// [`Unproven`](crate::Unproven) says otherwise. [`bucket_map`](Self::bucket_map) still reads, and still proves.
    #[must_use]
    pub fn tracking_only(mut self) -> Self {
        self.is_tracking_only = true;
        self
    }

    /// The profile of this user; without entries for a user who has none.
    ///
    /// # Errors
    /// What the store answers. The SDKs' hooks cannot say "failed": whoever feeds one has to decide what it gets, as by
    /// [`Settings::with_failed_lookup`].
    pub fn lookup(&self, user_id: &str) -> Result<UserProfile> {
        if self.is_tracking_only {
            return tracked(&self.settings, user_id);
        }
        let lookup = Lookup::new(&self.settings, user_id)?;
        let read = self.store.read_one(lookup.call, lookup.read.clone());
        match self.settings.looked_up(read)? {
            Some(profile) => Ok(lookup.answer(profile, &self.settings)),
            None => tracked(&self.settings, user_id),
        }
    }

    /// [`lookup`](Self::lookup) as the SDK's JSON; `null` for a user without entries if receipts are off.
    ///
    /// # Errors
    /// Those of [`lookup`](Self::lookup).
    pub fn lookup_json(&self, user_id: &str) -> Result<String> {
        Ok(self.lookup(user_id)?.to_json())
    }

    /// The user's bare bucket map, to be passed by the attribute `$opt_experiment_bucket_map`.
    ///
    /// What a save has that is neither in this map nor in a lookup's receipt counts as decided after the map was fetched:
    /// give the SDK no other lookup than this service's beside it.
    ///
    /// # Errors
    /// Those of [`lookup`](Self::lookup), also if the service only tracks.
    pub fn bucket_map(&self, user_id: &str) -> Result<BucketMap> {
        let lookup = Lookup::new(&self.settings, user_id)?;
        let profile = self.store.read_one(lookup.call, lookup.read.clone())?;
        Ok(BucketMap::new(lookup.answer(profile, &self.settings)))
    }

    /// [`bucket_map`](Self::bucket_map) as the SDK's JSON.
    ///
    /// # Errors
    /// Those of [`lookup`](Self::lookup).
    pub fn bucket_map_json(&self, user_id: &str) -> Result<String> {
        Ok(self.bucket_map(user_id)?.to_json())
    }

    /// Saves a profile as the SDK sends it, or as Rust code made it from a lookup.
    ///
    /// # Errors
    /// Only what concerns the whole profile, as an unusable user id. What becomes of each entry, failures included, is
    /// in the report.
    pub fn save(&self, profile: &UserProfile) -> Result<SaveReport> {
        Ok(self.save_uncounted(profile)?.counted("optimizely"))
    }

    /// Where something else counts what becomes of it.
    pub(crate) fn save_uncounted(&self, profile: &UserProfile) -> Result<SaveReport> {
        let mut save = Save::new(profile, &self.settings)?;
        loop {
            match save.next() {
                Step::Read(call, read) => save.was_read(&self.store.read_one(call, read)),
                Step::Write(call, writes) => save.was_written(self.store.write(call, &writes)),
                Step::Done(report) => return Ok(report),
            }
        }
    }

    /// [`save`](Self::save) of the SDK's JSON.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](stickystore_core::ErrorKind::Invalid) if it is not a profile, else those of
    /// [`save`](Self::save).
    pub fn save_json(&self, profile: &str) -> Result<SaveReport> {
        self.save(&UserProfile::parse(profile)?)
    }
}

/// The User Profile Service over an async store; the same as [`UserProfileService`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), stickystore_core::Error> {
/// use stickystore_core::{Immediate, Namespace, memory::MemoryStore};
/// use stickystore_services::{Settings, optimizely::AsyncUserProfileService};
///
/// let store = Immediate::new(MemoryStore::new());
/// let service = AsyncUserProfileService::new(store, Settings::new(Namespace::new("shop")?));
/// service.save_json(r#"{"user_id":"ann","experiment_bucket_map":{"e1":{"variation_id":"red"}}}"#).await?;
/// assert_eq!(service.lookup("ann").await?.variation("e1"), Some("red"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct AsyncUserProfileService<S> {
    store: S,
    settings: Settings,
    is_tracking_only: bool,
}

impl<S: AsyncStore> AsyncUserProfileService<S> {
    /// The service over this store.
    pub fn new(store: S, settings: Settings) -> Self {
        Self { store, settings, is_tracking_only: false }
    }

    /// See [`UserProfileService::tracking_only`].
    #[must_use]
    pub fn tracking_only(mut self) -> Self {
        self.is_tracking_only = true;
        self
    }

    /// See [`UserProfileService::lookup`].
    ///
    /// # Errors
    /// As there.
    pub async fn lookup(&self, user_id: &str) -> Result<UserProfile> {
        if self.is_tracking_only {
            return tracked(&self.settings, user_id);
        }
        let lookup = Lookup::new(&self.settings, user_id)?;
        let read = self.store.read_one(lookup.call, lookup.read.clone()).await;
        match self.settings.looked_up(read)? {
            Some(profile) => Ok(lookup.answer(profile, &self.settings)),
            None => tracked(&self.settings, user_id),
        }
    }

    /// See [`UserProfileService::lookup_json`].
    ///
    /// # Errors
    /// As there.
    pub async fn lookup_json(&self, user_id: &str) -> Result<String> {
        Ok(self.lookup(user_id).await?.to_json())
    }

    /// See [`UserProfileService::bucket_map`].
    ///
    /// # Errors
    /// As there.
    pub async fn bucket_map(&self, user_id: &str) -> Result<BucketMap> {
        let lookup = Lookup::new(&self.settings, user_id)?;
        let profile = self.store.read_one(lookup.call, lookup.read.clone()).await?;
        Ok(BucketMap::new(lookup.answer(profile, &self.settings)))
    }

    /// See [`UserProfileService::bucket_map_json`].
    ///
    /// # Errors
    /// As there.
    pub async fn bucket_map_json(&self, user_id: &str) -> Result<String> {
        Ok(self.bucket_map(user_id).await?.to_json())
    }

    /// See [`UserProfileService::save`].
    ///
    /// # Errors
    /// As there.
    pub async fn save(&self, profile: &UserProfile) -> Result<SaveReport> {
        let mut save = Save::new(profile, &self.settings)?;
        loop {
            match save.next() {
                Step::Read(call, read) => save.was_read(&self.store.read_one(call, read).await),
                Step::Write(call, writes) => save.was_written(self.store.write(call, &writes).await),
                Step::Done(report) => return Ok(report.counted("optimizely")),
            }
        }
    }

    /// See [`UserProfileService::save_json`].
    ///
    /// # Errors
    /// As there.
    pub async fn save_json(&self, profile: &str) -> Result<SaveReport> {
        self.save(&UserProfile::parse(profile)?).await
    }
}

/// What a lookup answers that does not look.
pub(crate) fn tracked(settings: &Settings, user_id: &str) -> Result<UserProfile> {
    // An unusable id is one here too.
    Ok(UserProfile::new(settings.subject(user_id)?.user.as_str()))
}

/// What both faces do around the read of a lookup.
struct Lookup {
    call: stickystore_core::Call,
    read: Read,
}

impl Lookup {
    fn new(settings: &Settings, user_id: &str) -> Result<Self> {
        Ok(Self { call: settings.call(), read: Read::all(settings.subject(user_id)?) })
    }

    fn answer(self, profile: stickystore_core::Profile, settings: &Settings) -> UserProfile {
        let seed = UnixMillis::get(self.call.now);
        UserProfile::from_store(&self.read.subject, profile, settings, seed)
    }
}
