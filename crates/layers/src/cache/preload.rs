//! Reading users before anybody asks for them.

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
    /// the age should be well beyond the time that it takes. Reads and writes may go on meanwhile, and what they hold stays.
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
        let mut done = Preloaded::default();
        match whom {
            Whom::Users(subjects) => {
                for page in subjects.chunks(PAGE) {
                    done.is_full = self.0.memory.is_full();
                    if done.is_full {
                        break;
                    }
                    let reads: Vec<_> = page.iter().cloned().map(Read::all).collect();
                    let answers = self.read(call, &reads).await;
                    done.users += answers.iter().filter(|answer| answer.is_ok()).count();
                    done.failed += answers.iter().filter(|answer| answer.is_err()).count();
                    progress(done);
                }
            }
            Whom::All(namespace) => {
                let mut cursor = None;
                loop {
                    done.is_full = self.0.memory.is_full();
                    if done.is_full {
                        break;
                    }
                    let page = self.0.page(call, namespace, cursor.as_ref()).await?;
                    done.users += page.users;
                    done.failed += page.foreign;
                    progress(done);
                    cursor = page.next;
                    if cursor.is_none() {
                        break;
                    }
                }
            }
        }
        Ok(done)
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
