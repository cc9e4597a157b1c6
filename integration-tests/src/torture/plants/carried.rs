//! A profile that carries in itself what was read, as a receipt does: by values, which is weak as a value may come back; or by
//! revisions, which is what holds. That one is no bug: it shows that what is found of books is found for their rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use stickystore_core::{
    AsyncStore, AsyncStoreExt as _, Entry, Epoch, EpochCheck, Profile, Result, Value, Write,
};
use stickystore_services::Settings;

use super::super::profiles::{BucketMap, Profiles, Reported};
use super::bookkeeping::{Proof, bucket_map, change, parsed, reported};

/// By what an entry is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    ByValue,
    ByRevision,
}

/// Under which keys it is carried: in a map that was fetched, which may be laid over another, and in one that was looked up.
const FETCHED: &str = "fetched";
const LOOKED_UP: &str = "looked up";

/// Profiles whose saves are proved by what they carry.
#[derive(Debug)]
pub(crate) struct Carrier {
    store: Arc<dyn AsyncStore>,
    settings: Settings,
    known: Known,
}

/// What a map carries.
#[derive(Debug)]
struct Carried {
    /// By key, what was shown there.
    shown: BTreeMap<String, Json>,
    epoch: Option<Epoch>,
}

impl Carrier {
    pub(crate) fn new(store: Arc<dyn AsyncStore>, settings: Settings, known: Known) -> Self {
        Self { store, settings, known }
    }

    async fn load(&self, user: &str) -> Result<Profile> {
        self.store.load(self.settings.call(), &self.settings.subject(user)?).await
    }

    async fn hand_out(&self, user: &str, under: &str) -> Result<BucketMap> {
        let profile = self.load(user).await?;
        let shown: BucketMap =
            profile.entries().map(|(key, entry)| (key.as_str().to_owned(), self.known.mark(entry))).collect();
        let epoch = profile.epoch().map(|epoch| epoch.to_string());
        let mut map = bucket_map(profile);
        map.insert(under.to_owned(), json!({ "shown": shown, "epoch": epoch }));
        Ok(map)
    }
}

impl Known {
    /// What an entry is known by.
    fn mark(self, entry: &Entry) -> Json {
        match self {
            Self::ByValue => parsed(entry)["variation_id"].clone(),
            Self::ByRevision => json!(entry.revision.to_string()),
        }
    }

    /// What the carried mark proves, where this stands now.
    fn proof(self, carried: Option<&Json>, standing: Option<&Entry>, saved: &Json) -> Proof {
        match (carried, standing) {
            (None, _) => Proof::Absent,
            (Some(carried), Some(standing))
                if self.mark(standing) == *carried && parsed(standing) != *saved =>
            {
                Proof::Held(standing.revision)
            }
            _ => Proof::Kept,
        }
    }
}

impl Carried {
    /// Takes it out of the map.
    fn take(map: &mut BucketMap) -> Self {
        // What was fetched has been laid over what was looked up.
        let [under, over] = [LOOKED_UP, FETCHED].map(|key| map.remove(key));
        let shown = [&under, &over].into_iter().flatten().filter_map(|carried| carried["shown"].as_object());
        let shown = shown.flatten().map(|(key, mark)| (key.clone(), mark.clone())).collect();
        let epoch = over.or(under).and_then(|carried| Epoch::parse(carried["epoch"].as_str()?).ok());
        Self { shown, epoch }
    }
}

#[async_trait]
impl Profiles for Carrier {
    async fn lookup(&self, user: &str) -> Result<BucketMap> {
        self.hand_out(user, LOOKED_UP).await
    }

    async fn bucket_map(&self, user: &str) -> Result<BucketMap> {
        self.hand_out(user, FETCHED).await
    }

    async fn save(&self, user: &str, mut map: BucketMap, changed: &[String]) -> Result<Reported> {
        let carried = Carried::take(&mut map);
        let standing = self.load(user).await?;
        let call = self.settings.call();
        let expiry = self.settings.expiry(call.now)?;
        let changes = map.iter().filter_map(|(key, value)| {
            let new = Entry::new(Value::new(value.to_string()).unwrap(), expiry);
            change(key, new, self.known.proof(carried.shown.get(key), standing.get(key), value))
        });
        let changes = changes.collect();
        let write = Write::new(self.settings.subject(user)?, EpochCheck::Is(carried.epoch), changes)?;
        let answers = self.store.write_one(call, write.clone()).await;
        Ok(reported(&write, answers, changed))
    }
}
