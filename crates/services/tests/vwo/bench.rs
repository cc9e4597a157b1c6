//! A store, its clock and the service over it, with a hand between service and store.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    Call, Clock, Effect, Entry, Erase, Error, ErrorKind, Finding, Key, ManualClock, Namespace, Outcome,
    Profile, Read, Scan, Store, StoreExt, StoreInfo, Subject, Ttl, UnixMillis, UserId, Write,
};
use stickystore_services::vwo::{Dialect, Record, UserStorageService};
use stickystore_services::{SaveReport, Saved, Settings, Why};

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

/// How a record without goals is stored.
pub(crate) const RED: &str = r#"{"variationName":"red"}"#;

/// A store, its clock and the service over it.
pub(crate) struct Bench {
    pub(crate) store: Hooked,
    pub(crate) clock: ManualClock,
    pub(crate) settings: Settings,
    pub(crate) service: UserStorageService<Hooked>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|settings| settings)
    }

    pub(crate) fn with(adjust: impl FnOnce(Settings) -> Settings) -> Self {
        let clock = ManualClock::new(UnixMillis::new(1_700_000_000_000).unwrap());
        // A busy machine is no failure; the one test of the deadline sets its own.
        let settings = Settings::new(Namespace::new("shop").unwrap())
            .with_clock(clock.clone())
            .with_deadline(Duration::from_secs(60))
            .with_ttl(Ttl::new(HOUR).unwrap());
        let (settings, store) = (adjust(settings), Hooked::default());
        let service = UserStorageService::new(store.clone(), settings.clone());
        Self { store, clock, settings, service }
    }

    pub(crate) fn subject(&self) -> Subject {
        Subject::new(Namespace::new("shop").unwrap(), UserId::new("ann").unwrap())
    }

    pub(crate) fn call(&self) -> Call {
        Call::new(self.clock.now(), Instant::now() + Duration::from_secs(5))
    }

    pub(crate) fn get(&self) -> Record {
        self.service.get("ann", "c1").unwrap().unwrap()
    }

    /// Sets as an SDK does: a record made anew, which proves nothing.
    pub(crate) fn set_bare(&self, variation: &str, goals: &str) -> SaveReport {
        self.service.set_json(&record(variation, goals).to_json(Dialect::Node)).unwrap()
    }

    /// The variation and the goals that are stored.
    pub(crate) fn stored(&self) -> Option<(String, String)> {
        let record = self.service.get("ann", "c1").unwrap()?;
        Some((record.variation_name().to_owned(), record.goals().collect::<Vec<_>>().join(" ")))
    }

    pub(crate) fn entry(&self) -> Entry {
        self.store.inner.get(self.call(), &self.subject(), &Key::new("c1").unwrap()).unwrap().unwrap()
    }

    pub(crate) fn erase(&self) {
        self.store.inner.erase_one(self.call(), Erase::new(self.subject(), self.clock.now())).unwrap();
    }

    /// What somebody decided who knows of the erasure, and when it ends.
    pub(crate) fn put_after_erasure(&self, variation: &str) {
        let value = stickystore_core::Value::new(format!("{{\"variationName\":\"{variation}\"}}")).unwrap();
        let entry = Entry::new(
            value,
            stickystore_core::Expiry::after(self.clock.now(), Ttl::new(HOUR).unwrap()).unwrap(),
        );
        self.store.inner.put(self.call(), &self.subject(), Key::new("c1").unwrap(), entry).unwrap();
    }

    /// Somebody else's service over the same store, whose calls no hook sees.
    pub(crate) fn other(&self) -> UserStorageService<MemoryStore> {
        UserStorageService::new(self.store.inner.clone(), self.settings.clone())
    }
}

/// Ann's record in the campaign `c1`, with these goals, joined by spaces.
pub(crate) fn record(variation: &str, goals: &str) -> Record {
    let mut record = Record::new("ann", "c1", variation);
    goals.split_whitespace().for_each(|goal| record.add_goal(goal));
    record
}

