//! VWO's User Storage Service: `get` and `set`, in the JSON of each of its SDKs.
//!
//! Contract: an SDK calls `get(userId, campaignKey)` before a decision and `set(record)` after it, and again with each
//! goal that is reached. A `get` that failed looks to most of them like a user without a record, and a `set` for a goal
//! leaves out what it does not know, other goals too. So a set here replaces only what its caller provably read and
//! changed, and else adds:
//!
//! | what the set has | what stands there | becomes |
//! |---|---|---|
//! | a record | nothing | inserted, unless the caller had read one that has gone since |
//! | goals | other goals | the union, in the order in which they came; whatever variation stands there |
//! | a field left out, or `null` | that field | stays |
//! | metadata, or a member of another name | no such field | added, if the variation is the same |
//! | another variation, metadata, member | what the caller had read | replaced |
//! | the same | what the caller had not read | stays, and the report says so |
//!
//! What proves a read is the [`Record`] that a `get` returned: it knows, privately, which entry it was made from. The
//! SDKs make the record that they set anew, so JSON proves nothing; who passes an SDK's record on can say which one it
//! had got before ([`Record::after`]), and where one service serves a whole process and can promise what that takes, a
//! [`Ledger`] proves it. Metadata is one field: members of two are never mixed.
//!
//! A set that proves nothing adds nothing while an erase mark of its user lives (15 minutes): it might have been under
//! way when the user was erased. One that proves a read, but not of what stands there now, adds only what its caller
//! changed since, and nothing if the user was erased since. An entry that has vanished since is not made anew.
//!
//! The record is stored under the key of its campaign, in Node's spelling, without the ids. Entries of another shape, as
//! those of another SDK's service, are not handed out and never overwritten: give each SDK a namespace of its own.

use stickystore_core::{
    AsyncStore, AsyncStoreExt as _, Call, Error, ErrorKind, Key, Keys, Profile, Read, Result, Store,
    StoreExt as _, Subject,
};

use crate::report::SaveReport;
use crate::settings::Settings;

mod content;
mod dialect;
mod goals;
mod ledger;
mod merge;
mod record;
mod set;

pub use dialect::Dialect;
use ledger::Asked;
pub use ledger::Ledger;
pub use record::{Record, Records};
pub(crate) use set::{Set, Step};

/// The User Storage Service over a blocking store.
///
/// ```
/// use stickystore_core::{Namespace, memory::MemoryStore};
/// use stickystore_services::{Settings, vwo::{Dialect, UserStorageService}};
///
/// let service = UserStorageService::new(MemoryStore::new(), Settings::new(Namespace::new("shop")?));
/// service.set_json(r#"{"userId":"ann","campaignKey":"c1","variationName":"red","goalIdentifier":"seen"}"#)?;
///
/// // Another SDK's record: its goal is added, whatever spelling it has.
/// let report = service.set_json(
///     r#"{"user_id":"ann","campaign_key":"c1","variation_name":"red","goal_identifier":"bought"}"#,
/// )?;
/// assert_eq!(report.to_json(), r#"{"entries":{"c1":{"outcome":"added","goals_added":["bought"]}}}"#);
/// assert_eq!(
///     service.get_json("ann", "c1", Dialect::Python)?,
///     r#"{"userId":"ann","campaignKey":"c1","variationName":"red","goalIdentifiers":"seen_vwo_bought"}"#
/// );
///
/// // The variation has left the campaign: what was read may be replaced.
/// let mut record = service.get("ann", "c1")?.expect("it was set");
/// record.set_variation_name("blue");
/// let report = service.set(&record)?;
/// assert_eq!(service.get("ann", "c1")?.expect("it was set").variation_name(), "blue");
/// # Ok::<(), stickystore_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct UserStorageService<S> {
    store: S,
    settings: Settings,
    ledger: Option<Ledger>,
}

impl<S: Store> UserStorageService<S> {
    /// The service over this store.
    pub fn new(store: S, settings: Settings) -> Self {
        Self { store, settings, ledger: None }
    }

