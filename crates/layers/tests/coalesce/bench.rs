//! What the tests of this folder have at hand: short words, and a store that answers a call when it is told to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    AsyncStore, AsyncStoreExt as _, Call, Change, Entry, EpochCheck, Erase, Error, Expiry, Key, Namespace,
    Outcome, Profile, Read, Result, Revision, Store as _, StoreInfo, Subject, SystemClock, UnixMillis,
    UserId, Value, Write, async_trait,
};
use stickystore_layers::coalesce::{Bounds, Coalesced};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A store that notes each call and answers, as the memory store does, when it is told to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scripted(Arc<Script>);

#[derive(Debug, Default)]
struct Script {
    memory: MemoryStore,
    seen: Mutex<Vec<Seen>>,
    told: Mutex<HashMap<usize, oneshot::Sender<Told>>>,
}

/// A call that the store was asked.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// As `read ann bob`.
    pub(crate) what: String,
    pub(crate) call: Call,
}

#[derive(Debug)]
enum Told {
    Answer,
    Fail(Error),
    Panic,
    Forget,
}

impl Scripted {
    pub(crate) fn memory(&self) -> &MemoryStore {
        &self.0.memory
    }

    /// The calls, in their order, once everybody has done what there is to do without it.
    pub(crate) async fn seen(&self) -> Vec<String> {
        idle().await;
        self.calls().into_iter().map(|seen| seen.what).collect()
    }

    pub(crate) fn calls(&self) -> Vec<Seen> {
        self.0.seen.lock().unwrap().clone()
    }

    /// Answers the call that came as this one.
    pub(crate) async fn answer(&self, place: usize) {
        self.tell(place, Told::Answer).await;
    }

    pub(crate) async fn fail(&self, place: usize, error: Error) {
        self.tell(place, Told::Fail(error)).await;
    }

    pub(crate) async fn panic(&self, place: usize) {
        self.tell(place, Told::Panic).await;
    }

    /// Gives one answer too few.
    pub(crate) async fn forget_one(&self, place: usize) {
        self.tell(place, Told::Forget).await;
    }

    async fn tell(&self, place: usize, told: Told) {
        let sender = self.0.told.lock().unwrap().remove(&place).unwrap();
        drop(sender.send(told));
        idle().await;
    }

    async fn ask<T>(
        &self,
        call: Call,
        what: String,
        answer: impl Fn(&MemoryStore) -> Vec<T>,
        fail: impl Fn(Error) -> Vec<T>,
    ) -> Vec<T> {
        let (sender, told) = oneshot::channel();
        {
            let mut seen = self.0.seen.lock().unwrap();
            self.0.told.lock().unwrap().insert(seen.len(), sender);
            seen.push(Seen { what, call });
        }
        match told.await {
            Ok(Told::Answer) => answer(&self.0.memory),
            Ok(Told::Fail(error)) => fail(error),
            Ok(Told::Forget) => answer(&self.0.memory).into_iter().skip(1).collect(),
            Ok(Told::Panic) => panic!("the store panics, as it was told"),
            Err(_) => std::future::pending().await,
        }
    }
}

#[async_trait]
impl AsyncStore for Scripted {
    fn info(&self) -> &StoreInfo {
        self.0.memory.info()
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        let what = told("read", reads.iter().map(|read| &read.subject));
        self.ask(call, what, |memory| memory.read(call, reads), |error| vec![Err(error); reads.len()]).await
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let what = told("write", writes.iter().map(Write::subject));
        let fail =
            |error: Error| writes.iter().map(|one| vec![Err(error.clone()); one.changes().len()]).collect();
        self.ask(call, what, |memory| memory.write(call, writes), fail).await
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        let what = told("erase", erases.iter().map(|erase| &erase.subject));
        self.ask(call, what, |memory| memory.erase(call, erases), |error| vec![Err(error); erases.len()])
            .await
    }

