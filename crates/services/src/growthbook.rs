//! GrowthBook's Sticky Bucket Service: the assignments of an attribute's value, in the document of its SDKs.
//!
//! Contract: an SDK reads the assignments of its hash attribute, as `id` = `ann`, before a decision, those of the fallback
//! attribute if there are none, and saves after it what it newly assigned. Its read cannot say "failed": a failed one
//! looks like a user without assignments, whom it buckets anew. So a save here only ever adds:
//!
//! | what a save has | what stands there | becomes |
//! |---|---|---|
//! | an assignment | nothing | inserted, unless the user was erased within the last 15 minutes |
//! | the same | the same variation | nothing |
//! | another variation, or a whole document of long ago | whatever it is | stays, and the report says so |
//! | another variation | one that is [retired](Settings::with_retired) | replaced |
//!
//! That is the whole rule, since GrowthBook itself re-buckets by another key: a key is `<experiment>__<bucket version>`,
//! and who wants new variations raises the version. What a save does not have stays: a delta and a whole document are the
//! same to it.
//!
//! A value is the variation's key, as the SDK wrote it. GrowthBook's Rust SDK (0.4) writes the variation's index and reads
//! nothing else; its JavaScript SDK writes the key, which is the index unless somebody named it. An assignment that an
//! SDK cannot read it buckets anew, on each decision: what was assigned stays in the store, and each report says so.
//!
//! Entries of another shape, as those of another SDK's service, are not handed out and never overwritten: give each SDK a
//! namespace of its own.

use std::collections::BTreeMap;

use stickystore_core::{AsyncStore, AsyncStoreExt as _, Result, Store, StoreExt as _};

use crate::report::SaveReport;
use crate::settings::Settings;

mod document;
#[cfg(feature = "growthbook")]
mod hook;
mod lookup;
mod save;
mod user;

pub use document::Document;
#[cfg(feature = "growthbook")]
pub use hook::{Event, Hook, Told};
use lookup::Lookup;
use save::{Save, Step};
pub use user::user_id;

/// The Sticky Bucket Service over a blocking store.
///
/// ```
/// use stickystore_core::{Namespace, memory::MemoryStore};
/// use stickystore_services::{Settings, growthbook::StickyBucketService};
///
/// let service = StickyBucketService::new(MemoryStore::new(), Settings::new(Namespace::new("shop")?));
/// service.save("id", "ann", [("button__0", "1")])?;
/// assert_eq!(service.assignments("id", "ann")?["button__0"], "1");
///
/// // Who could not read, and so bucketed again, changes nothing.
/// let report = service.save("id", "ann", [("button__0", "0")])?;
/// assert_eq!(
///     report.to_json(),
///     r#"{"entries":{"button__0":{"outcome":"kept","why":"unproven","winner":"1"}}}"#
/// );
/// # Ok::<(), stickystore_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct StickyBucketService<S> {
    store: S,
    settings: Settings,
}

impl<S: Store> StickyBucketService<S> {
    /// The service over this store.
    pub fn new(store: S, settings: Settings) -> Self {
        Self { store, settings }
    }

    /// The assignments of this attribute's value, by `<experiment>__<bucket version>`; empty if there are none.
    ///
    /// # Errors
    /// Those of [`document`](Self::document).
    pub fn assignments(&self, name: &str, value: &str) -> Result<BTreeMap<String, String>> {
        Ok(self.document(name, value)?.into_assignments())
    }

    /// The same, with how many entries could not be handed out.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](stickystore_core::ErrorKind::Invalid) if the attribute's [`user_id`] is too long, else what
    /// the store answers. The SDKs' hooks cannot say "failed": whoever feeds one has to decide what it gets.
    pub fn document(&self, name: &str, value: &str) -> Result<Document> {
        lookup::only(self.documents([(name, value)]))
    }

    /// The documents of all these attributes, names with values, in their order, by one read of the store.
    pub fn documents<'a>(
        &self,
        attributes: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Vec<Result<Document>> {
        let lookup = Lookup::new(&self.settings, attributes);
        let read = match lookup.reads() {
            [] => Vec::new(),
            reads => self.store.read(lookup.call(), reads),
        };
        lookup.answer(read, &self.settings)
    }

    /// [`document`](Self::document) as the SDK's JSON; `null` if there are no assignments.
    ///
    /// # Errors
    /// Those of [`document`](Self::document).
    pub fn document_json(&self, name: &str, value: &str) -> Result<String> {
        Ok(self.document(name, value)?.to_json())
    }

