//! The async storage trait and its conveniences.
//!
//! The contract itself is in `contract.md`, one text for both traits. The blocking twin is in `store`.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::call::{Call, Change, EpochCheck, Erase, Keys, Read, Write};
use crate::entry::Entry;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::id::{Key, Namespace, Subject};
use crate::info::{Finding, StoreInfo};
use crate::outcome::Outcome;
use crate::profile::Profile;
use crate::revision::Revision;
use crate::scan::{Cursor, Page};

#[doc = include_str!("contract.md")]
#[async_trait]
pub trait AsyncStore: Debug + Send + Sync + 'static {
    /// What the store is and promises; no I/O.
    fn info(&self) -> &StoreInfo;

    /// Reads users' entries: one answer for each read, in the same order.
    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>>;

    /// Changes users' entries: for each write, in the same order, one answer for each change, in the same order.
    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>>;

    /// Erases users: for each erase, in the same order, whether a live or damaged entry stood.
    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>>;

    /// Asks the server whether it is there.
    async fn ping(&self, call: Call) -> Result<()>;

    /// Closes this handle and all its clones. Closing again is fine.
    async fn close(&self, call: Call) -> Result<()>;

    /// What is wrong, or worth knowing, about the server and its configuration.
    async fn diagnose(&self, call: Call) -> Vec<Finding> {
        let _ = call;
        Vec::new()
    }

    /// The ability to go through all users of a namespace, if the store has it.
    fn scan(&self) -> Option<&dyn AsyncScan> {
        None
    }
}

/// Going through all users of a namespace. An ability: [`AsyncStore::scan`] hands it out.
#[async_trait]
pub trait AsyncScan: Debug + Send + Sync {
    /// The next users after `cursor` (from the start without one) that have a live or damaged entry, about `limit`
    /// of them, with their profiles; and the cursor for the next page, if there may be more.
    async fn scan_page(
        &self,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page>;
}

/// Single reads and writes over any [`AsyncStore`].
#[async_trait]
pub trait AsyncStoreExt: AsyncStore {
    /// All live entries of a user.
    async fn load(&self, call: Call, subject: &Subject) -> Result<Profile> {
        self.read_one(call, Read::all(subject.clone())).await
    }

    /// One read.
    async fn read_one(&self, call: Call, read: Read) -> Result<Profile> {
        only(self.read(call, &[read]).await, self.info(), Operation::Read)
    }

    /// The live entry under this key.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if what stands there is damaged: that is not the same as absent.
    async fn get(&self, call: Call, subject: &Subject, key: &Key) -> Result<Option<Entry>> {
        let profile = self.read_one(call, Read::some(subject.clone(), Keys::only([key.clone()])?)).await?;
        found(&profile, key, self.info())
    }

    /// One write: an answer for each of its changes. One whose write was not answered at all is that error.
    async fn write_one(&self, call: Call, write: Write) -> Vec<Result<Outcome>> {
        let count = write.changes().len();
        changes_of(self.write(call, &[write]).await, count, self.info())
    }

    /// One change of one user.
    async fn change(
        &self,
        call: Call,
        subject: &Subject,
        epoch: EpochCheck,
        change: Change,
    ) -> Result<Outcome> {
        let write = Write::new(subject.clone(), epoch, vec![change])?;
        only(self.write_one(call, write).await, self.info(), Operation::Write)
    }

    /// Writes the entry if nothing live stands there.
    async fn insert(
        &self,
        call: Call,
        subject: &Subject,
        epoch: EpochCheck,
        key: Key,
        entry: Entry,
    ) -> Result<Outcome> {
        self.change(call, subject, epoch, Change::Insert(key, entry)).await
    }

    /// Writes the entry over whatever stands there, whatever was erased.
    async fn put(&self, call: Call, subject: &Subject, key: Key, entry: Entry) -> Result<Outcome> {
        self.change(call, subject, EpochCheck::Ignore, Change::Put(key, entry)).await
    }

    /// Writes the entry in the place of the one with the revision `read`.
    async fn replace(
        &self,
        call: Call,
        subject: &Subject,
        key: Key,
        read: Revision,
        entry: Entry,
    ) -> Result<Outcome> {
        self.change(call, subject, EpochCheck::Ignore, Change::Replace(key, read, entry)).await
    }

    /// Removes whatever stands there.
    async fn remove(&self, call: Call, subject: &Subject, key: Key) -> Result<Outcome> {
        self.change(call, subject, EpochCheck::Ignore, Change::Remove(key)).await
    }

    /// Removes the entry with the revision `read`.
    async fn remove_if(&self, call: Call, subject: &Subject, key: Key, read: Revision) -> Result<Outcome> {
        self.change(call, subject, EpochCheck::Ignore, Change::RemoveIf(key, read)).await
    }

    /// Erases one user; true if a live or damaged entry stood.
    async fn erase_one(&self, call: Call, erase: Erase) -> Result<bool> {
        only(self.erase(call, &[erase]).await, self.info(), Operation::Erase)
    }

    /// One page of a scan; see `scan_page` of the ability.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the store cannot scan.
    async fn scan_users(
        &self,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        match self.scan() {
            Some(scan) => scan.scan_page(call, namespace, cursor, limit).await,
            None => Err(no_scan(self.info())),
        }
    }
}

impl<S: AsyncStore + ?Sized> AsyncStoreExt for S {}

/// The only answer to a batch of one; a store that gives another number breaks its contract.
pub(crate) fn only<T>(answers: Vec<Result<T>>, info: &StoreInfo, operation: Operation) -> Result<T> {
    let mut answers = answers.into_iter();
    match (answers.next(), answers.next()) {
        (Some(answer), None) => answer,
        _ => Err(wrong_count(info, operation)),
    }
}

/// The answers to the changes of the only write.
pub(crate) fn changes_of(
    answers: Vec<Vec<Result<Outcome>>>,
    count: usize,
    info: &StoreInfo,
) -> Vec<Result<Outcome>> {
    let mut answers = answers.into_iter();
    match (answers.next(), answers.next()) {
        (Some(answers), None) if answers.len() == count => answers,
        _ => vec![Err(wrong_count(info, Operation::Write)); count],
    }
}

/// The entry under a key, where damaged is not absent.
pub(crate) fn found(profile: &Profile, key: &Key, info: &StoreInfo) -> Result<Option<Entry>> {
    if let Some(damaged) = profile.damaged().iter().find(|damaged| damaged.key == *key) {
        let error = Error::new(ErrorKind::Corrupt, format!("the stored entry {}", damaged.damage));
        return Err(error.with_origin(info.scheme, Operation::Read));
    }
    Ok(profile.get(key.as_str()).cloned())
}

pub(crate) fn no_scan(info: &StoreInfo) -> Error {
    Error::new(ErrorKind::Unsupported, "this store cannot scan").with_origin(info.scheme, Operation::Scan)
}

fn wrong_count(info: &StoreInfo, operation: Operation) -> Error {
    Error::new(ErrorKind::Unexpected, "the store gave another number of answers than was asked for")
        .with_origin(info.scheme, operation)
}
