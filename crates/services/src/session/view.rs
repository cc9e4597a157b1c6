//! The view: what an SDK or a handler is given of a session. Everything here answers at once, without I/O.

use std::collections::BTreeMap;

use stickystore_core::{Error, ErrorKind, Key, Result, Store as _, StoreExt as _, StoreInfo, UnixMillis};

use super::handed::Given;
use super::overlay::{Overlay, Shape, User};
use super::said::Said;
use crate::assign::{Assigned, IntoValue, assign};
use crate::growthbook::{Document, StickyBucketService, user_id};
use crate::optimizely::{UserProfile, UserProfileService, tracked};
use crate::report::SaveReport;
use crate::settings::{Receipts, Settings};
use crate::vwo::{Dialect, Record, Set, Step, UserStorageService};

/// The users of a session as they were read, with what was saved since: read-your-writes, on any thread, without I/O.
///
/// Clones are views of the same session. What is saved here is written by the session's commit, and only then reported: a
/// save that is refused says so there. When the session has ended, saving is an error.
///
/// Users that the session was not begun for are an error of kind [`ErrorKind::Invalid`]. Where a user could not be read,
/// looking up answers that error, or nothing where [`Settings::with_failed_lookup`] says so; what is saved all the same can
/// only be added.
#[derive(Debug, Clone)]
pub struct View {
    overlay: Overlay,
    settings: Settings,
    /// The seed of its receipts.
    begun: UnixMillis,
}

impl View {
    pub(super) fn new(overlay: Overlay, settings: Settings, begun: UnixMillis) -> Self {
        Self { overlay, settings, begun }
    }

    /// Optimizely's lookup; see [`UserProfileService::lookup`].
    ///
    /// # Errors
    /// The read's, if the user could not be read and [`Settings::with_failed_lookup`] does not say otherwise.
    pub fn lookup(&self, user_id: &str) -> Result<UserProfile> {
        let (overlay, subject) = (self.overlay.of(Shape::Optimizely), self.settings.subject(user_id)?);
        let read = overlay.load(self.settings.call(), &subject).inspect_err(|_| {
            if let Ok(user) = self.overlay.state().user(user_id) {
                user.handed.lookup_failed();
            }
        });
        let Some(read) = self.settings.looked_up(read)? else { return tracked(&self.settings, user_id) };
        let seed = UnixMillis::get(self.begun);
        let profile = UserProfile::from_store(&subject, read, &self.settings, seed);
        if self.settings.receipts() == Receipts::Off {
            self.overlay.state().user(user_id)?.handed.looked_up(&profile);
        }
        Ok(profile)
    }

    /// [`lookup`](Self::lookup) as the SDK's JSON; `null` for a user without entries if receipts are off.
    ///
    /// # Errors
    /// Those of [`lookup`](Self::lookup).
    pub fn lookup_json(&self, user_id: &str) -> Result<String> {
        Ok(self.lookup(user_id)?.to_json())
    }

    /// Optimizely's save.
    ///
    /// What proves a read is the receipt, as everywhere. With [`Receipts::Off`] it is the session itself: what the lookups
    /// since the session or the pass began handed out for this user, as far as they agree.
    ///
    /// # Errors
    /// What concerns the whole profile, as a user that the session was not begun for.
    pub fn save(&self, profile: &UserProfile) -> Result<()> {
        let mut profile = profile.clone();
        {
            let mut state = self.overlay.state();
            let user = state.user_to_change(profile.user_id())?;
            if self.settings.receipts() == Receipts::Off
                && let Some(read) = user.handed.profile()
            {
                profile.prove_by(read);
            }
        }
        let service = UserProfileService::new(self.overlay.of(Shape::Optimizely), self.settings.clone());
        let report = service.save_uncounted(&profile)?;
        self.note(profile.user_id(), &report, Shape::Optimizely)
    }

    /// [`save`](Self::save) of the SDK's JSON.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is not a profile, else those of [`save`](Self::save).
    pub fn save_json(&self, profile: &str) -> Result<()> {
        self.save(&UserProfile::parse(profile)?)
    }

    /// VWO's get; see [`UserStorageService::get`].
    ///
    /// # Errors
    /// As there.
    pub fn get(&self, user_id: &str, campaign_key: &str) -> Result<Option<Record>> {
        let service = UserStorageService::new(self.overlay.of(Shape::Vwo), self.settings.clone());
        let campaign = Key::new(campaign_key)?;
        let epoch = self.overlay.state().user(user_id)?.epoch();
        let record = service.get(user_id, campaign_key);
        let mut state = self.overlay.state();
        let user = state.user(user_id)?;
        match &record {
            Ok(record) if user.base.is_ok() => user.handed.got(campaign, record.as_ref(), epoch),
            // Also where the user only seems to have nothing.
            _ => user.handed.get_failed(campaign),
        }
        record
    }

    /// [`get`](Self::get) as the SDK's JSON; `null` if there is no record.
    ///
    /// # Errors
    /// Those of [`get`](Self::get).
    pub fn get_json(&self, user_id: &str, campaign_key: &str, dialect: Dialect) -> Result<String> {
        Ok(self
            .get(user_id, campaign_key)?
            .map_or_else(|| "null".to_owned(), |record| record.to_json(dialect)))
    }