    /// Saves assignments, `<experiment>__<bucket version>` with the variation's key: what is not there yet is added, and
    /// nothing else is changed.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](stickystore_core::ErrorKind::Invalid) if the attribute's [`user_id`] is too long. What
    /// becomes of each assignment, failures included, is in the report.
    pub fn save<K: Into<String>, V: Into<String>>(
        &self,
        name: &str,
        value: &str,
        assignments: impl IntoIterator<Item = (K, V)>,
    ) -> Result<SaveReport> {
        self.save_document(&Document::new(name, value).with(assignments))
    }

    /// Saves what this document has, as [`save`](Self::save) does.
    ///
    /// # Errors
    /// Those of [`save`](Self::save).
    pub fn save_document(&self, document: &Document) -> Result<SaveReport> {
        Ok(self.save_uncounted(document)?.counted("growthbook"))
    }

    /// Where something else counts what becomes of it.
    pub(crate) fn save_uncounted(&self, document: &Document) -> Result<SaveReport> {
        let mut save = Save::new(document, &self.settings)?;
        loop {
            match save.next()? {
                Step::Read(call, read) => save.was_read(&self.store.read_one(call, read)),
                Step::Write(call, write) => save.was_written(self.store.write_one(call, write)),
                Step::Done(report) => return Ok(report),
            }
        }
    }

    /// [`save_document`](Self::save_document) of the SDK's JSON.
    ///
    /// # Errors
    /// Those of [`Document::parse`] and of [`save`](Self::save).
    pub fn save_json(&self, document: &str) -> Result<SaveReport> {
        self.save_document(&Document::parse(document)?)
    }
}

/// The Sticky Bucket Service over an async store; the same as [`StickyBucketService`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), stickystore_core::Error> {
/// use stickystore_core::{Immediate, Namespace, memory::MemoryStore};
/// use stickystore_services::{Settings, growthbook::AsyncStickyBucketService};
///
/// let store = Immediate::new(MemoryStore::new());
/// let service = AsyncStickyBucketService::new(store, Settings::new(Namespace::new("shop")?));
/// service.save("id", "ann", [("button__0", "1")]).await?;
/// assert_eq!(
///     service.document_json("id", "ann").await?,
///     r#"{"attributeName":"id","attributeValue":"ann","assignments":{"button__0":"1"}}"#
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct AsyncStickyBucketService<S> {
    store: S,
    settings: Settings,
}

impl<S: AsyncStore> AsyncStickyBucketService<S> {
    /// The service over this store.
    pub fn new(store: S, settings: Settings) -> Self {
        Self { store, settings }
    }

    /// See [`StickyBucketService::assignments`].
    ///
    /// # Errors
    /// As there.
    pub async fn assignments(&self, name: &str, value: &str) -> Result<BTreeMap<String, String>> {
        Ok(self.document(name, value).await?.into_assignments())
    }

    /// See [`StickyBucketService::document`].
    ///
    /// # Errors
    /// As there.
    pub async fn document(&self, name: &str, value: &str) -> Result<Document> {
        lookup::only(self.documents([(name, value)]).await)
    }

    /// See [`StickyBucketService::documents`].
    pub async fn documents<'a>(
        &self,
        attributes: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Vec<Result<Document>> {
        let lookup = Lookup::new(&self.settings, attributes);
        let read = match lookup.reads() {
            [] => Vec::new(),
            reads => self.store.read_many(lookup.call(), reads).await,
        };
        lookup.answer(read, &self.settings)
    }

    /// See [`StickyBucketService::document_json`].
    ///
    /// # Errors
    /// As there.
    pub async fn document_json(&self, name: &str, value: &str) -> Result<String> {
        Ok(self.document(name, value).await?.to_json())
    }

    /// See [`StickyBucketService::save`].
    ///
    /// # Errors
    /// As there.
    pub async fn save<K: Into<String>, V: Into<String>>(
        &self,
        name: &str,
        value: &str,
        assignments: impl IntoIterator<Item = (K, V)>,
    ) -> Result<SaveReport> {
        self.save_document(&Document::new(name, value).with(assignments)).await
    }

    /// See [`StickyBucketService::save_document`].
    ///
    /// # Errors
    /// As there.
    pub async fn save_document(&self, document: &Document) -> Result<SaveReport> {
        let mut save = Save::new(document, &self.settings)?;
        loop {
            match save.next()? {
                Step::Read(call, read) => save.was_read(&self.store.read_one(call, read).await),
                Step::Write(call, write) => save.was_written(self.store.write_one(call, write).await),
                Step::Done(report) => return Ok(report.counted("growthbook")),
            }
        }
    }

    /// See [`StickyBucketService::save_json`].
    ///
    /// # Errors
    /// As there.
    pub async fn save_json(&self, document: &str) -> Result<SaveReport> {
        self.save_document(&Document::parse(document)?).await
    }
}