pub(crate) fn with_goal(mut record: Record, goal: &str) -> Record {
    record.add_goal(goal);
    record
}

pub(crate) fn with_variation(mut record: Record, variation: &str) -> Record {
    record.set_variation_name(variation);
    record
}

pub(crate) fn stored(variation: &str, goals: &str) -> Option<(String, String)> {
    Some((variation.to_owned(), goals.to_owned()))
}

/// Why the record was kept, and its winner.
pub(crate) fn kept(report: &SaveReport) -> (Why, Option<String>) {
    match report.get("c1") {
        Some(Saved::Kept { why, winner }) => (*why, winner.as_ref().map(|winner| winner.as_str().to_owned())),
        other => panic!("it was not kept but {other:?}"),
    }
}

/// What goes wrong with the next write.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Trouble {
    /// It is applied, and nobody hears of it.
    NoReply,
    /// It is not applied.
    Refused,
}

/// The memory store with a hand in between: something happens before a read or a write, calls are counted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hooked {
    pub(crate) inner: MemoryStore,
    pub(crate) hooks: Arc<Mutex<Hooks>>,
}

#[derive(Default)]
pub(crate) struct Hooks {
    before_reads: Vec<Box<dyn FnMut() + Send>>,
    before_writes: Vec<Box<dyn FnMut() + Send>>,
    pub(crate) trouble: Option<Trouble>,
    pub(crate) fail_reads: bool,
    reads: usize,
    pub(crate) writes: Vec<Write>,
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hooks")
    }
}

impl Hooked {
    /// This happens before the next write; one that is added later before the one after that.
    pub(crate) fn before_a_write(&self, happens: impl FnMut() + Send + 'static) {
        self.hooks.lock().unwrap().before_writes.insert(0, Box::new(happens));
    }

    /// The same before the next read.
    pub(crate) fn before_a_read(&self, happens: impl FnMut() + Send + 'static) {
        self.hooks.lock().unwrap().before_reads.insert(0, Box::new(happens));
    }

    /// Reads and writes so far, since this was last asked.
    pub(crate) fn calls(&self) -> (usize, usize) {
        let mut hooks = self.hooks.lock().unwrap();
        (std::mem::take(&mut hooks.reads), std::mem::take(&mut hooks.writes).len())
    }
}

impl Store for Hooked {
    fn info(&self) -> &StoreInfo {
        self.inner.info()
    }

    fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile, Error>> {
        let mut hooks = self.hooks.lock().unwrap();
        hooks.reads += 1;
        if hooks.fail_reads {
            return vec![Err(Error::new(ErrorKind::Unavailable, "injected")); reads.len()];
        }
        let happens = hooks.before_reads.pop();
        drop(hooks);
        if let Some(mut happens) = happens {
            happens();
        }
        self.inner.read(call, reads)
    }

    fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome, Error>>> {
        let mut hooks = self.hooks.lock().unwrap();
        hooks.writes.extend_from_slice(writes);
        let (happens, trouble) = (hooks.before_writes.pop(), hooks.trouble.take());
        drop(hooks);
        if let Some(mut happens) = happens {
            happens();
        }
        let error = Error::new(ErrorKind::Timeout, "injected");
        match trouble {
            None => self.inner.write(call, writes),
            Some(Trouble::NoReply) => {
                self.inner.write(call, writes);
                vec![vec![Err(error)]; writes.len()]
            }
            Some(Trouble::Refused) => {
                vec![vec![Err(error.with_effect(Effect::NotApplied))]; writes.len()]
            }
        }
    }

    fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool, Error>> {
        self.inner.erase(call, erases)
    }

    fn ping(&self, call: Call) -> Result<(), Error> {
        self.inner.ping(call)
    }

    fn close(&self, call: Call) -> Result<(), Error> {
        self.inner.close(call)
    }

    fn diagnose(&self, call: Call) -> Vec<Finding> {
        self.inner.diagnose(call)
    }

    fn scan(&self) -> Option<&dyn Scan> {
        self.inner.scan()
    }
}
