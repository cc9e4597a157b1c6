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
use crate::near::Near;
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

    /// What a read of these keys of this user in this call would answer now, if this process has it: without waiting, and
    /// without I/O. None says nothing: ask [`read`](Self::read). It is always right, and the default.
    ///
    /// For layers that hold answers. It is called on any thread, also outside of a runtime, and inside a `Drop` while a
    /// thread ends; see "At hand" above for what it owes. [`AsyncStoreExt`] and [`Blocking`](crate::Blocking) ask it first.
    fn at_hand(&self, call: Call, subject: &Subject, keys: &Keys) -> Option<Result<Profile>> {
        let _ = (call, subject, keys);
        None
    }

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

/// Single reads and writes over any [`AsyncStore`]. Reads take what is [at hand](AsyncStore::at_hand), if it is.
pub trait AsyncStoreExt: AsyncStore {
    /// All live entries of a user.
    fn load(&self, call: Call, subject: &Subject) -> impl Future<Output = Result<Profile>> + Send {
        async move {
            match self.at_hand(call, subject, &Keys::All) {
                Some(answer) => answer,
                None => one(self, call, Read::all(subject.clone())).await,
            }
        }
    }

    /// One read.
    fn read_one(&self, call: Call, read: Read) -> impl Future<Output = Result<Profile>> + Send {
        async move {
            match self.at_hand(call, &read.subject, &read.keys) {
                Some(answer) => answer,
                None => one(self, call, read).await,
            }
        }
    }

    /// Many reads: as [`read`](AsyncStore::read), which is asked only for those that are not at hand.
    fn read_many(&self, call: Call, reads: &[Read]) -> impl Future<Output = Vec<Result<Profile>>> + Send {
        async move {
            let near = Near::look(self, call, reads);
            if near.is_nothing() {
                return self.read(call, reads).await;
            }
            let far = near.far(reads);
            let answers = if far.is_empty() { Vec::new() } else { self.read(call, &far).await };
            near.with(answers, self.info())
        }
    }

    /// The live entry under this key.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if what stands there is damaged: that is not the same as absent.
    fn get(
        &self,
        call: Call,
        subject: &Subject,
        key: &Key,
    ) -> impl Future<Output = Result<Option<Entry>>> + Send {
        async move {
            let keys = Keys::only([key.clone()])?;
            let profile = match self.at_hand(call, subject, &keys) {
                Some(answer) => answer?,
                None => one(self, call, Read::some(subject.clone(), keys)).await?,
            };
            found(&profile, key, self.info())
        }
    }

    /// One write: an answer for each of its changes. One whose write was not answered at all is that error.
    fn write_one(&self, call: Call, write: Write) -> impl Future<Output = Vec<Result<Outcome>>> + Send {
        async move {
            let count = write.changes().len();
            changes_of(self.write(call, &[write]).await, count, self.info())
        }
    }

    /// One change of one user.
    fn change(
        &self,
        call: Call,
        subject: &Subject,
        epoch: EpochCheck,
        change: Change,
    ) -> impl Future<Output = Result<Outcome>> + Send {
        async move {
            let write = Write::new(subject.clone(), epoch, vec![change])?;
            only(self.write_one(call, write).await, self.info(), Operation::Write)
        }
    }

    /// Writes the entry if nothing live stands there.
    fn insert(
        &self,
        call: Call,
        subject: &Subject,
        epoch: EpochCheck,
        key: Key,
        entry: Entry,
    ) -> impl Future<Output = Result<Outcome>> + Send {
        self.change(call, subject, epoch, Change::Insert(key, entry))
    }

    /// Writes the entry over whatever stands there, whatever was erased.
    fn put(
        &self,
        call: Call,
        subject: &Subject,
        key: Key,
        entry: Entry,
    ) -> impl Future<Output = Result<Outcome>> + Send {
        self.change(call, subject, EpochCheck::Ignore, Change::Put(key, entry))
    }

    /// Writes the entry in the place of the one with the revision `read`.
    fn replace(
        &self,
        call: Call,
        subject: &Subject,
        key: Key,
        read: Revision,
        entry: Entry,
    ) -> impl Future<Output = Result<Outcome>> + Send {
        self.change(call, subject, EpochCheck::Ignore, Change::Replace(key, read, entry))
    }

    /// Removes whatever stands there.
    fn remove(
        &self,
        call: Call,
        subject: &Subject,
        key: Key,
    ) -> impl Future<Output = Result<Outcome>> + Send {
        self.change(call, subject, EpochCheck::Ignore, Change::Remove(key))
    }

    /// Removes the entry with the revision `read`.
    fn remove_if(
        &self,
        call: Call,
        subject: &Subject,
        key: Key,
        read: Revision,
    ) -> impl Future<Output = Result<Outcome>> + Send {
        self.change(call, subject, EpochCheck::Ignore, Change::RemoveIf(key, read))
    }

    /// Erases one user; true if a live or damaged entry stood.
    fn erase_one(&self, call: Call, erase: Erase) -> impl Future<Output = Result<bool>> + Send {
        async move { only(self.erase(call, &[erase]).await, self.info(), Operation::Erase) }
    }

    /// One page of a scan; see `scan_page` of the ability.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the store cannot scan.
    fn scan_users(
        &self,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> impl Future<Output = Result<Page>> + Send {
        async move {
            match self.scan() {
                Some(scan) => scan.scan_page(call, namespace, cursor, limit).await,
                None => Err(no_scan(self.info())),
            }
        }
    }
}

impl<S: AsyncStore + ?Sized> AsyncStoreExt for S {}

/// Asks the store for one read.
async fn one<S: AsyncStore + ?Sized>(store: &S, call: Call, read: Read) -> Result<Profile> {
    only(store.read(call, &[read]).await, store.info(), Operation::Read)
}

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

pub(crate) fn wrong_count(info: &StoreInfo, operation: Operation) -> Error {
    Error::new(ErrorKind::Unexpected, "the store gave another number of answers than was asked for")
        .with_origin(info.scheme, operation)
}
