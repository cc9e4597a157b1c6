//! The ledger: what proves VWO's reads where one service serves a whole process, since its records carry no proof. The
//! rule itself is in [`table`].

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stickystore_core::{Epoch, Error, ErrorKind, Key, Result, Revision, Subject};

use crate::settings::Settings;

mod table;

pub(super) use table::Verdict;
use table::{Answer, Table};

/// Which lookups were answered how, for a while: so that a set may replace what every lookup was handed that it can come
/// from.
///
/// VWO's SDKs make the record that they set anew, and nothing in it says what had been read. Without a ledger such a set
/// only adds, and a variation that left its campaign stays for ever. With one it replaces what stands if **every** `get` of
/// that campaign and user within the window was answered, and with that very entry: whichever of them the set belongs to,
/// its SDK held what it replaces; and the store compares the revision. Where gets were answered differently, or one of that
/// user failed, timed out or was dropped, the set only adds and its report says
/// [`Ambiguous`](crate::Why::Ambiguous), with for how long that has been so. It passes once the window went by without.
/// For a user whose gets fail again and again that may take long; [`Settings::with_retired`] ends it.
///
/// **It holds only if all of this is true**, and is off for that reason unless it is asked for:
///
/// - **A1** Every set of a user in this process follows a `get` (or `records`) that was answered by this very ledger: no
///   maps or records that came from elsewhere, no caller that only tracks, no load balancer or REST service between `get`
///   and `set`. Services that share a process's SDKs share one ledger: it is cheap to clone.
/// - **A2** No decision lasts longer than the window, from its `get` to its `set`, by the settings' clock. It must not be set
///   ahead meanwhile; set back, it stands still here.
/// - **A3** What was answered is what the SDK holds: nothing between us and it, as a wrapper with a timeout of its own, turns
///   an answer into none.
///
/// A process that cannot promise them must do without, and only add: with one of them broken, a set can replace what its
/// caller never saw. Sessions ([`session`](crate::session)) and records that Rust code got and changed need no ledger.
///
/// It is bounded: of more users than its [capacity](Self::with_capacity) those are forgotten who were idle longest, and of
/// such a user, and of a few who share a place with them, nothing is replaced for one window.
///
/// ```
/// use std::time::Duration;
/// use stickystore_core::{Namespace, memory::MemoryStore};
/// use stickystore_services::{Settings, vwo::{Ledger, UserStorageService}};
///
/// let service = UserStorageService::new(MemoryStore::new(), Settings::new(Namespace::new("shop")?))
///     .with_ledger(Ledger::new(Ledger::WINDOW)?);
/// service.set_json(r#"{"userId":"ann","campaignKey":"c1","variationName":"red"}"#)?;
///
/// // The SDK gets red, which has left the campaign, and sets blue.
/// service.get("ann", "c1")?;
/// let report = service.set_json(r#"{"userId":"ann","campaignKey":"c1","variationName":"blue"}"#)?;
/// assert_eq!(
///     report.to_json(),
///     r#"{"entries":{"c1":{"outcome":"replaced","old":{"variationName":"red"}}}}"#
/// );
/// # Ok::<(), stickystore_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Ledger(Arc<Mutex<Table>>);

impl Ledger {
    /// A window that is longer than decisions last, and short enough for a refused set to pass soon.
    pub const WINDOW: Duration = Duration::from_secs(10);

    /// The longest window: an erase mark has to outlive the decisions that began before the erasure.
    pub const MAX_WINDOW: Duration = Duration::from_secs(5 * 60);

    /// How many users it remembers unless told otherwise: some 20 MB with a few campaigns each.
    pub const CAPACITY: usize = 65_536;

    /// An empty ledger with this window; [`Ledger::WINDOW`] serves most.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a window below 1 ms or above [`Ledger::MAX_WINDOW`].
    pub fn new(window: Duration) -> Result<Self> {
        if window < Duration::from_millis(1) || window > Self::MAX_WINDOW {
            let max = Self::MAX_WINDOW.as_secs();
            let context =
                format!("the window of a ledger is at least 1 ms and at most {max} s, not {window:?}");
            return Err(Error::new(ErrorKind::Invalid, context));
        }
        Ok(Self(Arc::new(Mutex::new(Table::new(window, Self::CAPACITY)))))
    }

    /// Remembers so many users at once, at least 1. What it knew of others is forgotten.
    #[must_use]
    pub fn with_capacity(self, users: usize) -> Self {
        let window = self.table().window();
        Self(Arc::new(Mutex::new(Table::new(window, users.max(1)))))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // What a panic left behind was put there whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much, never whose.
impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = self.table();
        let (window, users) = (table.window(), table.len());
        f.debug_struct("Ledger").field("window", &window).field("users", &users).finish_non_exhaustive()
    }
}

/// A lookup that is under way. Dropped without an answer, for whatever reason, it has failed.
pub(super) struct Asked(Option<(Ledger, Settings, Subject)>);

impl Asked {
    pub(super) fn new(ledger: Option<&Ledger>, settings: &Settings, subject: &Subject) -> Self {
        Self(ledger.map(|ledger| (ledger.clone(), settings.clone(), subject.clone())))
    }

    /// This campaign is answered with this entry, or with none.
    pub(super) fn answered(self, key: &Key, revision: Option<Revision>, epoch: Option<Epoch>) {
        self.tell(Answer::One(key, revision), epoch);
    }

    /// All campaigns are answered with these entries.
    pub(super) fn answered_all(self, handed_out: &[(Key, Revision)], epoch: Option<Epoch>) {
        self.tell(Answer::All(handed_out), epoch);
    }

    fn tell(mut self, answer: Answer<'_>, epoch: Option<Epoch>) {
        if let Some((ledger, settings, subject)) = self.0.take() {
            ledger.table().answered(settings.call().now, &subject, answer, epoch);
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some((ledger, settings, subject)) = self.0.take() {
            ledger.table().failed(settings.call().now, &subject);
        }
    }
}

/// What a set that proves nothing may do by this ledger.
pub(super) fn verdict(
    ledger: Option<&Ledger>,
    settings: &Settings,
    subject: &Subject,
    key: &Key,
) -> Option<Verdict> {
    Some(ledger?.table().verdict(settings.call().now, subject, key))
}
