//! A store, its clock and the service over it, with a hand between service and store.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    Call, Clock, Entry, Erase, Error, ErrorKind, Finding, Key, ManualClock, Namespace, Outcome, Profile,
    Read, Scan, Store, StoreExt, StoreInfo, Subject, Ttl, UnixMillis, UserId, Write,
};
use stickystore_services::optimizely::{UserProfile, UserProfileService};
use stickystore_services::{SaveReport, Saved, Settings, Why};

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

/// A store, its clock and the service over it.
pub(crate) struct Bench {
    pub(crate) store: Hooked,
    pub(crate) clock: ManualClock,
    pub(crate) settings: Settings,
    pub(crate) service: UserProfileService<Hooked>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|settings| settings)
    }

    pub(crate) fn with(adjust: impl FnOnce(Settings) -> Settings) -> Self {
        let clock = ManualClock::new(UnixMillis::new(1_700_000_000_000).unwrap());
        let settings = Settings::new(Namespace::new("shop").unwrap())
            .with_clock(clock.clone())
            // A busy machine is no failure.
            .with_deadline(Duration::from_secs(60))
            .with_ttl(Ttl::new(HOUR).unwrap());
        let (settings, store) = (adjust(settings), Hooked::default());
        let service = UserProfileService::new(store.clone(), settings.clone());
        Self { store, clock, settings, service }
    }

    pub(crate) fn subject(&self) -> Subject {
        Subject::new(Namespace::new("shop").unwrap(), UserId::new("ann").unwrap())
    }

    pub(crate) fn call(&self) -> Call {
        Call::new(self.clock.now(), Instant::now() + Duration::from_secs(5))
    }

    /// What an SDK gets from a lookup.
    pub(crate) fn lookup(&self) -> UserProfile {
        UserProfile::parse(&self.service.lookup_json("ann").unwrap()).unwrap()
    }

    /// What an SDK with an empty profile saves: what it just bucketed, without a receipt.
    pub(crate) fn save_bare(&self, map: &[(&str, &str)]) -> SaveReport {
        let mut profile = UserProfile::new("ann");
        for (experiment, variation) in map {
            profile.set_variation(*experiment, *variation);
        }
        self.save(&profile)
    }

    /// Saves through the SDK's JSON.
    pub(crate) fn save(&self, profile: &UserProfile) -> SaveReport {
        self.service.save_json(&profile.to_json()).unwrap()
    }

    /// Every experiment and variation that is stored.
    pub(crate) fn stored(&self) -> Vec<(String, String)> {
        let profile = self.service.lookup("ann").unwrap();
        profile.iter().map(|(experiment, variation)| (experiment.into(), variation.into())).collect()
    }

    pub(crate) fn entry(&self, key: &str) -> Entry {
        self.store.inner.get(self.call(), &self.subject(), &Key::new(key).unwrap()).unwrap().unwrap()
    }

    pub(crate) fn erase(&self) {
        self.store.inner.erase_one(self.call(), Erase::new(self.subject(), self.clock.now())).unwrap();
    }
}

pub(crate) fn pairs(map: &[(&str, &str)]) -> Vec<(String, String)> {
    map.iter().map(|(experiment, variation)| (experiment.to_string(), variation.to_string())).collect()
}

pub(crate) fn with(mut profile: UserProfile, experiment: &str, variation: &str) -> UserProfile {
    profile.set_variation(experiment, variation);
    profile
}

/// Why an entry was kept, and its winner.
pub(crate) fn kept(report: &SaveReport, key: &str) -> (Why, Option<String>) {
    match report.get(key) {
        Some(Saved::Kept { why, winner }) => (*why, winner.as_ref().map(|winner| winner.as_str().to_owned())),
        other => panic!("{key} was not kept but {other:?}"),
    }
}

/// The memory store with a hand in between: something happens before a write, writes are counted and remembered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hooked {
    pub(crate) inner: MemoryStore,
    pub(crate) hooks: Arc<Mutex<Hooks>>,
}

#[derive(Default)]
pub(crate) struct Hooks {
    before_write: Option<Box<dyn FnOnce() + Send>>,
    before_write_after_next: Option<Box<dyn FnOnce() + Send>>,
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
    pub(crate) fn before_next_write(&self, happens: impl FnOnce() + Send + 'static) {
        self.hooks.lock().unwrap().before_write = Some(Box::new(happens));
    }

    pub(crate) fn before_write_after_next(&self, happens: impl FnOnce() + Send + 'static) {
        self.hooks.lock().unwrap().before_write_after_next = Some(Box::new(happens));
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
        self.inner.read(call, reads)
    }

    fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome, Error>>> {
        let mut hooks = self.hooks.lock().unwrap();
        hooks.writes.extend_from_slice(writes);
        let after = hooks.before_write_after_next.take();
        let happens = std::mem::replace(&mut hooks.before_write, after);
        drop(hooks);
        if let Some(happens) = happens {
            happens();
        }
        self.inner.write(call, writes)
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
