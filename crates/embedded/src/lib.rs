//! A stickystore in one file: no server, ACID, on [redb](https://docs.rs/redb).
//!
//! URL: `embedded:/path/to/file?grace=60s` ([`Config::from_url`]).
//!
//! **What an acknowledged write survives:** the end of the process, also by kill -9, and power loss: the disk is synced
//! before the answer. Concurrent writes share a sync. One process at a time has the file open; a second one is told
//! so, and which file. Inserts have one winner among all threads of that process.
//!
//! | to find | look at |
//! |---|---|
//! | the blocking API | [`EmbeddedStore`] |
//! | the async API, over the same open file | [`AsyncEmbeddedStore`] |
//! | path and options | [`Config`] |
//! | what stands in the file | `docs/layout.md` |
//!
//! ```
//! use std::time::Duration;
//! use stickystore_core::{Call, Entry, EpochCheck, Expiry, Key, Namespace, Outcome, Store, StoreExt, Subject};
//! use stickystore_core::{SystemClock, UserId, Value};
//! use stickystore_embedded::{Config, EmbeddedStore};
//!
//! # let folder = std::env::temp_dir().join(format!("stickystore-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder).unwrap();
//! # let path = folder.join("sticky.redb");
//! let store = EmbeddedStore::open(Config::new(&path))?;
//! let call = Call::within(&SystemClock, Duration::from_secs(5));
//! let user = Subject::new(Namespace::new("shop")?, UserId::new("ann")?);
//! let red = Entry::new(Value::string("red"), Expiry::Never);
//! let first = store.insert(call, &user, EpochCheck::Is(None), Key::new("button")?, red.clone())?;
//! assert_eq!(first, Outcome::Inserted);
//! store.close(call)?;
//!
//! // Another process, another day.
//! let store = EmbeddedStore::open(Config::new(&path))?;
//! assert_eq!(store.get(call, &user, &Key::new("button")?)?, Some(red));
//! # drop(store);
//! # std::fs::remove_dir_all(&folder).unwrap();
//! # Ok::<(), stickystore_core::Error>(())
//! ```

mod async_store;
mod commit;
mod config;
mod diagnose;
mod disk;
mod error;
mod file;
mod layout;
mod queue;
mod rows;
mod shared;
mod store;

pub use async_store::AsyncEmbeddedStore;
pub use config::{CACHE_BYTES, Config, GRACE};
pub use store::EmbeddedStore;

/// The store's name in URLs and errors.
const SCHEME: &str = "embedded";

#[cfg(test)]
mod tests;