    /// Proves the reads of sets that carry no proof by this ledger: **only if what it takes for granted is true**, see
    /// [`Ledger`].
    #[must_use]
    pub fn with_ledger(mut self, ledger: Ledger) -> Self {
        self.ledger = Some(ledger);
        self
    }

    /// The record of this user in this campaign, if there is one. An entry of another shape is none, nor is one whose
    /// variation is [retired](Settings::with_retired).
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if what stands there is damaged; else what the store answers. The SDKs' hooks cannot say
    /// "failed": whoever feeds one has to decide what it gets.
    pub fn get(&self, user_id: &str, campaign_key: &str) -> Result<Option<Record>> {
        let get = Get::new(&self.settings, self.ledger.as_ref(), user_id, campaign_key)?;
        let profile = self.store.read_one(get.call, get.read.clone())?;
        get.answer(profile, &self.settings)
    }

    /// [`get`](Self::get) as the SDK's JSON; `null` if there is no record.
    ///
    /// # Errors
    /// Those of [`get`](Self::get).
    pub fn get_json(&self, user_id: &str, campaign_key: &str, dialect: Dialect) -> Result<String> {
        Ok(json(self.get(user_id, campaign_key)?, dialect))
    }

    /// All records of this user, and how many entries are none.
    ///
    /// # Errors
    /// What the store answers.
    pub fn records(&self, user_id: &str) -> Result<Records> {
        let subject = self.settings.subject(user_id)?;
        let asked = Asked::new(self.ledger.as_ref(), &self.settings, &subject);
        let profile = self.store.load(self.settings.call(), &subject)?;
        Ok(all(&subject, profile, &self.settings, asked))
    }

    /// Sets a record: one of an SDK, or one that Rust code got from [`get`](Self::get) and changed. The report has one
    /// entry, under the campaign's key.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for an unusable user, campaign or variation. What becomes of the record, failures
    /// included, is in the report.
    pub fn set(&self, record: &Record) -> Result<SaveReport> {
        let mut set = Set::charged(record, &self.settings, self.ledger.as_ref())?;
        loop {
            match set.next()? {
                Step::Read(call, read) => set.was_read(self.store.read_one(call, read)),
                Step::Write(call, write) => set.was_written(only(self.store.write_one(call, write))),
                Step::Done(report) => return Ok(report),
            }
        }
    }

    /// [`set`](Self::set) of an SDK's JSON, in whatever spelling.
    ///
    /// # Errors
    /// Those of [`Record::parse`] and of [`set`](Self::set).
    pub fn set_json(&self, record: &str) -> Result<SaveReport> {
        self.set(&Record::parse(record)?)
    }
}

/// The User Storage Service over an async store; the same as [`UserStorageService`].
///
/// An SDK that gets synchronously and may set asynchronously, as Node's does, is served by one of each over one store:
/// a record that was got through one may be set through the other.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), stickystore_core::Error> {
/// use stickystore_core::{Immediate, Namespace, memory::MemoryStore};
/// use stickystore_services::{Settings, vwo::{AsyncUserStorageService, Record}};
///
/// let store = Immediate::new(MemoryStore::new());
/// let service = AsyncUserStorageService::new(store, Settings::new(Namespace::new("shop")?));
/// service.set(&Record::new("ann", "c1", "red")).await?;
/// assert_eq!(service.get("ann", "c1").await?.expect("it was set").variation_name(), "red");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct AsyncUserStorageService<S> {
    store: S,
    settings: Settings,
    ledger: Option<Ledger>,
}

impl<S: AsyncStore> AsyncUserStorageService<S> {
    /// The service over this store.
    pub fn new(store: S, settings: Settings) -> Self {
        Self { store, settings, ledger: None }
    }

    /// See [`UserStorageService::with_ledger`]. A get whose future is dropped has failed, as far as the ledger knows.
    #[must_use]
    pub fn with_ledger(mut self, ledger: Ledger) -> Self {
        self.ledger = Some(ledger);
        self
    }

