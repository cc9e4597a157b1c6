//! A store that answers a write as it would, and does nothing.
#![deny(clippy::missing_trait_methods)]

use std::sync::Arc;

use stickystore_core::decide::{Stored, damaged, decide};
use stickystore_core::{
    Call, Change, Erase, Error, ErrorKind, Finding, Mark, Outcome, Profile, Read, Result, Scan, Store,
    StoreInfo, UnixMillis, Write,
};

/// Reads what there is, writes nothing.
#[derive(Debug)]
pub(super) struct DryRun(Arc<dyn Store>);

impl DryRun {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }
}

impl Store for DryRun {
    fn info(&self) -> &StoreInfo {
        self.0.info()
    }

    fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        self.0.read(call, reads)
    }

    fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let reads: Vec<_> = writes.iter().map(|write| Read::all(write.subject().clone())).collect();
        let answers = self.0.read(call, &reads);
        writes
            .iter()
            .zip(answers)
            .map(|(write, profile)| would_answer(self.0.info(), write, profile, call.now))
            .collect()
    }

    fn erase(&self, _call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        let error = Error::new(ErrorKind::Unsupported, "a dry run erases nothing");
        vec![Err(error); erases.len()]
    }

    fn ping(&self, call: Call) -> Result<()> {
        self.0.ping(call)
    }

    fn close(&self, call: Call) -> Result<()> {
        self.0.close(call)
    }

    fn diagnose(&self, call: Call) -> Vec<Finding> {
        self.0.diagnose(call)
    }

    fn scan(&self) -> Option<&dyn Scan> {
        self.0.scan()
    }
}

fn would_answer(
    info: &StoreInfo,
    write: &Write,
    profile: Result<Profile>,
    now: UnixMillis,
) -> Vec<Result<Outcome>> {
    let profile = match profile {
        Ok(profile) => profile,
        Err(error) => return vec![Err(error); write.changes().len()],
    };
    let limit = info.limits.entry_bytes;
    let mark = profile.epoch().map(|epoch| Mark::new(epoch, UnixMillis::MAX));
    let answer = |change: &Change| {
        let too_large = match change {
            Change::Insert(_, new) | Change::Put(_, new) | Change::Replace(_, _, new) => {
                new.size_bytes() > limit
            }
            _ => false,
        };
        if too_large {
            let context = format!("the entry is larger than this store takes, {limit} bytes");
            return Err(Error::new(ErrorKind::TooLarge, context));
        }
        if profile.damaged().iter().any(|damaged| damaged.key == *change.key()) {
            return Err(damaged());
        }
        let stored = profile.get(change.key().as_str()).map_or(Stored::Absent, Stored::Entry);
        decide(change, stored, write.epoch(), mark, now).outcome
    };
    write.changes().iter().map(answer).collect()
}
