//! Stores that remember what they read, and have it at hand where they should not.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use stickystore_core::{
    AsyncScan, AsyncStore, Call, Erase, Finding, Immediate, Key, Keys, Outcome, Profile, Read, Result,
    Store as _, StoreInfo, Subject, UnixMillis, Write,
};

use super::BrokenStore;
use super::bench::{Bench, BenchPlant};
use super::fault::Sound;
use crate::harness::{Opened, Plant};

/// How long the store waits that waits for writes: longer than the suite does.
const WAITS: Duration = Duration::from_secs(30);

pub(super) const STORES: &[BrokenStore] = &[
    BrokenStore {
        name: "remembers what was overwritten",
        breaks: "what is at hand shows every write that was answered",
        open: || Remembers::opened(Some(Mistake::Writes)),
    },
    BrokenStore {
        name: "remembers who was erased",
        breaks: "what is at hand shows every erase that was answered",
        open: || Remembers::opened(Some(Mistake::Erases)),
    },
    BrokenStore {
        name: "remembers a read that a write overtook",
        breaks: "what is read late is not at hand after a newer write",
        open: || Remembers::opened(Some(Mistake::LateReads)),
    },
    BrokenStore {
        name: "remembers what has expired",
        breaks: "what is at hand is judged by the call's now",
        open: || Remembers::opened(Some(Mistake::Expiry)),
    },
    BrokenStore {
        name: "has all keys at hand, whatever is asked",
        breaks: "what is at hand has only the keys that are asked for",
        open: || Remembers::opened(Some(Mistake::Keys)),
    },
    BrokenStore {
        name: "has something at hand after close",
        breaks: "after close nothing is at hand",
        open: || Remembers::opened(Some(Mistake::Close)),
    },
    BrokenStore {
        name: "has something at hand after the deadline",
        breaks: "where the deadline has passed nothing is at hand",
        open: || Remembers::opened(Some(Mistake::Deadline)),
    },
    BrokenStore {
        name: "waits for writes before it looks what is at hand",
        breaks: "what is at hand is not waited for",
        open: || Remembers::opened(Some(Mistake::Waits)),
    },
    BrokenStore {
        name: "looks only on a runtime what is at hand",
        breaks: "what is at hand needs no runtime",
        open: || Remembers::opened(Some(Mistake::Runtime)),
    },
];

/// What it does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    Writes,
    Erases,
    LateReads,
    Expiry,
    Keys,
    Close,
    Deadline,
    Waits,
    Runtime,
}

/// A store with a small cache of whole users, which is right unless there is a mistake.
#[derive(Debug, Clone)]
struct Remembers {
    store: Immediate<Bench>,
    memory: Arc<Memory>,
    mistake: Option<Mistake>,
}

#[derive(Debug, Default)]
struct Memory {
    users: Mutex<Users>,
    writing: Mutex<usize>,
    written: Condvar,
}

/// As they were read, and when.
type Users = HashMap<Subject, (Profile, UnixMillis)>;

/// Plants, and has it forgotten.
struct ForgetsToo(BenchPlant, Arc<Memory>);

#[async_trait]
impl Plant for ForgetsToo {
    async fn damaged_entry(&self, subject: &Subject, key: &Key) {
        self.0.damaged_entry(subject, key).await;
        self.1.users().remove(subject);
    }

    async fn foreign_user(&self, subject: &Subject) {
        self.0.foreign_user(subject).await;
        self.1.users().remove(subject);
    }
}

impl Memory {
    fn users(&self) -> MutexGuard<'_, Users> {
        self.users.lock().unwrap()
    }
}

impl Remembers {
    fn opened(mistake: Option<Mistake>) -> Opened {
        let bench = Bench::new(Sound);
        let (plant, memory) = (BenchPlant(bench.alias()), Arc::new(Memory::default()));
        let plant = ForgetsToo(plant, Arc::clone(&memory));
        Opened::asynchronous(Self { store: Immediate::new(bench), memory, mistake }).with_plant(plant)
    }

    fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    fn hold(users: &mut Users, call: Call, reads: &[Read], answers: &[Result<Profile>]) {
        for (read, answer) in reads.iter().zip(answers) {
            if let (Keys::All, Ok(profile)) = (&read.keys, answer)
                && profile.epoch().is_none()
            {
                users.insert(read.subject.clone(), (profile.clone(), call.now));
            }
        }
    }

