//! What a case has at hand: its store, a namespace of its own, its time, and short words for the model.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stickystore_core::{AsyncStore as _, AsyncStoreExt as _};
use stickystore_core::{
    Call, Clock as _, Entry, Erase, Expiry, Key, Namespace, Revision, Sharing, StoreInfo, Subject,
    SystemClock, UnixMillis, UserId, Value,
};

use crate::harness::{Effort, Harness, Opened, Plant};
use crate::probe::Probe;

/// How a case ends: assertions panic, and what the store declares not to have is skipped.
pub(crate) type CaseResult = Result<(), Skip>;

/// Why a case did not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Skip(pub(crate) String);

impl Skip {
    pub(crate) fn because(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// What a case has at hand. Clones share everything.
#[derive(Clone)]
pub(crate) struct Context(Arc<Inner>);

struct Inner {
    harness: Harness,
    opened: Opened,
    namespace: Namespace,
    start: UnixMillis,
}

impl Context {
    pub(crate) async fn open(harness: &Harness, case: &str) -> stickystore_core::Result<Self> {
        let opened = (harness.open)().await?;
        // Random, so that cases and runs on one server never meet.
        let namespace = format!("conformance/{case}/{}", Revision::random());
        let namespace = Namespace::new(namespace).expect("a case's name is short");
        let (harness, start) = (harness.clone(), SystemClock.now());
        Ok(Self(Arc::new(Inner { harness, opened, namespace, start })))
    }

    /// The store under test.
    pub(crate) fn store(&self) -> &Probe {
        &self.0.opened.store
    }

    /// A clone of its handle.
    pub(crate) fn clone_of_store(&self) -> &Probe {
        &self.0.opened.clone
    }

    /// The store or its clone, in turn: what holds for one handle has to hold across two.
    pub(crate) fn handle(&self, turn: usize) -> &Probe {
        if turn.is_multiple_of(2) { self.store() } else { self.clone_of_store() }
    }

    /// Opens the store once more, perhaps with other data; on the runtime of whoever asks.
    pub(crate) async fn open_again(&self) -> stickystore_core::Result<Probe> {
        Ok((self.0.harness.open)().await?.store)
    }

    /// A second handle from the same configuration; skips where stores are not shared that way.
    pub(crate) async fn second_handle(&self) -> Result<Probe, Skip> {
        if self.info().sharing == Sharing::Handle {
            return Err(Skip::because("declared: shared by clones of one handle only"));
        }
        Ok((self.0.harness.open)().await.expect("a second handle opens").store)
    }

    /// The means to damage data; skips where the harness has none.
    pub(crate) fn plant(&self) -> Result<&dyn Plant, Skip> {
        let plant = self.0.opened.plant.as_deref();
        plant.ok_or_else(|| Skip::because("the harness gives no means to damage data"))
    }

    /// The store's grace; skips where the harness does not say it.
    pub(crate) fn grace(&self) -> Result<Duration, Skip> {
        self.0.harness.grace.ok_or_else(|| Skip::because("the harness does not say the store's grace"))
    }

    /// How far a random case shall go.
    pub(crate) fn effort(&self) -> Effort {
        self.0.harness.effort
    }

    pub(crate) fn info(&self) -> &StoreInfo {
        self.store().info()
    }

    /// The case's own namespace.
    pub(crate) fn namespace(&self) -> &Namespace {
        &self.0.namespace
    }

    /// A second namespace of the case's own.
    pub(crate) fn other_namespace(&self) -> Namespace {
        Namespace::new(format!("{}/other", self.0.namespace)).expect("it is short")
    }

    /// When the case began: its time zero, the real time.
    pub(crate) fn start(&self) -> UnixMillis {
        self.0.start
    }

    /// So many milliseconds after the case began.
    pub(crate) fn time(&self, millis: u64) -> UnixMillis {
        self.0.start.saturating_add(Duration::from_millis(millis))
    }

    /// A call at the case's time zero.
    pub(crate) fn call(&self) -> Call {
        self.at(0)
    }

    /// A call so many milliseconds after the case began, by the injected clock.
    pub(crate) fn at(&self, millis: u64) -> Call {
        Call::new(self.time(millis), self.deadline())
    }

    /// A call at the real time.
    pub(crate) fn real_call(&self) -> Call {
        Call::new(SystemClock.now(), self.deadline())
    }

    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.0.harness.deadline
    }

    /// This user in the case's namespace.
    pub(crate) fn user(&self, id: &str) -> Subject {
        Subject::new(self.0.namespace.clone(), UserId::new(id).expect("the case names a valid user"))
    }

    /// An entry that ends so many milliseconds after the case began.
    pub(crate) fn until(&self, value: &str, millis: u64) -> Entry {
        Entry::new(Value::string(value), Expiry::At(self.time(millis)))
    }

    /// An erasure of this user whose mark ends so many milliseconds after the case began.
    pub(crate) fn erase(&self, subject: &Subject, mark_until: u64) -> Erase {
        Erase::new(subject.clone(), self.time(0)).with_mark_until(self.time(mark_until))
    }

    /// The value that a get gives, for assertions: JSON text, or nothing.
    pub(crate) async fn value(&self, subject: &Subject, key: &Key) -> Option<String> {
        let entry = self.store().get(self.call(), subject, key).await.expect("get answers");
        entry.map(|entry| entry.value.as_str().to_owned())
    }
}

/// This key.
pub(crate) fn key(key: &str) -> Key {
    Key::new(key).expect("the case names a valid key")
}

/// An endless entry with this string, under a new revision.
pub(crate) fn entry(value: &str) -> Entry {
    Entry::new(Value::string(value), Expiry::Never)
}
