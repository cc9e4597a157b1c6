//! A store, its clock and sessions over it, with a hand between session and store.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    Call, Clock, Effect, Entry, Erase, Error, ErrorKind, Key, ManualClock, Namespace, Outcome, Profile, Read,
    Result, Store, StoreExt, StoreInfo, Subject, Ttl, UnixMillis, UserId, Write,
};
use stickystore_services::optimizely::{UserProfile, UserProfileService};
use stickystore_services::session::{CommitReport, Session, View};
use stickystore_services::vwo::{Record, UserStorageService};
use stickystore_services::{Saved, Settings, Why};

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

pub(crate) struct Bench {
    pub(crate) store: Hooked,
    pub(crate) clock: ManualClock,
    pub(crate) settings: Settings,
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
        Self { store: Hooked::default(), clock, settings: adjust(settings) }
    }

    /// A session for ann and bob.
    pub(crate) fn begin(&self) -> Session<Hooked> {
        Session::begin(self.store.clone(), self.settings.clone(), ["ann", "bob"]).unwrap()
    }

    /// Another process's service, which nothing stands in the way of.
    pub(crate) fn other(&self) -> UserProfileService<MemoryStore> {
        UserProfileService::new(self.store.inner.clone(), self.settings.clone())
    }

    pub(crate) fn other_vwo(&self) -> UserStorageService<MemoryStore> {
        UserStorageService::new(self.store.inner.clone(), self.settings.clone())
    }

    /// Another process assigns ann this variation of `e1`, whatever she has.
    pub(crate) fn put(&self, variation: &str) {
        let value = format!(r#"{{"variation_id":"{variation}"}}"#);
        let entry = Entry::new(stickystore_core::Value::new(value).unwrap(), stickystore_core::Expiry::Never);
        self.store.inner.put(self.call(), &subject("ann"), Key::new("e1").unwrap(), entry).unwrap();
    }

    pub(crate) fn remove(&self, key: &str) {
        self.store.inner.remove(self.call(), &subject("ann"), Key::new(key).unwrap()).unwrap();
    }

    pub(crate) fn erase(&self) {
        self.store.inner.erase_one(self.call(), Erase::new(subject("ann"), self.clock.now())).unwrap();
    }

    /// What is stored of this user and experiment.
    pub(crate) fn stored(&self, user: &str, experiment: &str) -> Option<String> {
        Some(self.other().lookup(user).unwrap().variation(experiment)?.to_owned())
    }

    pub(crate) fn call(&self) -> Call {
        Call::new(self.clock.now(), Instant::now() + Duration::from_secs(5))
    }
}

pub(crate) fn subject(user: &str) -> Subject {
    Subject::new(Namespace::new("shop").unwrap(), UserId::new(user).unwrap())
}

/// What an SDK gets from a lookup in a session: JSON, parsed anew.
pub(crate) fn lookup(view: &View, user: &str) -> UserProfile {
    match view.lookup_json(user).unwrap().as_str() {
        "null" => UserProfile::new(user),
        json => UserProfile::parse(json).unwrap(),
    }
}

/// What an SDK does that knows these variations: looks up, and where it finds none of them puts the user into the first.
pub(crate) fn decide(view: &View, user: &str, experiment: &str, known: &[&str]) -> String {
    let mut profile = match view.lookup_json(user).as_deref() {
        // It cannot tell a failure from a user without a profile.
        Err(_) | Ok("null") => UserProfile::new(user),
        Ok(json) => UserProfile::parse(json).unwrap(),
    };
    if let Some(stored) = profile.variation(experiment).filter(|stored| known.contains(stored)) {
        return stored.to_owned();
    }
    profile.set_variation(experiment, known[0]);
    view.save_json(&profile.to_json()).unwrap();
    known[0].to_owned()
}

pub(crate) fn with(mut profile: UserProfile, experiment: &str, variation: &str) -> UserProfile {
    profile.set_variation(experiment, variation);
    profile
}

