//! Stores that act in two steps where it has to be one: all of them pass whatever is called alone.

use std::time::Duration;

use async_trait::async_trait;
use stickystore_core::decide::{Act, passes};
use stickystore_core::{
    AsyncScan, AsyncStore, Call, Change, Cursor, EpochCheck, Erase, Finding, Immediate, Mark, Namespace,
    Operation, Outcome, Page, Profile, Read, Result, StoreInfo, Write,
};

use super::BrokenStore;
use super::bench::{Bench, BenchPlant, altered, opened_on_threads};
use super::fault::{Fault, Sound};
use super::state::{Ours, Slot, State, User};
use crate::harness::Opened;

/// How long a second step comes after the first: long enough for another thread to come in between.
const BETWEEN: Duration = Duration::from_micros(200);

pub(super) const STORES: &[BrokenStore] = &[
    BrokenStore {
        name: "an insert looks, then writes",
        breaks: "an insert has one winner: last write wins here",
        open: || opened_on_threads(LooksThenActs(|change| matches!(change, Change::Insert(..)))),
    },
    BrokenStore {
        name: "a replace looks, then writes",
        breaks: "a replace is one step: no lost update",
        open: || opened_on_threads(LooksThenActs(|change| matches!(change, Change::Replace(..)))),
    },
    BrokenStore {
        name: "a conditional remove looks, then removes",
        breaks: "RemoveIf removes the entry that was read and no other",
        open: || opened_on_threads(LooksThenActs(|change| matches!(change, Change::RemoveIf(..)))),
    },
    BrokenStore {
        name: "an async insert awaits between look and write",
        breaks: "an insert has one winner, on one thread too",
        open: || AwaitsBetween::opened(Awaits::Change),
    },
    BrokenStore {
        name: "reads the user, changes it, writes it back",
        breaks: "different keys of one user all stay",
        open: || opened_on_threads(WritesBack),
    },
    BrokenStore {
        name: "reads the user, awaits, writes it back",
        breaks: "different keys of one user all stay, on one thread too",
        open: || AwaitsBetween::opened(Awaits::User),
    },
    BrokenStore {
        name: "writes the value before the revision",
        breaks: "a reader sees the old entry or the new one",
        open: || opened_on_threads(WritesInHalves),
    },
    BrokenStore {
        name: "an erase takes entry by entry",
        breaks: "an erase that races a write leaves the user whole or gone",
        open: || opened_on_threads(ErasesOneByOne),
    },
    BrokenStore {
        name: "checks the epoch, then writes",
        breaks: "no write that began before an erase lands after it",
        open: || opened_on_threads(ChecksEpochEarly),
    },
];

/// Judges some changes under one lock and acts under another.
struct LooksThenActs(fn(&Change) -> bool);

impl Fault for LooksThenActs {
    fn write(&self, bench: &Bench, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let write = |write: &Write| {
            if !write.changes().iter().any(self.0) || bench.admit(call, Operation::Write).is_err() {
                return bench.write_one(call, write);
            }
            let change = |change| {
                let decision = bench.judge(&bench.state(), write, change, call)?;
                if decision.act != Act::Nothing {
                    std::thread::sleep(BETWEEN);
                }
                bench.act(&mut bench.state(), write, change, decision, call)
            };
            write.changes().iter().map(change).collect()
        };
        writes.iter().map(write).collect()
    }
}

/// A document store's read-modify-write without a condition.
struct WritesBack;

impl Fault for WritesBack {
    fn write(&self, bench: &Bench, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let write = |write: &Write| {
            if bench.admit(call, Operation::Write).is_err() {
                return bench.write_one(call, write);
            }
            let read = bench.state().users.get(write.subject()).cloned();
            std::thread::sleep(BETWEEN);
            let mut state = bench.state();
            put_back(&mut state, write, read);
            drop(state);
            bench.write_one(call, write)
        };
        writes.iter().map(write).collect()
    }
}

fn put_back(state: &mut State, write: &Write, read: Option<User>) {
    match read {
        Some(user) => state.users.insert(write.subject().clone(), user),
        None => state.users.remove(write.subject()),
    };
}

/// Two columns, two statements.
struct WritesInHalves;

impl Fault for WritesInHalves {
    fn write(&self, bench: &Bench, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let write = |write: &Write| {
            let is_admitted = bench.admit(call, Operation::Write).is_ok();
            for change in write.changes().iter().filter(|_| is_admitted) {
                let mut state = bench.state();
                let decision = bench.judge(&state, write, change, call);
                let writes = decision.is_ok_and(|decision| decision.act == Act::Write);
                let stored = state.entry_mut(write.subject(), change.key());
                if let (true, Some(new), Some(stored)) = (writes, change.entry(), stored) {
                    let before = stored.clone();
                    *stored = altered(&before, |entry| entry.value = new.value.clone());
                    drop(state);
                    std::thread::sleep(BETWEEN);
                    // The second half is the whole write: from here on it is judged as it should be.
                    if let Some(stored) = bench.state().entry_mut(write.subject(), change.key())
                        && stored.revision == before.revision
                    {
                        *stored = before;
                    }
                }
            }
            bench.write_one(call, write)
        };
        writes.iter().map(write).collect()
    }
}

