//! The hook of GrowthBook's Rust SDK, and what it tells of failures, which the SDK's trait has no words for.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use growthbook_rust::model_public::{GrowthBookAttribute, GrowthBookAttributeValue};
use growthbook_rust::sticky_bucket;
use stickystore_core::{Error, Result, Store};

use super::StickyBucketService;
use super::document::Document;
use crate::report::SaveReport;

/// What GrowthBook's Rust SDK takes as its sticky bucket service; made by [`StickyBucketService::into_hook`]. Clones
/// share the observer.
///
/// A read that fails is no assignments to the SDK: it buckets the user anew, decides by that, and saves it; the save only
/// adds, so what was assigned before stays and is found by the next read that succeeds. The SDK decides without waiting
/// to be told what became of its save: of two processes that bucket one user at once by different rules, both decide by
/// their own, once.
///
/// It reads and writes on the thread that decides, for up to the deadline of the [`Settings`](crate::Settings) each: once
/// for the hash attribute, once more for a fallback attribute, once for what is new.
///
/// The SDK (0.4) looks through a user's assignments in no order and stops at the first that decides: who has one below
/// an experiment's `minBucketVersion` and one of the current version is in the experiment at one decision and out of it
/// at the next, whatever keeps the assignments, the SDK's own memory included.
pub struct Hook<S> {
    service: StickyBucketService<S>,
    observer: Arc<dyn Fn(Event<'_>) + Send + Sync>,
}

/// Something that the SDK does not hear of.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Event<'a> {
    /// The name of the attribute whose assignments it was about.
    pub attribute_name: &'a str,
    /// Its value.
    pub attribute_value: &'a str,
    /// What happened.
    pub told: Told<'a>,
}

/// What happened to a read or a save of a [`Hook`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Told<'a> {
    /// The read failed: the SDK was given nothing.
    ReadFailed(&'a Error),
    /// The read found damaged or foreign entries: the SDK was given the others.
    ReadPartly(&'a Document),
    /// The save was refused as a whole.
    SaveFailed(&'a Error),
    /// The save was done as far as it could be: [`SaveReport::error`] says whether an assignment failed.
    Saved(&'a SaveReport),
}

impl<S: Store> StickyBucketService<S> {
    /// The same as GrowthBook's Rust SDK takes it. The observer is told of each failed read and of each save, on the
    /// thread that decides.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use stickystore_core::{Namespace, memory::MemoryStore};
    /// use stickystore_services::{Settings, growthbook::{StickyBucketService, Told}};
    ///
    /// let service = StickyBucketService::new(MemoryStore::new(), Settings::new(Namespace::new("shop")?));
    /// let hook = service.into_hook(|event| match event.told {
    ///     Told::ReadFailed(error) | Told::SaveFailed(error) => eprintln!("{error}"),
    ///     Told::Saved(report) if report.error().is_some() => eprintln!("{}", report.to_json()),
    ///     _ => {}
    /// });
    /// let client = growthbook_rust::client::GrowthBookClientBuilder::new().sticky_bucket_service(Arc::new(hook));
    /// # let _ = client;
    /// # Ok::<(), stickystore_core::Error>(())
    /// ```
    pub fn into_hook(self, observer: impl Fn(Event<'_>) + Send + Sync + 'static) -> Hook<S> {
        Hook { service: self, observer: Arc::new(observer) }
    }
}

impl<S: Store> Hook<S> {
    fn tell(&self, attribute_name: &str, attribute_value: &str, told: Told<'_>) {
        (self.observer)(Event { attribute_name, attribute_value, told });
    }

    /// What the SDK is given of a read; what it is not given, the observer is told.
    fn given(&self, name: &str, value: &str, read: Result<Document>) -> BTreeMap<String, String> {
        match read {
            Ok(document) => {
                if document.damaged() + document.foreign() > 0 {
                    self.tell(name, value, Told::ReadPartly(&document));
                }
                document.into_assignments()
            }
            Err(error) => {
                self.tell(name, value, Told::ReadFailed(&error));
                BTreeMap::new()
            }
        }
    }
}

impl<S: Store> sticky_bucket::StickyBucketService for Hook<S> {
    /// Nothing if there are no assignments, or if the read failed.
    fn get_assignments(
        &self,
        attribute_name: &str,
        attribute_value: &str,
    ) -> Option<HashMap<String, String>> {
        let read = self.service.document(attribute_name, attribute_value);
        let given = self.given(attribute_name, attribute_value, read);
        (!given.is_empty()).then(|| given.into_iter().collect())
    }

    fn save_assignments(
        &self,
        attribute_name: &str,
        attribute_value: &str,
        assignments: HashMap<String, String>,
    ) {
        let saved = self.service.save(attribute_name, attribute_value, assignments);
        let told = saved.as_ref().map_or_else(Told::SaveFailed, Told::Saved);
        self.tell(attribute_name, attribute_value, told);
    }

    /// Those of all attributes that a user can be bucketed by, by one read of the store. Where two attributes have the
    /// same experiment, the one whose name is last in the order of bytes counts. The SDK (0.4) does not call it itself.
    fn get_all_assignments(
        &self,
        attributes: &HashMap<String, GrowthBookAttribute>,
    ) -> HashMap<String, String> {
        let hashable =
            attributes.iter().filter_map(|(name, attribute)| Some((name, text(&attribute.value)?)));
        let hashable: BTreeMap<_, _> = hashable.collect();
        let pairs = || hashable.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let read = self.service.documents(pairs());
        pairs().zip(read).flat_map(|((name, value), read)| self.given(name, value, read)).collect()
    }
}

impl<S: Clone> Clone for Hook<S> {
    fn clone(&self) -> Self {
        Self { service: self.service.clone(), observer: Arc::clone(&self.observer) }
    }
}

impl<S: fmt::Debug> fmt::Debug for Hook<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook").field("service", &self.service).finish_non_exhaustive()
    }
}

/// The text by which a value is hashed and kept; nothing for what the SDK never hashes.
fn text(value: &GrowthBookAttributeValue) -> Option<String> {
    let hashable = match value {
        GrowthBookAttributeValue::String(text) => !text.is_empty(),
        GrowthBookAttributeValue::Int(number) => *number != 0,
        GrowthBookAttributeValue::Float(number) => *number != 0.0 && number.is_finite(),
        _ => false,
    };
    hashable.then(|| value.to_string())
}
