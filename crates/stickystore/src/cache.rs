//! The cache of a store that was opened by its URL: reading users ahead, and forgetting them. Feature `cache`.
//!
//! What it keeps and for how long: [`crate::layers::cache`].

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stickystore_core::{
    AsyncStore, Blocking, Call, Effect, Error, ErrorKind, Operation, Result, Store, Subject,
};
pub use stickystore_layers::cache::Preloaded;
use stickystore_layers::cache::{Preloading, Whom};
use stickystore_layers::{LayeredCache, Layers};
use stickystore_services::Settings;

use crate::async_sticky::AsyncSticky;
use crate::sticky::Sticky;

/// The cache of a [`Sticky`], from [`Sticky::cache`]. Clones share it.
///
/// ```
/// # fn main() -> stickystore::Result<()> {
/// use std::time::Duration;
///
/// let sticky = stickystore::open("memory:?namespace=shop&cache=64MiB")?;
/// let cache = sticky.cache()?;
/// // At the start, before anybody is served.
/// let all = cache.preload_all(Duration::from_secs(60), |so_far| println!("{} users", so_far.users))?;
/// assert!(!all.is_full);
/// // The next read asks the store, as when another process wrote this user.
/// cache.forget("ann")?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Cache {
    cache: AsyncCache,
    /// After the cache, so that the store is dropped where it lives.
    on: Blocking<Arc<dyn AsyncStore>>,
}

/// The cache of an [`AsyncSticky`], from [`AsyncSticky::cache`]. Clones share it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> stickystore::Result<()> {
/// use std::time::Duration;
///
/// let sticky = stickystore::open_async("memory:?namespace=shop&cache=64MiB").await?;
/// let cache = sticky.cache()?;
/// let some = cache.preload(["ann", "bob"], Duration::from_secs(60), |_| {}).await?;
/// assert_eq!((some.users, cache.users_held()), (2, 2));
/// cache.forget("ann")?;
/// assert_eq!(cache.users_held(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AsyncCache {
    held: LayeredCache,
    settings: Settings,
}

impl Sticky {
    /// The cache that the URL asked for: to read users ahead, and to forget them.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if there is none: its option in the URL is `cache`, as in `cache=64MiB`.
    pub fn cache(&self) -> Result<Cache> {
        let BlockingHeld(Some((held, on))) = &self.held else { return Err(no_cache()) };
        let cache = AsyncCache { held: held.clone(), settings: self.settings().clone() };
        Ok(Cache { cache, on: on.clone() })
    }
}

impl AsyncSticky {
    /// See [`Sticky::cache`].
    ///
    /// # Errors
    /// As there.
    pub fn cache(&self) -> Result<AsyncCache> {
        let Held(Some(held)) = &self.held else { return Err(no_cache()) };
        Ok(AsyncCache { held: held.clone(), settings: self.settings().clone() })
    }
}

impl Cache {
    /// Reads these users, so that their next reads do not ask the store, and tells how far it is after some hundred users each.
    /// It may take `time`, whatever the deadline of the settings. What is held of a user is as old as the page that they were in.
    ///
    /// Users who have nothing are held, too, for as long as `cache_absent_age` says. It ends early when the cache is full.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if one is no user id, before any is read; [`ErrorKind::Timeout`] if the time has passed before the
    /// last page: what was read is held. Users whose read failed are counted, and read when somebody asks for them.
    pub fn preload<U: AsRef<str>>(
        &self,
        users: impl IntoIterator<Item = U>,
        time: Duration,
        progress: impl FnMut(Preloaded),
    ) -> Result<Preloaded> {
        self.all_pages(self.cache.some(users)?, time, progress)
    }

    /// The same with all users of the namespace, by a scan.
    ///
    /// # Errors
    /// What the scan answers, as [`ErrorKind::Unsupported`] of a store that cannot scan; [`ErrorKind::Timeout`] as there.
    pub fn preload_all(&self, time: Duration, progress: impl FnMut(Preloaded)) -> Result<Preloaded> {
        self.all_pages(self.cache.all(), time, progress)
    }

    /// Forgets what is held of this user, so that the next read asks the store. The store's entries stay: that is not
    /// [`erase`](Sticky::erase).
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is no user id.
    pub fn forget(&self, user: &str) -> Result<()> {
        self.cache.forget(user)
    }

    /// How many users are held.
    pub fn users_held(&self) -> usize {
        self.cache.users_held()
    }