    async fn ping(&self, call: Call) -> Result<()> {
        self.0.memory.ping(call)
    }

    async fn close(&self, call: Call) -> Result<()> {
        self.0.memory.close(call)
    }
}

fn told<'a>(what: &str, subjects: impl Iterator<Item = &'a Subject>) -> String {
    subjects.fold(what.to_owned(), |told, subject| format!("{told} {}", subject.user))
}

/// The layer with so many in flight, around a store that answers when told.
pub(crate) fn coalesced(in_flight: usize) -> (Coalesced<Scripted>, Scripted) {
    within(Bounds::default().with_in_flight(in_flight))
}

pub(crate) fn within(bounds: Bounds) -> (Coalesced<Scripted>, Scripted) {
    let scripted = Scripted::default();
    (Coalesced::with(scripted.clone(), bounds), scripted)
}

/// Lets every task do all that it can do without time passing.
pub(crate) async fn idle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// A caller that loads this user.
pub(crate) fn load(store: &Coalesced<Scripted>, user: &str) -> JoinHandle<Result<Profile>> {
    load_by(store, user, call())
}

pub(crate) fn load_by(store: &Coalesced<Scripted>, user: &str, call: Call) -> JoinHandle<Result<Profile>> {
    let (store, subject) = (store.clone(), subject(user));
    tokio::spawn(async move { store.load(call, &subject).await })
}

/// A caller that puts this value for this user, under one key.
pub(crate) fn put(store: &Coalesced<Scripted>, user: &str, value: &str) -> JoinHandle<Result<Outcome>> {
    put_by(store, user, entry(value), call())
}

pub(crate) fn put_by(
    store: &Coalesced<Scripted>,
    user: &str,
    entry: Entry,
    call: Call,
) -> JoinHandle<Result<Outcome>> {
    let (store, subject) = (store.clone(), subject(user));
    tokio::spawn(async move {
        let write = Write::new(subject, EpochCheck::Ignore, vec![Change::Put(key(), entry)]).unwrap();
        store.write_one(call, write).await.pop().unwrap()
    })
}

/// A caller that erases this user.
pub(crate) fn erase(store: &Coalesced<Scripted>, user: &str) -> JoinHandle<Result<bool>> {
    let (store, erase, call) = (store.clone(), Erase::new(subject(user), call().now), call());
    tokio::spawn(async move { store.erase_one(call, erase).await })
}

/// What a profile has under the one key.
pub(crate) fn value(profile: &Profile) -> Option<String> {
    profile.get("key").map(|entry| entry.value.as_str().to_owned())
}

/// What stands for this user.
pub(crate) fn stands(scripted: &Scripted, user: &str) -> Option<String> {
    let profile = scripted.memory().read(call(), &[Read::all(subject(user))]).pop().unwrap();
    value(&profile.unwrap())
}

/// A call at the time 1 000 000 ms, with all the time in the world.
pub(crate) fn call() -> Call {
    at(1_000_000)
}

pub(crate) fn at(now: u64) -> Call {
    Call::within(&SystemClock, Duration::from_secs(60)).at(UnixMillis::new(now).unwrap())
}

/// A call that has so many milliseconds.
pub(crate) fn short(millis: u64) -> Call {
    Call::within(&SystemClock, Duration::from_millis(millis)).at(call().now)
}

pub(crate) fn subject(user: &str) -> Subject {
    Subject::new(Namespace::new("n").unwrap(), UserId::new(user).unwrap())
}

pub(crate) fn key() -> Key {
    Key::new("key").unwrap()
}

/// An entry that does not end.
pub(crate) fn entry(value: &str) -> Entry {
    Entry::new(Value::string(value), Expiry::Never).with_revision(Revision::random())
}

/// An entry that ends then.
pub(crate) fn ends(value: &str, millis: u64) -> Entry {
    Entry::new(Value::string(value), Expiry::At(UnixMillis::new(millis).unwrap()))
}
