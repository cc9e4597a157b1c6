//! The embedded store through the blocking API.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use stickystore_core::{
    Call, Cursor, Effect, Erase, Error, ErrorKind, Finding, Key, Namespace, Operation, Outcome, Page,
    Profile, Read, Result, Scan, Store, StoreInfo, Subject, Write,
};

use crate::config::Config;
use crate::diagnose::diagnose;
use crate::disk::Wrap;
use crate::error::{fail, panicked};
use crate::layout::Row;
use crate::queue::{Answer, Ask};
use crate::rows;
use crate::shared::{Handle, Shared};

/// A store in one file, through the blocking API. Clones share it; the last one flushes and closes it.
///
/// Reads run on the caller's thread, many at once. Writes wait for a thread that does what waits together in one
/// transaction and syncs the disk once for all of them, before it answers. A write that changes nothing costs no sync.
///
/// A read looks at its deadline between two users; a disk that hangs in the middle of one holds the calling thread, which
/// nothing can interrupt. Writes, and everything through the async API, end by their deadline also then.
///
/// A call made from an async task holds that task's thread up: [`AsyncEmbeddedStore`](crate::AsyncEmbeddedStore)
/// is for those.
#[derive(Clone)]
pub struct EmbeddedStore(Arc<Handle>);

impl EmbeddedStore {
    /// Opens the file, or makes it if its folder is there.
    ///
    /// After a crash the file is checked and repaired first, which takes as long as reading it.
    ///
    /// # Errors
    /// All name the file. [`ErrorKind::Unavailable`] if it is open already, in another process or this one;
    /// [`ErrorKind::Config`] if its folder is missing, it is a folder, or its version is another;
    /// [`ErrorKind::Corrupt`] if it is not ours, or damaged; [`ErrorKind::Denied`], [`ErrorKind::Full`].
    pub fn open(config: Config) -> Result<Self> {
        Self::open_wrapped(config, Arc::new(|file| Box::new(file)))
    }

    /// Opens the file with something between redb and the disk.
    pub(crate) fn open_wrapped(config: Config, wrap: Wrap) -> Result<Self> {
        Handle::open(config, wrap).map(|handle| Self(Arc::new(handle)))
    }

    /// How many transactions were committed since this store was opened.
    pub fn commits(&self) -> u64 {
        self.0.commits.load(Ordering::Relaxed)
    }

    /// How often the disk was synced since this store was opened, opening included.
    pub fn syncs(&self) -> u64 {
        self.0.disk.syncs()
    }

    /// Takes away every entry that expired, and every mark that ended, longer ago than the grace; how many.
    ///
    /// Nobody has to call this: each write that changes something sweeps a little. The file keeps its size; later
    /// entries take the room.
    ///
    /// # Errors
    /// As for a write.
    pub fn sweep(&self, call: Call) -> Result<u64> {
        self.done(call, Ask::Sweep)
    }

    /// Puts bytes under a key as a broken disk or another program might: an entry in the core's codec, or whatever
    /// else, which then is damaged. For tests of what reads it.
    ///
    /// # Errors
    /// As for a write.
    pub fn plant(&self, call: Call, subject: &Subject, key: &Key, bytes: &[u8]) -> Result<()> {
        self.done(call, Ask::Plant(Row::entry(subject, key), bytes.to_vec())).map(drop)
    }

    /// Puts bytes in the place of a user's erase mark: if they are none, the user as a whole is not ours. For tests
    /// of what reads it.
    ///
    /// # Errors
    /// As for a write.
    pub fn plant_mark(&self, call: Call, subject: &Subject, bytes: &[u8]) -> Result<()> {
        self.done(call, Ask::Plant(Row::mark(subject), bytes.to_vec())).map(drop)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0
    }

    fn done(&self, call: Call, ask: Ask) -> Result<u64> {
        match self.0.ask(call, Operation::Write, ask)? {
            Answer::Done(count) => Ok(count),
            Answer::Write(_) | Answer::Erase(_) => Err(panicked(Operation::Write)),
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl Store for EmbeddedStore {
    fn info(&self) -> &StoreInfo {
        &self.0.info
    }

    fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        if reads.is_empty() {
            return Vec::new();
        }
        // One transaction: all profiles are of one moment.
        let look = self.0.look(call, Operation::Read, |table| {
            let mut answers = Vec::with_capacity(reads.len());
            for read in reads {
                if call.remaining().is_zero() {
                    answers.push(Err(out_of_time(Operation::Read)));
                    continue;
                }
                answers.push(rows::read(table, read, call.now)?);
            }
            Ok(answers)
        });
        look.unwrap_or_else(|error| vec![Err(error); reads.len()])
    }

    fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        if writes.is_empty() {
            return Vec::new();
        }
        let answer = self.0.ask(call, Operation::Write, Ask::Write(writes.to_vec()));
        written(answer, writes)
    }

    fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        if erases.is_empty() {
            return Vec::new();
        }
        let answer = self.0.ask(call, Operation::Erase, Ask::Erase(erases.to_vec()));
        erased(answer, erases)
    }

    fn ping(&self, call: Call) -> Result<()> {
        self.0.look(call, Operation::Ping, |_| Ok(()))
    }

    fn close(&self, call: Call) -> Result<()> {
        if self.0.is_forked() {
            return self.0.admit(call, Operation::Close);
        }
        self.0.queue.end();
        if self.0.queue.wait_ended(call.deadline) {
            return Ok(());
        }
        let context = "the disk has not taken yet what was accepted before; no more is accepted";
        Err(fail(Operation::Close, ErrorKind::Timeout, context))
    }

    fn diagnose(&self, call: Call) -> Vec<Finding> {
        diagnose(&self.0, call)
    }

    fn scan(&self) -> Option<&dyn Scan> {
        Some(self)
    }
}

impl Scan for EmbeddedStore {
    fn scan_page(
        &self,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        self.0.look(call, Operation::Scan, |table| rows::page(table, namespace, cursor, limit, call.now))
    }
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore").field("path", &self.0.config.path).finish_non_exhaustive()
    }
}

/// The answers to writes, each of which gets the error if there is one for all.
pub(crate) fn written(answer: Result<Answer>, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
    let error = match answer {
        Ok(Answer::Write(answers)) => return answers,
        Ok(_) => panicked(Operation::Write),
        Err(error) => error,
    };
    writes.iter().map(|write| vec![Err(error.clone()); write.changes().len()]).collect()
}

/// The answers to erases, each of which gets the error if there is one for all.
pub(crate) fn erased(answer: Result<Answer>, erases: &[Erase]) -> Vec<Result<bool>> {
    let error = match answer {
        Ok(Answer::Erase(answers)) => return answers,
        Ok(_) => panicked(Operation::Erase),
        Err(error) => error,
    };
    vec![Err(error); erases.len()]
}

fn out_of_time(operation: Operation) -> Error {
    fail(operation, ErrorKind::Timeout, "the deadline passed before this user's turn")
        .with_effect(Effect::NotApplied)
}