    /// See [`UserStorageService::get`].
    ///
    /// # Errors
    /// As there.
    pub async fn get(&self, user_id: &str, campaign_key: &str) -> Result<Option<Record>> {
        let get = Get::new(&self.settings, self.ledger.as_ref(), user_id, campaign_key)?;
        let profile = self.store.read_one(get.call, get.read.clone()).await?;
        get.answer(profile, &self.settings)
    }

    /// See [`UserStorageService::get_json`].
    ///
    /// # Errors
    /// As there.
    pub async fn get_json(&self, user_id: &str, campaign_key: &str, dialect: Dialect) -> Result<String> {
        Ok(json(self.get(user_id, campaign_key).await?, dialect))
    }

    /// See [`UserStorageService::records`].
    ///
    /// # Errors
    /// As there.
    pub async fn records(&self, user_id: &str) -> Result<Records> {
        let subject = self.settings.subject(user_id)?;
        let asked = Asked::new(self.ledger.as_ref(), &self.settings, &subject);
        let profile = self.store.load(self.settings.call(), &subject).await?;
        Ok(all(&subject, profile, &self.settings, asked))
    }

    /// See [`UserStorageService::set`].
    ///
    /// # Errors
    /// As there.
    pub async fn set(&self, record: &Record) -> Result<SaveReport> {
        let mut set = Set::charged(record, &self.settings, self.ledger.as_ref())?;
        loop {
            match set.next()? {
                Step::Read(call, read) => set.was_read(self.store.read_one(call, read).await),
                Step::Write(call, write) => set.was_written(only(self.store.write_one(call, write).await)),
                Step::Done(report) => return Ok(report),
            }
        }
    }

    /// See [`UserStorageService::set_json`].
    ///
    /// # Errors
    /// As there.
    pub async fn set_json(&self, record: &str) -> Result<SaveReport> {
        self.set(&Record::parse(record)?).await
    }
}

/// What both faces do around the read of a get.
struct Get {
    call: Call,
    read: Read,
    key: Key,
    asked: Asked,
}

impl Get {
    fn new(settings: &Settings, ledger: Option<&Ledger>, user_id: &str, campaign_key: &str) -> Result<Self> {
        let key = Key::new(campaign_key)?;
        let read = Read::some(settings.subject(user_id)?, Keys::only([key.clone()])?);
        let asked = Asked::new(ledger, settings, &read.subject);
        Ok(Self { call: settings.call(), read, key, asked })
    }

    fn answer(self, profile: Profile, settings: &Settings) -> Result<Option<Record>> {
        if let Some(damaged) = profile.damaged().iter().find(|damaged| damaged.key == self.key) {
            return Err(Error::new(ErrorKind::Corrupt, format!("the stored entry {}", damaged.damage)));
        }
        let epoch = profile.epoch();
        let entry = profile.into_iter().find(|(key, _)| *key == self.key);
        let record =
            entry.and_then(|(key, entry)| Record::from_entry(&self.read.subject, key.as_str(), epoch, entry));
        let record = record.filter(|record| !record.is_retired(settings));
        self.asked.answered(&self.key, record.as_ref().and_then(Record::revision), epoch);
        Ok(record)
    }
}

/// What is handed out of all that a user has.
fn all(subject: &Subject, profile: Profile, settings: &Settings, asked: Asked) -> Records {
    let epoch = profile.epoch();
    let records = Records::from_store(subject, profile, settings);
    let revision = |record: &Record| Some((Key::new(record.campaign_key()).ok()?, record.revision()?));
    asked.answered_all(&records.iter().filter_map(revision).collect::<Vec<_>>(), epoch);
    records
}

fn json(record: Option<Record>, dialect: Dialect) -> String {
    record.map_or_else(|| "null".to_owned(), |record| record.to_json(dialect))
}

/// The answer to the one change of a set's write.
fn only<T>(mut answers: Vec<Result<T>>) -> Result<T> {
    answers.pop().unwrap_or_else(|| {
        let context = "the store gave another number of answers than was asked for";
        Err(Error::new(ErrorKind::Unexpected, context))
    })
}