    /// VWO's set. What proves a read is the record that [`get`](Self::get) returned or, for a record that was made anew, the
    /// session itself: what the gets of this campaign since the session or the pass began handed out, if that was always
    /// the same.
    ///
    /// # Errors
    /// Those of [`UserStorageService::set`]; [`ErrorKind::Invalid`] for a user that the session was not begun for.
    pub fn set(&self, record: &Record) -> Result<()> {
        let (mut record, campaign) = (record.clone(), Key::new(record.campaign_key())?);
        let is_read = {
            let mut state = self.overlay.state();
            let user = state.user_to_change(record.user_id())?;
            if !record.is_proved()
                && let Some(Given::Always(given, epoch)) = user.handed.record(campaign.as_str())
            {
                record = match given {
                    Some(read) => record.after(read),
                    None => record.after_absence(user.subject.clone(), *epoch),
                };
            }
            user.base.is_ok()
        };
        if !is_read {
            // What it adds to, only the commit can see: until then nothing more can be wrong with it than its own.
            Set::new(&record, &self.settings, self.settings.call())?;
            let mut state = self.overlay.state();
            let user = state.user_to_change(record.user_id())?;
            user.records.entry(campaign).or_default().push(record);
            return Ok(());
        }
        let report = self.set_here(&record)?;
        {
            let mut state = self.overlay.state();
            let user = state.user_to_change(record.user_id())?;
            if user.pending.contains_key(&campaign) {
                user.records.entry(campaign).or_default().push(record.clone());
            }
        }
        self.note(record.user_id(), &report, Shape::Vwo)
    }

    /// [`set`](Self::set) of an SDK's JSON, in whatever spelling.
    ///
    /// # Errors
    /// Those of [`Record::parse`] and of [`set`](Self::set).
    pub fn set_json(&self, record: &str) -> Result<()> {
        self.set(&Record::parse(record)?)
    }

    /// GrowthBook's assignments of an attribute's value; the session has to be begun for its
    /// [`user_id`](fn@crate::growthbook::user_id). See [`StickyBucketService::assignments`].
    ///
    /// # Errors
    /// As there.
    pub fn assignments(&self, name: &str, value: &str) -> Result<BTreeMap<String, String>> {
        self.growthbook().assignments(name, value)
    }

    /// Saves GrowthBook's assignments: what is not there yet is added, and nothing else is changed.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a user that the session was not begun for.
    pub fn save_assignments<K: Into<String>, V: Into<String>>(
        &self,
        name: &str,
        value: &str,
        assignments: impl IntoIterator<Item = (K, V)>,
    ) -> Result<()> {
        let user_id = user_id(name, value);
        self.overlay.state().user_to_change(&user_id)?;
        let document = Document::new(name, value).with(assignments);
        let report = self.growthbook().save_uncounted(&document)?;
        self.note(&user_id, &report, Shape::GrowthBook)
    }

    /// What the user has under this key; if that is nothing, what `value` gives is going to be kept. Until the commit it is
    /// not: somebody else may be faster.
    ///
    /// # Errors
    /// The read's, if the user could not be read; [`ErrorKind::Corrupt`] if what stands there is damaged.
    pub fn assign<V: IntoValue>(
        &self,
        user_id: &str,
        key: &str,
        value: impl FnOnce() -> V,
    ) -> Result<Assigned> {
        assign(&self.overlay.of(Shape::Assigned), &self.settings, user_id, key, value)
    }

    /// Why this user could not be read, if that failed.
    pub fn failed(&self, user_id: &str) -> Option<Error> {
        match self.overlay.state().user(user_id) {
            Ok(user) => user.base.as_ref().err().cloned(),
            Err(error) => Some(error),
        }
    }

    /// How many changes are to be written that no commit has reported of yet.
    pub fn uncommitted(&self) -> usize {
        self.overlay.state().users.values().map(User::uncommitted).sum()
    }

    pub(super) fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn info(&self) -> &StoreInfo {
        self.overlay.info()
    }

    fn growthbook(&self) -> StickyBucketService<Overlay> {
        StickyBucketService::new(self.overlay.of(Shape::GrowthBook), self.settings.clone())
    }

    /// The set as it goes on what the session has.
    fn set_here(&self, record: &Record) -> Result<SaveReport> {
        let overlay = self.overlay.of(Shape::Vwo);
        let mut set = Set::new(record, &self.settings, self.settings.call())?;
        loop {
            match set.next()? {
                Step::Read(call, read) => set.was_read(overlay.read_one(call, read)),
                Step::Write(call, write) => {
                    let answer = overlay.write_one(call, write).pop();
                    set.was_written(answer.unwrap_or_else(|| Err(miscounted())));
                }
                Step::Done(report) => return Ok(report),
            }
        }
    }

    /// Keeps what a service said, for the report of the commit.
    fn note(&self, user_id: &str, report: &SaveReport, shape: Shape) -> Result<()> {
        let mut state = self.overlay.state();
        let user = state.user_to_change(user_id)?;
        for (key, saved) in report.iter() {
            let said = Said { shape, saved: saved.clone(), goals_added: report.goals_added(key).to_vec() };
            match user.said.get_mut(key) {
                Some(before) => before.and(said),
                None => drop(user.said.insert(key.to_owned(), said)),
            }
        }
        Ok(())
    }
}

pub(super) fn miscounted() -> Error {
    Error::new(ErrorKind::Unexpected, "the store gave another number of answers than was asked for")
}
