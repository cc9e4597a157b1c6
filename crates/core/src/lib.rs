#![doc = include_str!("lib.md")]

pub mod codec;
pub mod decide;
pub mod json;
pub mod memory;
pub mod options;

mod async_store;
#[cfg(feature = "blocking")]
mod blocking;
mod call;
mod detach;
mod entry;
mod error;
mod forward;
mod id;
mod immediate;
mod info;
mod near;
mod outcome;
mod profile;
mod revision;
mod scan;
mod store;
mod time;
mod value;

pub use async_store::{AsyncScan, AsyncStore, AsyncStoreExt};
/// The attribute that an implementation of [`AsyncStore`] needs.
pub use async_trait::async_trait;
#[cfg(feature = "blocking")]
pub use blocking::Blocking;
pub use call::{Call, Change, EpochCheck, Erase, KeySet, Keys, MAX_CHANGES, Mark, Read, Write};
pub use codec::Damage;
pub use decide::decide;
pub use detach::{Detach, Detaching};
pub use entry::{Entry, Unknown, ValueHash, Was};
pub use error::{Effect, Error, ErrorKind, Operation, Result};
pub use id::{Key, MAX_ID_BYTES, Namespace, Subject, UserId};
pub use immediate::Immediate;
pub use info::{Eviction, Finding, Limits, Loss, Scope, Severity, Sharing, StoreInfo};
pub use outcome::Outcome;
pub use profile::{Damaged, IntoEntries, Profile};
pub use revision::{Epoch, ID64_TEXT_LEN, Revision};
pub use scan::{Cursor, Page};
pub use store::{Scan, Store, StoreExt};
pub use time::{Clock, Expiry, ManualClock, SystemClock, Ttl, UnixMillis};
pub use value::Value;
