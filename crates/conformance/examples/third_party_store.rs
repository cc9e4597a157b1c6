//! A store of somebody else's: only what the trait requires, checked by the whole suite.
//!
//! `cargo run -p stickystore-conformance --example third_party_store` prints the verdict.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use stickystore_conformance::{Harness, Opened, run};
use stickystore_core::decide::{Act, Stored, decide, decide_erase};
use stickystore_core::{
    Call, Change, Effect, Entry, EpochCheck, Erase, Error, ErrorKind, Key, Keys, Mark, Outcome, Profile,
    Read, Result, Store, StoreInfo, Subject, Write,
};

struct MyStore {
    info: StoreInfo,
    users: Mutex<BTreeMap<Subject, User>>,
    closed: AtomicBool,
}

#[derive(Default)]
struct User {
    mark: Option<Mark>,
    entries: BTreeMap<Key, Entry>,
}

/// Nothing of what is stored.
impl std::fmt::Debug for MyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MyStore")
    }
}

impl MyStore {
    fn new() -> Self {
        Self { info: StoreInfo::new("mine"), users: Mutex::default(), closed: AtomicBool::new(false) }
    }

    /// What has to be said before anything is done.
    fn admit(&self, call: Call) -> Result<()> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Closed, "this store was closed"));
        }
        if call.remaining().is_zero() {
            let late = Error::new(ErrorKind::Timeout, "the deadline had passed before the call");
            return Err(late.with_effect(Effect::NotApplied));
        }
        Ok(())
    }

    fn user<T>(&self, subject: &Subject, act: impl FnOnce(&mut User) -> T) -> T {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        act(users.entry(subject.clone()).or_default())
    }

    fn change(&self, call: Call, user: &mut User, check: EpochCheck, change: &Change) -> Result<Outcome> {
        if change.entry().is_some_and(|entry| entry.size_bytes() > self.info.limits.entry_bytes) {
            return Err(Error::new(ErrorKind::TooLarge, "the entry is over this store's limit"));
        }
        let stored = user.entries.get(change.key()).map_or(Stored::Absent, Stored::Entry);
        let decision = decide(change, stored, check, user.mark, call.now);
        match (decision.act, change.entry()) {
            (Act::Write, Some(entry)) => drop(user.entries.insert(change.key().clone(), entry.clone())),
            (Act::Delete, _) => drop(user.entries.remove(change.key())),
            _ => {}
        }
        decision.outcome
    }
}

impl Store for MyStore {
    fn info(&self) -> &StoreInfo {
        &self.info
    }

    fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        let answer = |read: &Read| {
            self.admit(call)?;
            let wanted = |key: &Key| !matches!(&read.keys, Keys::Only(keys) if !keys.contains(key));
            let users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(user) = users.get(&read.subject) else { return Ok(Profile::default()) };
            let epoch = user.mark.filter(|mark| mark.is_live(call.now)).map(|mark| mark.epoch);
            let entries = user.entries.clone().into_iter().filter(|(key, _)| wanted(key));
            Ok(Profile::new(epoch, entries, Vec::new(), call.now))
        };
        reads.iter().map(answer).collect()
    }

    fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let answer = |write: &Write| match self.admit(call) {
            Err(error) => vec![Err(error); write.changes().len()],
            // All changes of a write in one step.
            Ok(()) => self.user(write.subject(), |user| {
                let change = |change| self.change(call, user, write.epoch(), change);
                write.changes().iter().map(change).collect()
            }),
        };
        writes.iter().map(answer).collect()
    }

    fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        let answer = |erase: &Erase| {
            self.admit(call)?;
            self.user(&erase.subject, |user| {
                let stood = user.entries.values().any(|entry| entry.is_live(call.now));
                let decision = decide_erase(erase, user.mark, stood, call.now)?;
                if decision.leave.is_some() {
                    *user = User { mark: decision.leave, entries: BTreeMap::new() };
                }
                Ok(decision.stood)
            })
        };
        erases.iter().map(answer).collect()
    }

    fn ping(&self, call: Call) -> Result<()> {
        self.admit(call)
    }

    fn close(&self, _call: Call) -> Result<()> {
        self.closed.store(true, Ordering::SeqCst);
        Ok(())
    }
}

fn harness() -> Harness {
    Harness::blocking("mine", || Ok(Opened::blocking(Arc::new(MyStore::new()))))
}

fn main() {
    let report = run(&harness());
    println!("{report}");
    assert!(report.is_good());
}

#[cfg(test)]
mod tests {
    use super::harness;
    stickystore_conformance::conformance_tests!(mine, harness);
}
