//! A memory store in which faults are planted, and short words for the model.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    AsyncScan, AsyncStore, Call, Change, Effect, Entry, EpochCheck, Erase, Error, ErrorKind, Expiry, Finding,
    Immediate, Key, ManualClock, Namespace, Outcome, Profile, Read, Result, StoreInfo, Subject, UnixMillis,
    UserId, Value, Write, async_trait,
};
use stickystore_layers::write_behind::{Builder, Report, WriteBehind};
use tokio::sync::watch;

/// How long a call may take where the test is not about time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How long a call is waited for that cannot succeed.
pub(crate) const SHORT: Duration = Duration::from_millis(30);

/// What the next write call meets.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// Nothing is applied, and it says so.
    Refused(ErrorKind),
    /// Nothing is applied, and nobody knows.
    Lost,
    /// All is applied, and nobody knows.
    Hidden,
    /// Only the first change of each write is applied, the others are refused.
    Half,
}

/// A change that reached memory, and what came of it.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    pub(crate) subject: Subject,
    pub(crate) change: Change,
    pub(crate) outcome: Outcome,
}

/// A memory store in which faults can be planted. Clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct Planted {
    pub(crate) memory: MemoryStore,
    info: StoreInfo,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    /// Every write call, as it was sent.
    sent: Arc<Mutex<Vec<Vec<Write>>>>,
    /// What memory said of each change, whatever was then answered.
    judged: Arc<Mutex<Vec<Judged>>>,
    /// Calls that are under way.
    under_way: Arc<AtomicUsize>,
    open: watch::Sender<bool>,
}

impl Planted {
    pub(crate) fn new() -> Self {
        Self::with_info(StoreInfo::new("planted"))
    }

    pub(crate) fn with_info(info: StoreInfo) -> Self {
        let (faults, sent, judged, under_way) = Default::default();
        let open = watch::Sender::new(true);
        Self { memory: MemoryStore::new(), info, faults, sent, judged, under_way, open }
    }

    pub(crate) fn plant(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().extend(faults);
    }

    /// From now on nothing fails that was not planted since.
    pub(crate) fn mend(&self) {
        self.faults.lock().unwrap().clear();
    }

    pub(crate) fn judged(&self) -> Vec<Judged> {
        self.judged.lock().unwrap().clone()
    }

    /// Waits until no write call is under way.
    pub(crate) async fn quiet(&self) {
        while self.under_way.load(Ordering::SeqCst) > 0 {
            tokio::task::yield_now().await;
        }
    }

    fn apply(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let answers = stickystore_core::Store::write(&self.memory, call, writes);
        let mut judged = self.judged.lock().unwrap();
        for (write, answers) in writes.iter().zip(&answers) {
            for (change, answer) in write.changes().iter().zip(answers) {
                let (subject, change) = (write.subject().clone(), change.clone());
                judged.extend(answer.clone().ok().map(|outcome| Judged { subject, change, outcome }));
            }
        }
        answers
    }

    /// From now on write calls wait before they do anything.
    pub(crate) fn hold(&self) {
        self.open.send_replace(false);
    }

    pub(crate) fn release(&self) {
        self.open.send_replace(true);
    }

    /// From now on every write panics. Panics itself.
    #[expect(clippy::panic, reason = "it is what is planted")]
    pub(crate) fn break_lock(&self) {
        let _held = self.faults.lock().unwrap();
        panic!("planted");
    }

    pub(crate) fn sent(&self) -> Vec<Vec<Write>> {
        self.sent.lock().unwrap().clone()
    }