    /// Whether the call may be answered by what is remembered.
    fn admits(&self, call: Call) -> bool {
        let bench = self.store.get_ref();
        (self.makes(Mistake::Close) || !bench.is_closed())
            && (self.makes(Mistake::Deadline) || !call.remaining().is_zero())
    }

    fn before_looking(&self) {
        let is_outside = tokio::runtime::Handle::try_current().is_err();
        if self.makes(Mistake::Runtime) {
            assert!(!is_outside, "there is no reactor running");
        }
        // Elsewhere it would hold up what it waits for.
        if self.makes(Mistake::Waits) && is_outside {
            let writing = self.memory.writing.lock().unwrap();
            drop(self.memory.written.wait_timeout_while(writing, WAITS, |writing| *writing > 0));
        }
    }
}

#[async_trait]
impl AsyncStore for Remembers {
    fn info(&self) -> &StoreInfo {
        AsyncStore::info(&self.store)
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        if !self.makes(Mistake::LateReads) {
            // Under the lock, so that no write comes between.
            let mut users = self.memory.users();
            let answers = self.store.get_ref().read(call, reads);
            Self::hold(&mut users, call, reads, &answers);
            return answers;
        }
        let answers = self.store.read(call, reads).await;
        tokio::task::yield_now().await;
        Self::hold(&mut self.memory.users(), call, reads, &answers);
        answers
    }

    fn at_hand(&self, call: Call, subject: &Subject, keys: &Keys) -> Option<Result<Profile>> {
        self.before_looking();
        if !self.admits(call) {
            return None;
        }
        let (profile, at) = self.memory.users().get(subject)?.clone();
        if self.makes(Mistake::Expiry) {
            return Some(Ok(profile));
        }
        if call.now < at {
            return None;
        }
        let is_wanted = |key: &Key| match keys {
            Keys::Only(keys) => self.makes(Mistake::Keys) || keys.contains(key),
            _ => true,
        };
        let damaged = profile.damaged().iter().filter(|damaged| is_wanted(&damaged.key)).cloned().collect();
        let entries = profile.into_iter().filter(|(key, _)| is_wanted(key));
        Some(Ok(Profile::new(None, entries, damaged, call.now)))
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let _writing = self.makes(Mistake::Waits).then(|| Writing::begin(&self.memory));
        if self.makes(Mistake::Waits) {
            tokio::task::yield_now().await;
        }
        let mut users = self.memory.users();
        if !self.makes(Mistake::Writes) {
            writes.iter().for_each(|write| drop(users.remove(write.subject())));
        }
        self.store.get_ref().write(call, writes)
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        let mut users = self.memory.users();
        if !self.makes(Mistake::Erases) {
            erases.iter().for_each(|erase| drop(users.remove(&erase.subject)));
        }
        self.store.get_ref().erase(call, erases)
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

/// A write that is under way.
struct Writing<'a>(&'a Memory);

impl<'a> Writing<'a> {
    fn begin(memory: &'a Memory) -> Self {
        *memory.writing.lock().unwrap() += 1;
        Self(memory)
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        *self.0.writing.lock().unwrap() -= 1;
        self.0.written.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::Harness;
    use crate::report::Verdict;
    use crate::run::run_some;

    fn failed(open: impl Fn() -> Opened + Send + Sync + 'static) -> Vec<&'static str> {
        let open = Arc::new(open);
        let harness = Harness::asynchronous("remembers", move || {
            let opened = open();
            async move { Ok(opened) }
        });
        let report = run_some(&harness, |case| case.group == "at_hand");
        let failed = report.cases.into_iter().filter(|case| matches!(case.verdict, Verdict::Failed(_)));
        failed.map(|case| case.name).collect()
    }

    #[test]
    fn without_a_mistake_it_is_sound() {
        assert_eq!(failed(|| Remembers::opened(None)), [""; 0]);
    }

    #[test]
    fn each_mistake_is_seen_in_what_is_at_hand() {
        for store in STORES {
            assert!(!failed(store.open).is_empty(), "{}", store.name);
        }
    }
}