/// Lists the keys, deletes one after the other, and leaves the mark in the end.
struct ErasesOneByOne;

impl Fault for ErasesOneByOne {
    fn erase(&self, bench: &Bench, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        let erase = |erase: &Erase| {
            let is_admitted = bench.admit(call, Operation::Erase).is_ok();
            let (listed, mark) = {
                let state = bench.state();
                let ours = state.ours(&erase.subject);
                (ours.map(|ours| ours.slots.clone()).unwrap_or_default(), ours.and_then(|ours| ours.mark))
            };
            let is_retry =
                mark.is_some_and(|mark| mark.epoch.is_of_one_erasure(erase.epoch) && mark.is_live(call.now));
            if listed.is_empty() || !is_admitted || is_retry || erase.mark_until <= call.now {
                return bench.erase_all(call, std::slice::from_ref(erase)).pop().unwrap();
            }
            for key in listed.keys() {
                std::thread::sleep(5 * BETWEEN);
                if let Some(ours) = bench.state().ours_mut(&erase.subject) {
                    ours.slots.remove(key);
                }
            }
            let stood = listed.values().any(|slot| match slot {
                Slot::Entry(entry) => entry.is_live(call.now),
                Slot::Damaged => true,
            });
            let mut state = bench.state();
            let user = state.users.entry(erase.subject.clone());
            if let User::Ours(ours) = user.or_insert_with(|| User::Ours(Ours::default())) {
                let earlier = ours.mark.filter(|mark| mark.is_live(call.now)).map(|mark| mark.until);
                let until = erase.mark_until.max(earlier.unwrap_or(erase.mark_until));
                ours.mark = Some(Mark::new(erase.epoch, until));
            }
            Ok(stood)
        };
        erases.iter().map(erase).collect()
    }
}

/// Asks for the mark before it sends the write.
struct ChecksEpochEarly;

impl Fault for ChecksEpochEarly {
    fn write(&self, bench: &Bench, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let write = |write: &Write| {
            let mark = bench.state().mark(write.subject());
            if bench.admit(call, Operation::Write).is_ok() {
                std::thread::sleep(BETWEEN);
            }
            if !passes(write.epoch(), mark, call.now) {
                return bench.write_one(call, write);
            }
            let unchecked = EpochCheck::Ignore;
            let unchecked = Write::new(write.subject().clone(), unchecked, write.changes().to_vec()).unwrap();
            bench.write_one(call, &unchecked)
        };
        writes.iter().map(write).collect()
    }
}

/// The same mistakes where no thread is needed for them: a task gives way between its two steps.
#[derive(Debug, Clone)]
struct AwaitsBetween {
    store: Immediate<Bench>,
    what: Awaits,
}

#[derive(Debug, Clone, Copy)]
enum Awaits {
    Change,
    User,
}

impl AwaitsBetween {
    fn opened(what: Awaits) -> Opened {
        let bench = Bench::new(Sound);
        let plant = BenchPlant(bench.alias());
        Opened::asynchronous(Self { store: Immediate::new(bench), what }).with_plant(plant)
    }

    async fn write_in_two(&self, call: Call, write: &Write) -> Vec<Result<Outcome>> {
        let bench = self.store.get_ref();
        if let Awaits::User = self.what {
            let read = bench.state().users.get(write.subject()).cloned();
            tokio::task::yield_now().await;
            put_back(&mut bench.state(), write, read);
            return bench.write_one(call, write);
        }
        let mut answers = Vec::new();
        for change in write.changes() {
            let decision = bench.judge(&bench.state(), write, change, call);
            tokio::task::yield_now().await;
            let act = |decision| bench.act(&mut bench.state(), write, change, decision, call);
            answers.push(decision.and_then(act));
        }
        answers
    }
}

#[async_trait]
impl AsyncStore for AwaitsBetween {
    fn info(&self) -> &StoreInfo {
        AsyncStore::info(&self.store)
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        self.store.read(call, reads).await
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        if self.store.get_ref().admit(call, Operation::Write).is_err() {
            return self.store.write(call, writes).await;
        }
        let mut answers = Vec::new();
        for write in writes {
            answers.push(self.write_in_two(call, write).await);
        }
        answers
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
        Some(self)
    }
}

#[async_trait]
impl AsyncScan for AwaitsBetween {
    async fn scan_page(
        &self,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        self.store.scan_page(call, namespace, cursor, limit).await
    }
}