    fn all_pages(
        &self,
        mut pages: Pages,
        time: Duration,
        mut progress: impl FnMut(Preloaded),
    ) -> Result<Preloaded> {
        let until = Until::after(&self.cache.settings, time);
        while !pages.is_finished() {
            let call = until.call(&self.cache.settings, pages.so_far())?;
            let page;
            (pages, page) = self.on.run(call, Operation::Read, |_| async move {
                let page = pages.page(call).await;
                (pages, page)
            })?;
            progress(page?);
        }
        Ok(pages.so_far())
    }
}

impl AsyncCache {
    /// See [`Cache::preload`].
    ///
    /// # Errors
    /// As there.
    pub async fn preload<U: AsRef<str>>(
        &self,
        users: impl IntoIterator<Item = U>,
        time: Duration,
        progress: impl FnMut(Preloaded),
    ) -> Result<Preloaded> {
        let pages = self.some(users)?;
        self.all_pages(pages, time, progress).await
    }

    /// See [`Cache::preload_all`].
    ///
    /// # Errors
    /// As there.
    pub async fn preload_all(&self, time: Duration, progress: impl FnMut(Preloaded)) -> Result<Preloaded> {
        self.all_pages(self.all(), time, progress).await
    }

    /// See [`Cache::forget`].
    ///
    /// # Errors
    /// As there.
    pub fn forget(&self, user: &str) -> Result<()> {
        self.held.forget(&self.settings.subject(user)?);
        Ok(())
    }

    /// How many users are held.
    pub fn users_held(&self) -> usize {
        self.held.users_held()
    }

    fn some<U: AsRef<str>>(&self, users: impl IntoIterator<Item = U>) -> Result<Pages> {
        let subjects = users.into_iter().map(|user| self.settings.subject(user.as_ref()));
        let subjects: Vec<Subject> = subjects.collect::<Result<_>>()?;
        Ok(self.held.preloading(Whom::Users(&subjects)))
    }

    fn all(&self) -> Pages {
        self.held.preloading(Whom::All(self.settings.namespace()))
    }

    async fn all_pages(
        &self,
        mut pages: Pages,
        time: Duration,
        mut progress: impl FnMut(Preloaded),
    ) -> Result<Preloaded> {
        let until = Until::after(&self.settings, time);
        while !pages.is_finished() {
            progress(pages.page(until.call(&self.settings, pages.so_far())?).await?);
        }
        Ok(pages.so_far())
    }
}

impl fmt::Debug for AsyncCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncCache").field(&self.held).finish()
    }
}

type Pages = Preloading<Arc<dyn AsyncStore>>;

/// When a preload's time has passed.
#[derive(Clone, Copy)]
struct Until(Instant);

impl Until {
    fn after(settings: &Settings, time: Duration) -> Self {
        Self(settings.clone().with_deadline(time).call().deadline)
    }

    /// The next page's call, of now: what it holds is as old as its page.
    fn call(self, settings: &Settings, so_far: Preloaded) -> Result<Call> {
        let call = settings.call().with_deadline(self.0);
        if call.remaining().is_zero() {
            let context = format!("the time passed after {} users, who are held; allow more", so_far.users);
            let error = Error::new(ErrorKind::Timeout, context).with_effect(Effect::NotApplied);
            return Err(error.with_origin("stickystore", Operation::Read));
        }
        Ok(call)
    }
}

/// The cache of a store with its async API, if it has one.
#[derive(Clone)]
pub(crate) struct Held(Option<LayeredCache>);

/// The same of one with its blocking API, and the runtime on which it lives: behind it, so that the store is dropped there.
#[derive(Clone)]
pub(crate) struct BlockingHeld(Option<(LayeredCache, Blocking<Arc<dyn AsyncStore>>)>);

impl Held {
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// The store in these layers, and the cache among them.
    pub(crate) fn build(layers: Layers) -> (Arc<dyn AsyncStore>, Self) {
        let (store, held) = layers.build_with_cache();
        (store, Self(held))
    }
}

impl BlockingHeld {
    pub(crate) fn none() -> Self {
        Self(None)
    }
}

/// The blocking API of a store in layers, and the cache that is among them.
pub(crate) fn blocking(store: Blocking<Arc<dyn AsyncStore>>, held: Held) -> (Arc<dyn Store>, BlockingHeld) {
    let held = BlockingHeld(held.0.map(|held| (held, store.clone())));
    (Arc::new(store), held)
}

fn no_cache() -> Error {
    let context = "there is no cache here: open the store by a URL with cache=64MiB";
    Error::new(ErrorKind::Config, context).with_origin("stickystore", Operation::Open)
}

// The store itself is shown beside them.
impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held").field(&self.0.is_some()).finish()
    }
}

impl fmt::Debug for BlockingHeld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BlockingHeld").field(&self.0.is_some()).finish()
    }
}
