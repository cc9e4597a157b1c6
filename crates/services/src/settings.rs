//! What every service needs besides its store: whose users, for how long, how fast, by which clock.

use std::sync::Arc;
use std::time::Duration;

use stickystore_core::{
    Call, Clock, Expiry, Namespace, Result, Subject, SystemClock, Ttl, UnixMillis, UserId,
};

mod retired;

pub(crate) use retired::Retired;

/// How a service uses its store.
///
/// ```
/// use std::time::Duration;
/// use stickystore_core::{Namespace, Ttl};
/// use stickystore_services::Settings;
///
/// let settings = Settings::new(Namespace::new("shop")?)
///     .with_ttl(Ttl::new(Duration::from_secs(90 * 86_400))?)
///     .with_deadline(Duration::from_millis(100));
/// # Ok::<(), stickystore_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Settings {
    namespace: Namespace,
    ttl: Option<Ttl>,
    deadline: Duration,
    clock: Arc<dyn Clock>,
    replace_back_after: Duration,
    receipts: Receipts,
    unproven: Unproven,
    retired: Retired,
}

/// Whether what a lookup hands to an SDK carries a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Receipts {
    /// It does: a save can replace what its caller read and changed.
    On,
    /// It does not: a save that an SDK makes after such a lookup can only add.
    Off,
}

/// What becomes of an entry of a save where another value stands and nothing proves that the save's caller had read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unproven {
    /// What stands there stays, and the report says so.
    KeepStored,
    /// What stands there is replaced, exactly that revision of it; the war rule holds. Not while an erase mark lives: the
    /// save may come from before the erasure. Whose lookup failed takes away what others had been given.
    TakeNew,
    /// What stands there stays, and the entry is reported as failed.
    Error,
}

impl Settings {
    /// How long a lookup or a save may take, unless said otherwise: users wait for it.
    pub const DEADLINE: Duration = Duration::from_millis(250);

    /// For how long a replaced value must not come back, unless said otherwise: longer than the rollout of a
    /// datafile, during which processes with the old and the new one would replace each other's values for ever.
    pub const REPLACE_BACK_AFTER: Duration = Duration::from_secs(10 * 60);

    /// Settings for this namespace: entries without an end, [`Settings::DEADLINE`], the machine's clock, receipts.
    pub fn new(namespace: Namespace) -> Self {
        Self {
            namespace,
            ttl: None,
            deadline: Self::DEADLINE,
            clock: Arc::new(SystemClock),
            replace_back_after: Self::REPLACE_BACK_AFTER,
            receipts: Receipts::On,
            unproven: Unproven::KeepStored,
            retired: Retired::default(),
        }
    }

    /// How long an entry lives from its own last write.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Ttl) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// How long one lookup or save may take.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The clock by which entries end.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// For how long a replaced value must not come back.
    #[must_use]
    pub fn with_replace_back_after(mut self, time: Duration) -> Self {
        self.replace_back_after = time;
        self
    }

    /// Whether lookups carry receipts.
    #[must_use]
    pub fn with_receipts(mut self, receipts: Receipts) -> Self {
        self.receipts = receipts;
        self
    }

    /// What becomes of entries that nothing proves; [`Unproven::KeepStored`] by default, and always in GrowthBook's service,
    /// which only adds.
    #[must_use]
    pub fn with_unproven(mut self, unproven: Unproven) -> Self {
        self.unproven = unproven;
        self
    }

    /// Retires a value under a key: a variation that left its experiment, and that datafiles without it would go on
    /// refusing. Who has it counts as having nothing: it is not handed out, and the next save or `assign` replaces it, by
    /// its revision, whether or not its caller had read it; not while an erase mark lives of which the caller does not
    /// know, and the war rule holds. Saving a retired value is not refused.
    ///
    /// The value is named as in the service: Optimizely's variation id, VWO's variation name, GrowthBook's variation key
    /// (with `<experiment>__<bucket version>` for the key), and what was assigned by its text or its JSON.
    ///
    /// ```
    /// # use stickystore_core::{Namespace, memory::MemoryStore};
    /// # use stickystore_services::{Settings, optimizely::UserProfileService};
    /// let (store, settings) = (MemoryStore::new(), Settings::new(Namespace::new("shop")?));
    /// let save = |settings: Settings, variation: &str| {
    ///     let profile = format!(r#"{{"user_id":"ann","experiment_bucket_map":{{"e1":{{"variation_id":"{variation}"}}}}}}"#);
    ///     Ok::<_, stickystore_core::Error>(UserProfileService::new(store.clone(), settings).save_json(&profile)?.to_json())
    /// };
    /// save(settings.clone(), "red")?;
    /// assert_eq!(
    ///     save(settings.with_retired("e1", "red"), "blue")?,
    ///     r#"{"entries":{"e1":{"outcome":"replaced","old":{"variation_id":"red"}}}}"#
    /// );
    /// # Ok::<(), stickystore_core::Error>(())
    /// ```
    #[must_use]
    pub fn with_retired(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.retired.add(key.into(), value.into());
        self
    }

    /// The namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    pub(crate) fn receipts(&self) -> Receipts {
        self.receipts
    }

    pub(crate) fn unproven(&self) -> Unproven {
        self.unproven
    }

    pub(crate) fn retired(&self) -> &Retired {
        &self.retired
    }

    pub(crate) fn replace_back_after(&self) -> Duration {
        self.replace_back_after
    }

    /// A call that starts now.
    pub fn call(&self) -> Call {
        Call::within(&self.clock, self.deadline)
    }

    /// This user in the namespace.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](stickystore_core::ErrorKind::Invalid) if it is no user id.
    pub fn subject(&self, user_id: &str) -> Result<Subject> {
        Ok(Subject::new(self.namespace.clone(), UserId::new(user_id)?))
    }

    /// When an entry ends that is written now.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](stickystore_core::ErrorKind::Invalid) if that is past the last time that can be kept.
    pub fn expiry(&self, now: UnixMillis) -> Result<Expiry> {
        self.ttl.map_or(Ok(Expiry::Never), |ttl| Expiry::after(now, ttl))
    }
}
