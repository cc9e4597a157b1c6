//! Write-behind: saves that do not wait for the store. Feature `write-behind`; async only.
//!
//! [`WriteBehind`] takes writes into a bounded queue and sends them in the background: in order for each user, what waits of
//! one user in one write, many users in one call.
//!
//! ```
//! use std::time::Duration;
//! use stickystore_core::memory::MemoryStore;
//! use stickystore_core::{
//!     AsyncStoreExt as _, Call, Change, Entry, EpochCheck, Expiry, Immediate, Key, Namespace, Outcome, Subject,
//!     SystemClock, UserId, Value, Write,
//! };
//! use stickystore_layers::write_behind::WriteBehind;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> stickystore_core::Result<()> {
//! let call = || Call::within(&SystemClock, Duration::from_secs(60));
//! let store = WriteBehind::over(Immediate::new(MemoryStore::new())).start(call()).await?;
//!
//! let ann = Subject::new(Namespace::new("shop")?, UserId::new("ann")?);
//! let epoch = store.load(call(), &ann).await?.epoch();
//! let red = Change::Insert(Key::new("button")?, Entry::new(Value::string("red"), Expiry::Never));
//! let queued = store.enqueue(call(), Write::new(ann.clone(), EpochCheck::Is(epoch), vec![red])?).await?;
//! // On this handle it is read back at once.
//! assert!(store.load(call(), &ann).await?.get("button").is_some());
//! // Whoever wants to know what became of it waits.
//! assert_eq!(queued.outcomes(call()).await.remove(0)?, Outcome::Inserted);
//!
//! let report = store.shutdown(call()).await;
//! assert!(report.is_clean(), "{report}");
//! # Ok(())
//! # }
//! ```
//!
//! # What is told when
//! - [`enqueue`](WriteBehind::enqueue) answers [`Queued`], which is no [`Outcome`](stickystore_core::Outcome): nobody has judged
//!   the write, and it may come to nothing. Outcomes are the store's alone: from [`Queued::outcomes`], or in a [`Report`].
//! - The layer is a store, too. A *read* lies under what is queued, as far as the read itself does not say that the store
//!   will refuse it. A *write* through that face is the store's own word: it waits for what is queued for its users. An
//!   *erase* takes what is queued with it. A *scan* shows what the store has.
//! - What was not written is in a report, entry by entry: refused by a winner, erased, expired, failed, left behind. The last
//!   10 000 are kept for it, and what is beyond is counted.
//!
//! # Which way round
//! The queue stands around all other layers: `WriteBehind::over(layers.build())`. A cache inside it answers reads, which
//! lie under what is queued, and sees each write when it leaves. A cache around it could not: [`enqueue`](WriteBehind::enqueue) is no call of a
//! store, so that what was held would hide what is queued until its age has passed. Such a cache therefore holds nothing
//! ([`StoreInfo::shows_queued`](stickystore_core::StoreInfo::shows_queued)), every read passes through it, and `diagnose` says so.
//!
//! # What may be queued
//! Inserts that carry an epoch check, replacements and removals of a revision: what cannot undo anything that its writer has
//! not seen, however late it arrives, and can be sent again. Every attempt has the same revision, epoch check and expiry. A put
//! or a blind removal is refused.
//!
//! # When the store is down
//! What is queued is kept and tried again, with growing and random waits, until its queue age has passed; then it is reported
//! as failed. When the queue is full, callers wait until their deadline or are refused at once ([`WhenFull`]); nothing is
//! dropped to make room. With a [`Journal`], what is queued outlives the process.
//!
//! # When the journal does not answer
//! What could not be written down is not queued, and its caller is told. Where nobody knows whether its record stands, that is to
//! be taken out again ([`Depth::unforgotten`]). Until it is, it counts as one change and 256 bytes against the queue's bounds, so that
//! the queue of a journal that never answers gets full like that of a store, and its callers wait or are refused.
//!
//! # Metrics (feature `metrics`)
//!
//! | name | kind | labels | counts |
//! |---|---|---|---|
//! | `stickystore_behind_queued_total` | counter | `store` | changes that were queued, also again from the journal |
//! | `stickystore_behind_refused_total` | counter | `store`, `why` | writes that were not queued: `full`, `timeout`, `too-large`, `too-old`, `journal` |
//! | `stickystore_behind_written_total` | counter | `store`, `answer` | changes that are done: `inserted`, `replaced`, `removed`, `unchanged`, `was-absent` |
//! | `stickystore_behind_retries_total` | counter | `store` | changes that an attempt did not get written, and that are tried again |
//! | `stickystore_behind_failed_total` | counter | `store`, `kind` | changes that were given up, by the kind of the last error |
//! | `stickystore_behind_dropped_total` | counter | `store`, `why` | changes that were not written: `kept`, `gone`, `erased`, `expired`, `too-old`, `left` |
//! | `stickystore_behind_changes`, `stickystore_behind_bytes` | gauge | `store` | what is queued |
//! | `stickystore_behind_oldest_seconds` | gauge | `store` | for how long the oldest is |
//!
//! A `tracing` event on level WARN (target `stickystore`) says so when an attempt fails, and when something is left behind.
//! Neither ever has an identifier or a value in it.

mod enqueue;
mod face;
mod handle;
mod journal;
mod lane;
#[cfg(feature = "metrics")]
mod numbers;
#[cfg(not(feature = "metrics"))]
#[path = "write_behind/no_numbers.rs"]
mod numbers;
mod overlay;
mod queue;
mod record;
mod report;
mod settings;
mod settle;
mod tasks;

pub use enqueue::Queued;
pub use handle::{Depth, WriteBehind};
pub use journal::Journal;
pub use report::{DamagedRecord, Report, Unwritten, Why};
pub use settings::{Builder, WhenFull};
