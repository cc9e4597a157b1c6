//! A store that notes whom it writes, so that what a trial leaves on a user's own server can be erased.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stickystore_core::{
    Call, Erase, Finding, Outcome, Profile, Read, Result, Scan, Store, StoreInfo, Subject, SystemClock, Write,
};

use crate::PATIENCE;

/// Who was written; several stores may note into one.
pub(crate) type Users = Arc<Mutex<HashSet<Subject>>>;

/// How long the erase marks live that the cleaning leaves: nobody else writes there.
const MARK_LIFE: Duration = Duration::from_secs(5);

/// How many users are erased at once.
const ERASED_AT_ONCE: usize = 256;

/// A store that notes whom it is to write.
#[derive(Clone)]
pub(crate) struct Noted {
    store: Arc<dyn Store>,
    users: Users,
}

impl Noted {
    pub(crate) fn new(store: Arc<dyn Store>, users: Users) -> Self {
        Self { store, users }
    }

    /// Erases every user that was written; how many could not be.
    pub(crate) fn erase_all(&self) -> usize {
        let users: Vec<_> = std::mem::take(&mut *lock(&self.users)).into_iter().collect();
        let mut left = 0;
        for users in users.chunks(ERASED_AT_ONCE) {
            let call = Call::within(&SystemClock, PATIENCE);
            let until = call.now.saturating_add(MARK_LIFE);
            let erases: Vec<_> =
                users.iter().map(|user| Erase::new(user.clone(), call.now).with_mark_until(until)).collect();
            left += self.store.erase(call, &erases).iter().filter(|erased| erased.is_err()).count();
        }
        left
    }
}

impl fmt::Debug for Noted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

#[deny(clippy::missing_trait_methods)]
impl Store for Noted {
    fn info(&self) -> &StoreInfo {
        self.store.info()
    }

    fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        self.store.read(call, reads)
    }

    fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        lock(&self.users).extend(writes.iter().map(|write| write.subject().clone()));
        self.store.write(call, writes)
    }

    fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        lock(&self.users).extend(erases.iter().map(|erase| erase.subject.clone()));
        self.store.erase(call, erases)
    }

    fn ping(&self, call: Call) -> Result<()> {
        self.store.ping(call)
    }

    fn close(&self, call: Call) -> Result<()> {
        self.store.close(call)
    }

    fn diagnose(&self, call: Call) -> Vec<Finding> {
        self.store.diagnose(call)
    }

    fn scan(&self) -> Option<&dyn Scan> {
        self.store.scan()
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
