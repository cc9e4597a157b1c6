//! The blocking storage trait and its conveniences: the same contract as the async one.

use std::fmt::Debug;

use crate::async_store::{changes_of, found, no_scan, only};
use crate::call::{Call, Change, EpochCheck, Erase, Keys, Read, Write};
use crate::entry::Entry;
use crate::error::{Operation, Result};
use crate::id::{Key, Namespace, Subject};
use crate::info::{Finding, StoreInfo};
use crate::outcome::Outcome;
use crate::profile::Profile;
use crate::revision::Revision;
use crate::scan::{Cursor, Page};

#[doc = include_str!("contract.md")]
pub trait Store: Debug + Send + Sync + 'static {
    /// What the store is and promises; no I/O.
    fn info(&self) -> &StoreInfo;

    /// Reads users' entries: one answer for each read, in the same order.
    fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>>;

    /// Changes users' entries: for each write, in the same order, one answer for each change, in the same order.
    fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>>;

    /// Erases users: for each erase, in the same order, whether a live or damaged entry stood.
    fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>>;

    /// Asks the server whether it is there.
    fn ping(&self, call: Call) -> Result<()>;

    /// Closes this handle and all its clones. Closing again is fine.
    fn close(&self, call: Call) -> Result<()>;

    /// What is wrong, or worth knowing, about the server and its configuration.
    fn diagnose(&self, call: Call) -> Vec<Finding> {
        let _ = call;
        Vec::new()
    }

    /// The ability to go through all users of a namespace, if the store has it.
    fn scan(&self) -> Option<&dyn Scan> {
        None
    }
}

/// Going through all users of a namespace. An ability: [`Store::scan`] hands it out.
pub trait Scan: Debug + Send + Sync {
    /// The next users after `cursor` (from the start without one) that have a live or damaged entry, about `limit`
    /// of them, with their profiles; and the cursor for the next page, if there may be more.
    fn scan_page(
        &self,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page>;
}

/// Single reads and writes over any [`Store`].
pub trait StoreExt: Store {
    /// All live entries of a user.
    fn load(&self, call: Call, subject: &Subject) -> Result<Profile> {
        self.read_one(call, Read::all(subject.clone()))
    }

    /// One read.
    fn read_one(&self, call: Call, read: Read) -> Result<Profile> {
        only(self.read(call, &[read]), self.info(), Operation::Read)
    }

    /// The live entry under this key.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if what stands there is damaged: that is not the same as
    /// absent.
    fn get(&self, call: Call, subject: &Subject, key: &Key) -> Result<Option<Entry>> {
        let profile = self.read_one(call, Read::some(subject.clone(), Keys::only([key.clone()])?))?;
        found(&profile, key, self.info())
    }

    /// One write: an answer for each of its changes. One whose write was not answered at all is that error.
    fn write_one(&self, call: Call, write: Write) -> Vec<Result<Outcome>> {
        let count = write.changes().len();
        changes_of(self.write(call, &[write]), count, self.info())
    }

    /// One change of one user.
    fn change(&self, call: Call, subject: &Subject, epoch: EpochCheck, change: Change) -> Result<Outcome> {
        let write = Write::new(subject.clone(), epoch, vec![change])?;
        only(self.write_one(call, write), self.info(), Operation::Write)
    }

    /// Writes the entry if nothing live stands there.
    fn insert(
        &self,
        call: Call,
        subject: &Subject,
        epoch: EpochCheck,
        key: Key,
        entry: Entry,
    ) -> Result<Outcome> {
        self.change(call, subject, epoch, Change::Insert(key, entry))
    }

    /// Writes the entry over whatever stands there, whatever was erased.
    fn put(&self, call: Call, subject: &Subject, key: Key, entry: Entry) -> Result<Outcome> {
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
    ) -> Result<Outcome> {
        self.change(call, subject, EpochCheck::Ignore, Change::Replace(key, read, entry))
    }

    /// Removes whatever stands there.
    fn remove(&self, call: Call, subject: &Subject, key: Key) -> Result<Outcome> {
        self.change(call, subject, EpochCheck::Ignore, Change::Remove(key))
    }

    /// Removes the entry with the revision `read`.
    fn remove_if(&self, call: Call, subject: &Subject, key: Key, read: Revision) -> Result<Outcome> {
        self.change(call, subject, EpochCheck::Ignore, Change::RemoveIf(key, read))
    }

    /// Erases one user; true if a live or damaged entry stood.
    fn erase_one(&self, call: Call, erase: Erase) -> Result<bool> {
        only(self.erase(call, &[erase]), self.info(), Operation::Erase)
    }

    /// One page of a scan; see `scan_page` of the ability.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if the store cannot scan.
    fn scan_users(
        &self,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        match self.scan() {
            Some(scan) => scan.scan_page(call, namespace, cursor, limit),
            None => Err(no_scan(self.info())),
        }
    }
}

impl<S: Store + ?Sized> StoreExt for S {}
