//! Bookkeeping in the place of a receipt: the process remembers what it answered, and guesses at a save which of its answers
//! the saver had (`rules`).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use stickystore_core::{
    AsyncStore, AsyncStoreExt as _, Change, Entry, EpochCheck, Key, Outcome, Profile, Result, Value, Write,
};
use stickystore_services::Settings;

use super::super::log::Told;
use super::super::profiles::{BucketMap, Profiles, Reported, effect, token};

mod rules;

pub(crate) use rules::Books;
pub(super) use rules::Proof;
use rules::{Looked, epoch, is_bucketed};

/// How many lookups are remembered of a user, a thread or a task: few, so that some requests outlive what is remembered of them.
const REMEMBERED: usize = 4;

/// Profiles whose saves are proved by books.
#[derive(Debug)]
pub(crate) struct Bookkeeper {
    store: Arc<dyn AsyncStore>,
    settings: Settings,
    books: Books,
    /// Newest last.
    looked: Mutex<HashMap<Shelf, VecDeque<Looked>>>,
}

/// With whom or what lookups are remembered.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Shelf {
    User(String),
    Thread(ThreadId),
    /// Nothing where no task runs.
    Task(Option<tokio::task::Id>),
}

impl Bookkeeper {
    pub(crate) fn new(store: Arc<dyn AsyncStore>, settings: Settings, books: Books) -> Self {
        Self { store, settings, books, looked: Mutex::default() }
    }

    /// Where a call that is made here and now finds what is remembered.
    fn shelf(&self, user: &str) -> Shelf {
        match self.books {
            Books::ThreadLocal => Shelf::Thread(std::thread::current().id()),
            Books::TaskLocal => Shelf::Task(tokio::task::try_id()),
            _ => Shelf::User(user.to_owned()),
        }
    }

    fn remember(&self, looked: Looked) {
        let mut shelves = self.looked.lock().unwrap();
        let shelf = shelves.entry(self.shelf(&looked.user)).or_default();
        shelf.push_back(looked);
        while shelf.len() > REMEMBERED {
            shelf.pop_front();
        }
    }

    /// What a save of this map is charged with.
    fn charge(&self, user: &str, map: &BucketMap) -> Vec<Looked> {
        let mut shelves = self.looked.lock().unwrap();
        self.books.charge(shelves.entry(self.shelf(user)).or_default(), user, map)
    }
}

#[async_trait]
impl Profiles for Bookkeeper {
    async fn lookup(&self, user: &str) -> Result<BucketMap> {
        let answer = self.store.load(self.settings.call(), &self.settings.subject(user)?).await;
        self.remember(Looked { user: user.to_owned(), answer: answer.as_ref().ok().cloned() });
        Ok(bucket_map(answer?))
    }

    async fn bucket_map(&self, user: &str) -> Result<BucketMap> {
        self.lookup(user).await
    }

    async fn save(&self, user: &str, map: BucketMap, changed: &[String]) -> Result<Reported> {
        let charged = self.charge(user, &map);
        let call = self.settings.call();
        let expiry = self.settings.expiry(call.now)?;
        let changes = map.iter().filter_map(|(key, value)| {
            let new = Entry::new(Value::new(value.to_string()).unwrap(), expiry);
            change(key, new, self.books.proof(&charged, key, value))
        });
        let changes = changes.collect();
        let write = Write::new(self.settings.subject(user)?, EpochCheck::Is(epoch(&charged)), changes)?;
        let answers = self.store.write_one(call, write.clone()).await;
        Ok(reported(&write, answers, changed))
    }

    /// It is the process that has it.
    fn is_proof_in_map(&self) -> bool {
        false
    }
}

/// The entries of a profile that are this SDK's.
pub(super) fn bucket_map(profile: Profile) -> BucketMap {
    let entries = profile.into_iter().filter(|(key, _)| is_bucketed(key.as_str()));
    entries.map(|(key, entry)| (key.as_str().to_owned(), parsed(&entry))).collect()
}

/// What a proof allows.
pub(super) fn change(key: &str, new: Entry, proof: Proof) -> Option<Change> {
    let key = Key::new(key).unwrap();
    match proof {
        Proof::Absent => Some(Change::Insert(key, new)),
        Proof::Held(was) => Some(Change::Replace(key, was, new)),
        Proof::Kept => None,
    }
}

/// What became of those that have changed.
pub(super) fn reported(write: &Write, answers: Vec<Result<Outcome>>, changed: &[String]) -> Reported {
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
    reported
}

pub(super) fn parsed(entry: &Entry) -> Json {
    serde_json::from_str(entry.value.as_str()).unwrap_or_else(|_| json!(null))
}
