//! Stores that are broken: one for each kind of fault, and those that overwrite, or know no epoch.
#![deny(clippy::missing_trait_methods)]

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use stickystore_core::{
    AsyncScan, AsyncStore, Call, Change, Effect, Entry, EpochCheck, Erase, Finding, Keys, Outcome, Profile,
    Read, Result, StoreInfo, Subject, Value, Write,
};

use super::super::profiles::goals;

/// How late what comes late comes.
const LATE: Duration = Duration::from_millis(30);

/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// One write in so many is sent again, where that is the bug.
const ONE_OF: usize = 5;

/// What is wrong with the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Everything is put over whatever stands there.
    LastWriteWins,
    /// A write does not ask whether the user was erased.
    NoEpoch,
    /// A write after a failed read overwrites: what could not be read is taken for absent.
    FailedLookupOverwrites,
    /// A write is answered before it is made, a little late.
    AcknowledgedEarly,
    /// A write of unknown outcome is made again, over whatever stands there.
    UnknownAgain,
    /// A write of unknown outcome is said to stand.
    ErrorIsSuccess,
    /// A write that is sent twice overwrites what came in between.
    DuplicateOverwrites,
    /// Of a record's goals, only the last is kept.
    LastGoal,
}

/// A store with a bug.
#[derive(Debug)]
pub(crate) struct Broken {
    store: Arc<dyn AsyncStore>,
    bug: Bug,
    /// Whose read failed last.
    failed: Mutex<HashSet<Subject>>,
    writes: std::sync::atomic::AtomicUsize,
}

impl Broken {
    pub(crate) fn new(store: Arc<dyn AsyncStore>, bug: Bug) -> Self {
        Self { store, bug, failed: Mutex::default(), writes: 0.into() }
    }

    fn remember(&self, read: &Read, answer: &Result<Profile>) {
        let mut failed = self.failed.lock().unwrap();
        if answer.is_ok() {
            failed.remove(&read.subject);
        } else {
            failed.insert(read.subject.clone());
        }
    }

    /// Makes the write later, over whatever stands there or as it is.
    fn later(&self, writes: &[Write], puts: bool) {
        let store = Arc::clone(&self.store);
        let writes: Vec<_> =
            writes.iter().map(|write| if puts { overwriting(write) } else { write.clone() }).collect();
        tokio::spawn(async move {
            tokio::time::sleep(LATE).await;
            let now = stickystore_core::Clock::now(&stickystore_core::SystemClock);
            store.write(Call::new(now, Instant::now() + PATIENCE), &writes).await;
        });
    }
}

#[async_trait]
impl AsyncStore for Broken {
    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let sent = match self.bug {
            Bug::LastWriteWins => writes.iter().map(overwriting).collect(),
            Bug::FailedLookupOverwrites => {
                let failed = self.failed.lock().unwrap();
                let as_it_is = |write: &Write| {
                    if failed.contains(write.subject()) { overwriting(write) } else { write.clone() }
                };
                writes.iter().map(as_it_is).collect()
            }
            Bug::NoEpoch => {
                writes.iter().map(|write| changed(write, EpochCheck::Ignore, Change::clone)).collect()
            }
            Bug::AcknowledgedEarly => {
                self.later(writes, false);
                return writes.iter().map(|write| write.changes().iter().map(success).collect()).collect();
            }
            Bug::LastGoal => {
                writes.iter().map(|write| changed(write, write.epoch(), with_last_goal)).collect()
            }
            Bug::UnknownAgain | Bug::ErrorIsSuccess | Bug::DuplicateOverwrites => writes.to_vec(),
        };
        let mut answers = self.store.write(call, &sent).await;
        let is_unknown =
            |answer: &Result<Outcome>| answer.as_ref().is_err_and(|error| error.effect() == Effect::Unknown);
        match self.bug {
            Bug::UnknownAgain if answers.iter().flatten().any(is_unknown) => {
                self.later(writes, true);
            }
            Bug::DuplicateOverwrites => {
                let count = self.writes.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if count.is_multiple_of(ONE_OF) {
                    self.later(writes, true);
                }
            }
            _ => {}
        }
        for (write, answers) in writes.iter().zip(&mut answers) {
            for (change, answer) in write.changes().iter().zip(answers) {
                let is_hidden = self.bug == Bug::ErrorIsSuccess && answer.is_err();
                if is_hidden || matches!(answer, Ok(Outcome::Written)) {
                    *answer = success(change);
                }
            }
        }
        answers
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        let answers = self.store.read(call, reads).await;
        for (read, answer) in reads.iter().zip(&answers) {
            self.remember(read, answer);
        }
        answers
    }

    /// Every read has to come by: what failed is remembered.
    fn at_hand(&self, _: Call, _: &Subject, _: &Keys) -> Option<Result<Profile>> {
        None
    }

    fn info(&self) -> &StoreInfo {
        self.store.info()
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        self.store.erase(call, erases).await
    }

    async fn ping(&self, call: Call) -> Result<()> {
        self.store.ping(call).await
    }

    async fn close(&self, call: Call) -> Result<()> {
        self.store.close(call).await
    }

    async fn diagnose(&self, call: Call) -> Vec<Finding> {
        self.store.diagnose(call).await
    }

    fn scan(&self) -> Option<&dyn AsyncScan> {
        self.store.scan()
    }
}

/// What a change is answered that was made.
#[expect(clippy::unnecessary_wraps, reason = "it is an answer")]
pub(super) fn success(change: &Change) -> Result<Outcome> {
    Ok(match change {
        Change::Insert(..) => Outcome::Inserted,
        Change::Replace(..) => Outcome::Replaced,
        Change::Put(..) => Outcome::Written,
        _ => Outcome::Removed,
    })
}

/// The same changes, over whatever stands there.
fn overwriting(write: &Write) -> Write {
    changed(write, write.epoch(), |change| match change {
        Change::Insert(key, new) | Change::Replace(key, _, new) => Change::Put(key.clone(), new.clone()),
        other => other.clone(),
    })
}

/// The same change, without all goals but the last.
fn with_last_goal(change: &Change) -> Change {
    let without = |entry: &Entry| {
        let text = entry.value.as_str();
        let goals = goals(text);
        let Some(last) = goals.last() else { return entry.clone() };
        let value = Value::new(text.replace(&goals.join("_vwo_"), last)).unwrap();
        let mut entry = entry.clone();
        entry.value = value;
        entry
    };
    match change {
        Change::Insert(key, new) => Change::Insert(key.clone(), without(new)),
        Change::Replace(key, was, new) => Change::Replace(key.clone(), *was, without(new)),
        other => other.clone(),
    }
}

fn changed(write: &Write, epoch: EpochCheck, change: impl FnMut(&Change) -> Change) -> Write {
    let changes = write.changes().iter().map(change).collect();
    Write::new(write.subject().clone(), epoch, changes).unwrap()
}