/// Ann's record in the campaign `c1`.
pub(crate) fn record(variation: &str, goals: &str) -> Record {
    let mut record = Record::new("ann", "c1", variation);
    goals.split_whitespace().for_each(|goal| record.add_goal(goal));
    record
}

pub(crate) fn saved<'a>(report: &'a CommitReport, user: &str, key: &str) -> &'a Saved {
    report
        .user(user)
        .and_then(|report| report.get(key))
        .unwrap_or_else(|| panic!("nothing of {user}'s {key}"))
}

/// Why an entry of ann's was kept, and its winner.
pub(crate) fn kept(report: &CommitReport, key: &str) -> (Why, Option<String>) {
    match saved(report, "ann", key) {
        Saved::Kept { why, winner } => (*why, winner.as_ref().map(|winner| winner.as_str().to_owned())),
        other => panic!("{key} was not kept but {other:?}"),
    }
}

type Happens = Box<dyn FnOnce() + Send>;

/// The memory store with a hand in between: something happens before a write, calls are counted and can fail.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hooked {
    pub(crate) inner: MemoryStore,
    hooks: Arc<Mutex<Hooks>>,
}

#[derive(Default)]
struct Hooks {
    before_writes: Vec<Happens>,
    fail_reads: usize,
    fail_writes: usize,
    lose_answers: usize,
    reads: usize,
    writes: usize,
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hooks")
    }
}

impl Hooked {
    /// This happens before the next write; one that is added later before the one after that.
    pub(crate) fn before_a_write(&self, happens: impl FnOnce() + Send + 'static) {
        self.hooks.lock().unwrap().before_writes.insert(0, Box::new(happens));
    }

    pub(crate) fn fail_reads(&self, count: usize) {
        self.hooks.lock().unwrap().fail_reads = count;
    }

    /// So many writes are not applied, and say so.
    pub(crate) fn fail_writes(&self, count: usize) {
        self.hooks.lock().unwrap().fail_writes = count;
    }

    /// So many writes are applied, and nobody hears of it.
    pub(crate) fn lose_answers(&self, count: usize) {
        self.hooks.lock().unwrap().lose_answers = count;
    }

    /// Reads and writes since this was last asked.
    pub(crate) fn calls(&self) -> (usize, usize) {
        let mut hooks = self.hooks.lock().unwrap();
        (std::mem::take(&mut hooks.reads), std::mem::take(&mut hooks.writes))
    }
}

impl Store for Hooked {
    fn info(&self) -> &StoreInfo {
        self.inner.info()
    }

    fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        let mut hooks = self.hooks.lock().unwrap();
        hooks.reads += 1;
        if hooks.fail_reads > 0 {
            hooks.fail_reads -= 1;
            return vec![Err(Error::new(ErrorKind::Unavailable, "injected")); reads.len()];
        }
        self.inner.read(call, reads)
    }

    fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let mut hooks = self.hooks.lock().unwrap();
        hooks.writes += 1;
        if hooks.fail_writes > 0 {
            hooks.fail_writes -= 1;
            let failed =
                || Err(Error::new(ErrorKind::Unavailable, "injected").with_effect(Effect::NotApplied));
            return writes.iter().map(|write| write.changes().iter().map(|_| failed()).collect()).collect();
        }
        let loses = hooks.lose_answers > 0;
        hooks.lose_answers = hooks.lose_answers.saturating_sub(1);
        let happens = hooks.before_writes.pop();
        drop(hooks);
        if let Some(happens) = happens {
            happens();
        }
        let answers = self.inner.write(call, writes);
        if loses {
            let lost = || Err(Error::new(ErrorKind::Timeout, "injected"));
            return writes.iter().map(|write| write.changes().iter().map(|_| lost()).collect()).collect();
        }
        answers
    }

    fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        self.inner.erase(call, erases)
    }

    fn ping(&self, call: Call) -> Result<()> {
        self.inner.ping(call)
    }

    fn close(&self, call: Call) -> Result<()> {
        self.inner.close(call)
    }
}
