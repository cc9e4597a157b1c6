//! A store, its clock and the service over it, with a hand between service and store.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    Call, Clock as _, Entry, Erase, Error, ErrorKind, Key, ManualClock, Namespace, Outcome, Profile, Read,
    Store, StoreExt as _, StoreInfo, Subject, Ttl, UnixMillis, UserId, Value, Write,
};
use stickystore_services::Settings;
use stickystore_services::growthbook::{StickyBucketService, user_id};

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

/// A store, its clock and the service over it.
pub(crate) struct Bench {
    pub(crate) store: Failing,
    pub(crate) clock: ManualClock,
    pub(crate) service: StickyBucketService<Failing>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let clock = ManualClock::new(UnixMillis::new(1_700_000_000_000).unwrap());
        // A busy machine is no failure.
        let settings = Settings::new(Namespace::new("shop").unwrap())
            .with_clock(clock.clone())
            .with_deadline(Duration::from_secs(60))
            .with_ttl(Ttl::new(HOUR).unwrap());
        let store = Failing::default();
        Self { service: StickyBucketService::new(store.clone(), settings), store, clock }
    }

    pub(crate) fn subject(&self, name: &str, value: &str) -> Subject {
        let user = UserId::new(user_id(name, value)).unwrap();
        Subject::new(Namespace::new("shop").unwrap(), user)
    }

    pub(crate) fn call(&self) -> Call {
        Call::new(self.clock.now(), Instant::now() + Duration::from_secs(60))
    }

    /// What stands under this key of `id` = `ann`.
    pub(crate) fn stored(&self, key: &str) -> Option<Entry> {
        let key = Key::new(key).unwrap();
        self.store.inner.get(self.call(), &self.subject("id", "ann"), &key).unwrap()
    }

    /// Puts this there, as whoever else writes to the namespace.
    pub(crate) fn put(&self, key: &str, text: &str) {
        let entry = Entry::new(Value::new(text).unwrap(), stickystore_core::Expiry::Never);
        let key = Key::new(key).unwrap();
        self.store.inner.put(self.call(), &self.subject("id", "ann"), key, entry).unwrap();
    }

    /// Puts there what is no entry.
    pub(crate) fn damage(&self, key: &str) {
        self.store.inner.plant(&self.subject("id", "ann"), Key::new(key).unwrap(), "rubbish");
    }

    pub(crate) fn erase(&self) {
        let erase = Erase::new(self.subject("id", "ann"), self.clock.now());
        self.store.inner.erase_one(self.call(), erase).unwrap();
    }
}

/// The memory store, whose server can be taken away; it counts how often it is called.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failing {
    pub(crate) inner: MemoryStore,
    hand: Arc<Mutex<Hand>>,
}

#[derive(Debug, Default)]
struct Hand {
    reads_fail: bool,
    writes_fail: bool,
    calls: (usize, usize),
}

impl Failing {
    pub(crate) fn fail(&self, reads: bool, writes: bool) {
        let mut hand = self.hand.lock().unwrap();
        (hand.reads_fail, hand.writes_fail) = (reads, writes);
    }

    /// Reads and writes since this was last asked.
    pub(crate) fn calls(&self) -> (usize, usize) {
        std::mem::take(&mut self.hand.lock().unwrap().calls)
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Unavailable, "the server has gone away")
}

impl Store for Failing {
    fn info(&self) -> &StoreInfo {
        self.inner.info()
    }

    fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile, Error>> {
        let mut hand = self.hand.lock().unwrap();
        hand.calls.0 += 1;
        if hand.reads_fail {
            return vec![Err(gone()); reads.len()];
        }
        self.inner.read(call, reads)
    }

    fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome, Error>>> {
        let mut hand = self.hand.lock().unwrap();
        hand.calls.1 += 1;
        if hand.writes_fail {
            return writes.iter().map(|write| vec![Err(gone()); write.changes().len()]).collect();
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
}
