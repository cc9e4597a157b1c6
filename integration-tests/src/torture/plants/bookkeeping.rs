//! Bookkeeping in the place of a receipt: the process remembers what it answered, and guesses at a save which of its answers
//! the saver had. GUARD has the traces that break each of them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use stickystore_core::{
    AsyncStore, AsyncStoreExt as _, Change, Entry, Epoch, EpochCheck, Key, Outcome, Profile, Result, Value,
    Write,
};
use stickystore_services::Settings;

use super::super::log::Told;
use super::super::profiles::{BucketMap, Profiles, Reported, effect, token};

/// How many answers are remembered for a user.
const REMEMBERED: usize = 16;

/// How a save is matched with a lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Books {
    /// Any lookup that is remembered had it.
    AnyMatch,
    /// The oldest lookup is the save's, and is used up.
    Fifo,
    /// The last one is, if it did not fail: what a thread's own variable says where many requests share the thread.
    LastLookup,
    /// None: the profile carries what was read, but the values and not the revisions.
    Values,
}

/// Under which key the profile carries them.
const CARRIED: &str = "stickystore";

/// Profiles whose saves are proved by books.
#[derive(Debug)]
pub(crate) struct Bookkeeper {
    store: Arc<dyn AsyncStore>,
    settings: Settings,
    books: Books,
    /// By user: what was answered, newest last; nothing where it failed.
    answered: Mutex<HashMap<String, VecDeque<Option<Profile>>>>,
}

impl Bookkeeper {
    pub(crate) fn new(store: Arc<dyn AsyncStore>, settings: Settings, books: Books) -> Self {
        Self { store, settings, books, answered: Mutex::default() }
    }

    fn remember(&self, user: &str, answer: Option<Profile>) {
        let mut answered = self.answered.lock().unwrap();
        let answered = answered.entry(user.to_owned()).or_default();
        answered.push_back(answer);
        while answered.len() > REMEMBERED {
            answered.pop_front();
        }
    }

    /// What the saver is taken to have read.
    async fn read(&self, user: &str, map: &BucketMap) -> Result<Vec<Profile>> {
        if self.books != Books::Values {
            return Ok(self.remembered(user));
        }
        // What stands now, where its value is the one that was read.
        let carried = map.get(CARRIED).and_then(|carried| carried.get("values"));
        let call = self.settings.call();
        let stored = self.store.load(call, &self.settings.subject(user)?).await?;
        let epoch = carried_epoch(map);
        let has_value = |key: &Key, entry: &Entry| {
            let was = carried.and_then(|carried| carried.get(key.as_str()));
            was.is_some_and(|was| Some(was) == parsed(entry).get("variation_id"))
        };
        let same = stored.into_iter().filter(|(key, entry)| has_value(key, entry));
        Ok(vec![Profile::new(epoch, same, Vec::new(), call.now)])
    }

    fn remembered(&self, user: &str) -> Vec<Profile> {
        let mut answered = self.answered.lock().unwrap();
        let answered = answered.entry(user.to_owned()).or_default();
        match self.books {
            Books::AnyMatch => answered.iter().rev().flatten().cloned().collect(),
            Books::Fifo => answered.pop_front().flatten().into_iter().collect(),
            Books::LastLookup => answered.back().cloned().flatten().into_iter().collect(),
            Books::Values => Vec::new(),
        }
    }
}

#[async_trait]
impl Profiles for Bookkeeper {
    async fn lookup(&self, user: &str) -> Result<BucketMap> {
        let read = self.store.load(self.settings.call(), &self.settings.subject(user)?).await;
        self.remember(user, read.as_ref().ok().cloned());
        let read = read?;
        let epoch = read.epoch().map(|epoch| epoch.to_string());
        let entries = read.into_iter().filter(|(key, _)| key.as_str().starts_with('e'));
        let mut map: BucketMap =
            entries.map(|(key, entry)| (key.as_str().to_owned(), parsed(&entry))).collect();
        if self.books == Books::Values {
            let values: BucketMap =
                map.iter().map(|(key, entry)| (key.clone(), entry["variation_id"].clone())).collect();
            map.insert(
                CARRIED.to_owned(),
                json!({ "variation_id": CARRIED, "values": values, "epoch": epoch }),
            );
        }
        Ok(map)
    }

    async fn bucket_map(&self, user: &str) -> Result<BucketMap> {
        self.lookup(user).await
    }

    async fn save(&self, user: &str, map: BucketMap, changed: &[String]) -> Result<Reported> {
        let read = self.read(user, &map).await?;
        let call = self.settings.call();
        let changes = map.iter().filter(|(key, _)| *key != CARRIED).filter_map(|(key, value)| {
            let new =
                Entry::new(Value::new(value.to_string()).unwrap(), self.settings.expiry(call.now).unwrap());
            let was = read.iter().filter_map(|profile| profile.get(key));
            let mut was = was.filter(|entry| parsed(entry) != *value);
            let is_untouched =
                read.iter().any(|profile| profile.get(key).is_some_and(|entry| parsed(entry) == *value));
            let key = Key::new(key.as_str()).unwrap();
            match was.next() {
                _ if is_untouched => None,
                Some(was) => Some(Change::Replace(key, was.revision, new)),
                None => Some(Change::Insert(key, new)),
            }
        });
        let changes: Vec<_> = changes.collect();
        let epoch = EpochCheck::Is(read.first().and_then(Profile::epoch));
        let write = Write::new(self.settings.subject(user)?, epoch, changes)?;
        let answers = self.store.write_one(call, write.clone()).await;
        let mut reported: Reported = changed.iter().map(|key| (key.clone(), (Told::Refused, None))).collect();
        for (change, answer) in write.changes().iter().zip(answers) {
            if let Some(told) = reported.get_mut(change.key().as_str()) {
                *told = match answer {
                    Ok(Outcome::Inserted | Outcome::Replaced) => (Told::Acknowledged, None),
                    Ok(Outcome::Kept(winner)) => (Told::Refused, token(winner.value.as_str())),
                    Ok(_) => (Told::Refused, None),
                    Err(error) => (effect(&error), None),
                };
            }
        }
        Ok(reported)
    }
}

/// The epoch that a profile carries.
fn carried_epoch(map: &BucketMap) -> Option<Epoch> {
    Epoch::parse(map.get(CARRIED)?.get("epoch")?.as_str()?).ok()
}

fn parsed(entry: &Entry) -> Json {
    serde_json::from_str(entry.value.as_str()).unwrap_or_else(|_| json!(null))
}