    /// Waits until so many write calls were begun.
    pub(crate) async fn begun(&self, calls: usize) {
        while self.sent.lock().unwrap().len() < calls {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) fn profile(&self, user: &str) -> Profile {
        use stickystore_core::StoreExt as _;
        self.memory.load(call(), &subject(user)).unwrap()
    }

    pub(crate) fn value(&self, user: &str, key: &str) -> Option<String> {
        let profile = self.profile(user);
        profile.get(key).and_then(|entry| entry.value.as_string().map(std::borrow::Cow::into_owned))
    }
}

#[async_trait]
impl AsyncStore for Planted {
    fn info(&self) -> &StoreInfo {
        &self.info
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        stickystore_core::Store::read(&self.memory, call, reads)
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        self.sent.lock().unwrap().push(writes.to_vec());
        self.under_way.fetch_add(1, Ordering::SeqCst);
        let _done = Done(&self.under_way);
        let mut open = self.open.subscribe();
        let is_open = tokio::time::timeout_at(call.deadline.into(), open.wait_for(|open| *open));
        if is_open.await.is_err() {
            return all(writes, &Error::new(ErrorKind::Timeout, "held"));
        }
        let fault = self.faults.lock().unwrap().pop_front();
        let apply = |writes: &[Write]| self.apply(call, writes);
        match fault {
            None => apply(writes),
            Some(Fault::Refused(kind)) => {
                all(writes, &Error::new(kind, "planted").with_effect(Effect::NotApplied))
            }
            Some(Fault::Lost) => all(writes, &Error::new(ErrorKind::Unavailable, "planted")),
            Some(Fault::Hidden) => {
                apply(writes);
                all(writes, &Error::new(ErrorKind::Timeout, "planted"))
            }
            Some(Fault::Half) => {
                let firsts: Vec<_> =
                    writes.iter().map(|write| write.filtered(|place, _| place == 0)).collect();
                let mut answers = apply(&firsts);
                for (answers, write) in answers.iter_mut().zip(writes) {
                    let refused = Error::new(ErrorKind::Full, "planted");
                    answers.resize(write.changes().len(), Err(refused));
                }
                answers
            }
        }
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        stickystore_core::Store::erase(&self.memory, call, erases)
    }

    async fn ping(&self, call: Call) -> Result<()> {
        stickystore_core::Store::ping(&self.memory, call)
    }

    /// What stands in memory outlives its handle here, as a server would.
    async fn close(&self, _: Call) -> Result<()> {
        Ok(())
    }

    async fn diagnose(&self, _: Call) -> Vec<Finding> {
        Vec::new()
    }

    fn scan(&self) -> Option<&dyn AsyncScan> {
        None
    }
}

/// Counts a call off, also one that is dropped.
struct Done<'a>(&'a AtomicUsize);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn all(writes: &[Write], error: &Error) -> Vec<Vec<Result<Outcome>>> {
    writes.iter().map(|write| vec![Err(error.clone()); write.changes().len()]).collect()
}

/// Where the clock of these tests begins.
pub(crate) fn start_time() -> UnixMillis {
    UnixMillis::new(1_700_000_000_000).unwrap()
}

pub(crate) fn clock() -> ManualClock {
    ManualClock::new(start_time())
}

pub(crate) fn call() -> Call {
    Call::new(start_time(), Instant::now() + PATIENCE)
}

pub(crate) fn short_call() -> Call {
    Call::new(start_time(), Instant::now() + SHORT)
}

/// With waits that do not hold up a test, and no fault by a slow machine.
pub(crate) fn behind(store: &Planted) -> Builder<Planted> {
    let builder = WriteBehind::over(store.clone()).clock(clock());
    let builder = builder.linger(Duration::ZERO).queue_age(Duration::from_secs(300));
    builder.retry(Duration::from_millis(1), Duration::from_millis(2)).attempt(PATIENCE)
}

pub(crate) async fn start(builder: Builder<Planted>) -> WriteBehind<Planted> {
    builder.start(call()).await.unwrap()
}

pub(crate) fn subject(user: &str) -> Subject {
    Subject::new(Namespace::new("shop").unwrap(), UserId::new(user).unwrap())
}

pub(crate) fn key(key: &str) -> Key {
    Key::new(key).unwrap()
}

pub(crate) fn entry(value: &str) -> Entry {
    Entry::new(Value::string(value), Expiry::Never)
}

pub(crate) fn write(user: &str, changes: Vec<Change>) -> Write {
    Write::new(subject(user), EpochCheck::Is(None), changes).unwrap()
}

pub(crate) fn insert(user: &str, at: &str, value: &str) -> Write {
    write(user, vec![Change::Insert(key(at), entry(value))])
}

/// The names of why changes were not written, in order.
pub(crate) fn whys(report: &Report) -> Vec<&'static str> {
    report.unwritten.iter().map(|unwritten| unwritten.why.as_str()).collect()
}

/// A memory store as somebody else's: what is written to it directly is another process's doing.
pub(crate) fn other(store: &Planted) -> Immediate<MemoryStore> {
    Immediate::new(store.memory.clone())
}
