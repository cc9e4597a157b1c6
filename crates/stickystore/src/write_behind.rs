//! Saves that do not wait for the store: [`Behind`], an [`AsyncSticky`] with a queue before its store. Feature `write-behind`.
//!
//! What may be queued, and what is told of it: [`crate::layers::write_behind`].

#[cfg(feature = "embedded")]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use stickystore_core::{
    AsyncStore, AsyncStoreExt as _, Call, Change, Clock, Entry, Error, ErrorKind, Result, UnixMillis,
};
pub use stickystore_layers::write_behind::{
    Builder, DamagedRecord, Depth, Journal, Queued, Report, Unwritten, WhenFull, Why, WriteBehind,
};
use stickystore_services::Settings;
use stickystore_services::assign::{Assign, IntoValue, Step};

use crate::async_sticky::AsyncSticky;

/// How long a journal may take to be read at the start: nobody is served yet.
const START: Duration = Duration::from_secs(30);

/// A store with a queue before it. Clones share the queue.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> stickystore::Result<()> {
/// use std::time::Duration;
/// use stickystore::write_behind::Given;
///
/// let sticky = stickystore::open_async("memory:?namespace=shop&ttl=90d").await?;
/// let behind = sticky.write_behind(|queue| queue.max_users(1_000)).await?;
///
/// let button = behind.assign("ann", "button", || "red").await?;
/// assert!(matches!(button, Given::Queued { .. }), "nobody has said yet that it is kept");
/// assert_eq!(button.text().as_deref(), Some("red"));
///
/// let report = behind.shutdown(Duration::from_secs(10)).await;
/// assert_eq!(report.to_string(), "1 applied, 0 unchanged, 0 not written, 0 still queued");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Behind {
    queue: WriteBehind<Arc<dyn AsyncStore>>,
    sticky: AsyncSticky,
}

/// What a user is given by [`Behind::assign`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Given {
    /// It stands in the store, or was queued before, through this handle or a clone of it.
    Found(Entry),
    /// It is new and queued. Another may have been faster, or the user may be erased: then the store keeps something else, and
    /// the next `assign` answers that.
    Queued {
        /// What is queued.
        entry: Entry,
        /// For whoever wants to know what becomes of it.
        queued: Queued,
    },
}

impl AsyncSticky {
    /// Puts a queue before the store, set up by `change` and started on the caller's runtime; see [`Behind`].
    ///
    /// ```no_run
    /// # async fn open() -> stickystore::Result<()> {
    /// use stickystore::write_behind::WhenFull;
    ///
    /// let sticky = stickystore::open_async("redis://localhost?namespace=shop").await?;
    /// let behind = sticky.write_behind(|queue| queue.when_full(WhenFull::Fail)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`Builder::start`].
    pub async fn write_behind(
        self,
        change: impl FnOnce(Builder<Arc<dyn AsyncStore>>) -> Builder<Arc<dyn AsyncStore>>,
    ) -> Result<Behind> {
        let settings = self.settings().clone();
        let builder = WriteBehind::over(Arc::clone(self.store())).clock(Bound(settings.clone()));
        let queue = change(builder).start(within(&settings, START)).await?;
        // The cache is behind the queue, and is read ahead all the same.
        let sticky = Self::of((Arc::new(queue.clone()), self.held), settings);
        Ok(Behind { queue, sticky })
    }
}

impl Behind {
    /// What the user has under this key; if that is nothing, `value` is asked once, and what it gives is queued.
    ///
    /// Unlike [`AsyncSticky::assign`] it answers before the store has named a winner: one read, and no wait for the write.
    ///
    /// # Errors
    /// Those of the read, and of [`WriteBehind::enqueue`]; [`ErrorKind::Corrupt`] if what stands there is damaged.
    pub async fn assign<V: IntoValue>(
        &self,
        user: &str,
        key: &str,
        value: impl FnOnce() -> V,
    ) -> Result<Given> {
        let mut assign = Assign::new(self.sticky.settings(), user, key, value)?;
        loop {
            match assign.next_step()? {
                Step::Read(call, read) => assign.was_read(self.queue.read_one(call, read).await),
                Step::Write(call, write) => {
                    let entry = write.changes().iter().find_map(Change::entry).cloned();
                    let queued = self.queue.enqueue(call, write).await?;
                    let entry =
                        entry.ok_or_else(|| Error::new(ErrorKind::Unexpected, "an insert has no entry"))?;
                    return Ok(Given::Queued { entry, queued });
                }
                Step::Done(assigned) => return assigned.map(|assigned| Given::Found(assigned.entry)),
                _ => {
                    return Err(Error::new(
                        ErrorKind::Unexpected,
                        "an assign has a step that a queue has not",
                    ));
                }
            }
        }
    }

    /// The same store for everything else: its reads lie under what is queued, its writes come after that and wait for the
    /// store, its erasures take what is queued with them. So do the SDKs' services that it hands out.
    pub fn sticky(&self) -> &AsyncSticky {
        &self.sticky
    }

    /// The queue, for writes of one's own.
    pub fn queue(&self) -> &WriteBehind<Arc<dyn AsyncStore>> {
        &self.queue
    }

    /// Waits for at most so long until what is queued is written; see [`WriteBehind::flush`].
    pub async fn flush(&self, time: Duration) -> Report {
        self.queue.flush(within(self.sticky.settings(), time)).await
    }

    /// Flushes for at most so long, ends the tasks, closes journal and store; see [`WriteBehind::shutdown`].
    pub async fn shutdown(&self, time: Duration) -> Report {
        self.queue.shutdown(within(self.sticky.settings(), time)).await
    }
}

impl Given {
    /// The entry.
    pub fn entry(&self) -> &Entry {
        match self {
            Self::Found(entry) | Self::Queued { entry, .. } => entry,
        }
    }

    /// The variation, if it was assigned as text.
    pub fn text(&self) -> Option<std::borrow::Cow<'_, str>> {
        self.entry().value.as_string()
    }
}

/// A journal in a file of its own, which this process alone has open: what is queued outlives it, also a kill or power loss.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> stickystore::Result<()> {
/// # let file = std::env::temp_dir().join(format!("stickystore-doc-journal-{}.redb", std::process::id()));
/// let journal = stickystore::write_behind::journal(&file).await?;
/// let sticky = stickystore::open_async("memory:?namespace=shop").await?;
/// let behind = sticky.write_behind(|queue| queue.journal(journal)).await?;
/// # behind.shutdown(std::time::Duration::from_secs(60)).await;
/// # std::fs::remove_file(file).unwrap();
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Those of opening the file.
#[cfg(feature = "embedded")]
pub async fn journal(file: impl Into<PathBuf>) -> Result<Journal> {
    use stickystore_embedded::{AsyncEmbeddedStore, Config};

    Ok(Journal::new(AsyncEmbeddedStore::open(Config::new(file)).await?))
}

fn within(settings: &Settings, time: Duration) -> Call {
    Call::within(&Bound(settings.clone()), time)
}

/// The clock that settings have bound.
#[derive(Debug)]
struct Bound(Settings);

impl Clock for Bound {
    fn now(&self) -> UnixMillis {
        self.0.call().now
    }
}
