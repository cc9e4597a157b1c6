//! Reading users before anybody asks for them.

use std::collections::VecDeque;

use stickystore_core::{AsyncStore, AsyncStoreExt as _, Call, Cursor, Namespace, Read, Result, Subject};

use super::memory::Memory;
use super::{Cached, Inner};

/// How many users are asked of the store at once.
const PAGE: usize = 500;

/// Who is read ahead.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Whom<'a> {
    /// These users.
    Users(&'a [Subject]),
    /// All users of this namespace, by a scan.
    All(&'a Namespace),
}

/// How far a preload is, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Preloaded {
    /// Users that were read, with or without entries.
    pub users: usize,
    /// Users whose read failed; they are read when somebody asks for them.
    pub failed: usize,
    /// Whether it ended early, as more would not have fitted.
    pub is_full: bool,
}

impl<S: AsyncStore> Cached<S> {
    /// Reads users into the cache, and tells how far it is after some hundred users each.
    ///
    /// It ends early when the cache is full, since more would push out what is there. What is held ages from this call's `now`:
    /// the age should be well beyond the time that it takes, or else each page has a call of its own, by
    /// [`preloading`](Self::preloading). Reads and writes may go on meanwhile, and what they hold stays.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> stickystore_core::Result<()> {
    /// use std::time::Duration;
    /// use stickystore_core::{Call, Immediate, Namespace, SystemClock, memory::MemoryStore};
    /// use stickystore_layers::cache::{Cached, Config, Whom};
    ///
    /// let store = Cached::new(Immediate::new(MemoryStore::new()), &Config::new());
    /// let call = Call::within(&SystemClock, Duration::from_secs(60));
    /// let all = store.preload(call, Whom::All(&Namespace::new("shop")?), |so_far| println!("{}", so_far.users)).await?;
    /// assert_eq!(all.users, 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where all users are wanted, what the scan answers, as [`Unsupported`](stickystore_core::ErrorKind::Unsupported) of a
    /// store that cannot scan; what was read until then is held. Single users who fail are counted.
    pub async fn preload(
        &self,
        call: Call,
        whom: Whom<'_>,
        mut progress: impl FnMut(Preloaded) + Send,
    ) -> Result<Preloaded> {
        let mut preloading = self.preloading(whom);
        while !preloading.is_finished() {
            progress(preloading.page(call).await?);
        }
        Ok(preloading.so_far())
    }

    /// The same page by page, each with a call of its own: nothing is read before the first is asked for.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> stickystore_core::Result<()> {
    /// use std::time::Duration;
    /// use stickystore_core::{Call, Immediate, Namespace, SystemClock, memory::MemoryStore};
    /// use stickystore_layers::cache::{Cached, Config, Whom};
    ///
    /// let store = Cached::new(Immediate::new(MemoryStore::new()), &Config::new());
    /// let mut preloading = store.preloading(Whom::All(&Namespace::new("shop")?));
    /// while !preloading.is_finished() {
    ///     preloading.page(Call::within(&SystemClock, Duration::from_secs(10))).await?;
    /// }
    /// assert_eq!(preloading.so_far().users, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn preloading(&self, whom: Whom<'_>) -> Preloading<S> {
        let rest = match whom {
            Whom::Users(subjects) => Rest::Users(subjects.iter().cloned().collect()),
            Whom::All(namespace) => Rest::All(namespace.clone(), None),
        };
        let is_nobody = matches!(&rest, Rest::Users(subjects) if subjects.is_empty());
        let mut preloading =
            Preloading { cached: self.clone(), rest: Some(rest), so_far: Preloaded::default() };
        preloading.read_up(is_nobody);
        preloading
    }
}

/// A preload that is under way, page by page; [`Cached::preloading`] begins one.
#[derive(Debug)]
pub struct Preloading<S> {
    cached: Cached<S>,
    /// None at the end.
    rest: Option<Rest>,
    so_far: Preloaded,
}

/// Who is still to be read.
#[derive(Debug)]
enum Rest {
    Users(VecDeque<Subject>),
    All(Namespace, Option<Cursor>),
}

impl<S: AsyncStore> Preloading<S> {
    /// Reads the next page, of some hundred users, and tells how far it is. What it holds ages from this call's `now`. After
    /// the end it reads nothing.
    ///
    /// # Errors
    /// As [`Cached::preload`]. Asking again goes on with the page that failed.
    pub async fn page(&mut self, call: Call) -> Result<Preloaded> {
        let is_last = match &mut self.rest {
            None => true,
            Some(Rest::Users(subjects)) => {
                let reads: Vec<_> = subjects.iter().take(PAGE).cloned().map(Read::all).collect();
                let answers = self.cached.read(call, &reads).await;
                self.so_far.users += answers.iter().filter(|answer| answer.is_ok()).count();
                self.so_far.failed += answers.iter().filter(|answer| answer.is_err()).count();
                subjects.drain(..reads.len());
                subjects.is_empty()
            }
            Some(Rest::All(namespace, cursor)) => {
                let page = self.cached.0.page(call, namespace, cursor.as_ref()).await?;
                self.so_far.users += page.users;
                self.so_far.failed += page.foreign;
                *cursor = page.next;
                cursor.is_none()
            }
        };
        self.read_up(is_last);
        Ok(self.so_far)
    }

    /// Whether nobody is left, or the cache is full.
    pub fn is_finished(&self) -> bool {
        self.rest.is_none()
    }

    /// How far it is.
    pub fn so_far(&self) -> Preloaded {
        self.so_far
    }

    /// Ends where nobody is left, or no more would fit.
    fn read_up(&mut self, is_last: bool) {
        let Inner { memory, keeps, .. } = &*self.cached.0;
        self.so_far.is_full |= !is_last && (!keeps || memory.is_full());
        if is_last || self.so_far.is_full {
            self.rest = None;
        }
    }
}

/// What a page was.
struct Ahead {
    users: usize,
    foreign: usize,
    next: Option<Cursor>,
}

impl<S: AsyncStore> Inner<S> {
    async fn page(&self, call: Call, namespace: &Namespace, cursor: Option<&Cursor>) -> Result<Ahead> {
        let under_way = UnderWay::begin(&self.memory);
        let page = self.store.scan_users(call, namespace, cursor, PAGE).await?;
        let users = page.users.into_iter();
        let users: Vec<_> =
            users.map(|(user, profile)| (Subject::new(namespace.clone(), user), profile)).collect();
        self.memory.land_page(under_way.ticket, call.now, &users);
        Ok(Ahead { users: users.len(), foreign: page.foreign, next: page.next })
    }
}

/// A page that is being read; it ends also where it is dropped.
struct UnderWay<'a> {
    memory: &'a Memory,
    ticket: u64,
}

impl<'a> UnderWay<'a> {
    fn begin(memory: &'a Memory) -> Self {
        Self { memory, ticket: memory.begin_page() }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.memory.end_page();
    }
}
