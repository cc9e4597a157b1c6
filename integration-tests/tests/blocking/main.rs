//! `Blocking`, from every place that a call can come from: a test for each row of its table, and what may go wrong.
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

use std::num::NonZeroUsize;
use std::time::Duration;

use stickystore_core::{AsyncStore, Blocking, Call, Error, Namespace, Subject, SystemClock, UserId};
use stickystore_integration_tests::waiting::{Ping, Waiting};

mod at_hand;
mod ends;
mod many;
mod opening;
mod own;
mod places;

/// Who drives the runtime, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    HandedOver,
    Driven,
    DrivenOn(usize),
}

/// Whatever holds of one holds of the others, unless the documentation says that it does not.
const WAYS: [Way; 3] = [Way::HandedOver, Way::Driven, Way::DrivenOn(3)];

impl Way {
    /// Opens a store in this way.
    fn open<S, F, Fut>(self, open: F) -> Result<Blocking<S>, Error>
    where
        S: AsyncStore,
        F: Fn() -> Fut + Send + 'static,
        Fut: Future<Output = Result<S, Error>> + Send + 'static,
    {
        match self {
            Self::HandedOver => Blocking::open(open),
            Self::Driven => Blocking::open_driven(open),
            Self::DrivenOn(runtimes) => Blocking::open_driven_on(NonZeroUsize::new(runtimes).unwrap(), open),
        }
    }
}

fn open(ping: Ping, way: Way) -> Blocking<Waiting> {
    way.open(move || {
        let ping = ping.clone();
        async { Waiting::open(ping) }
    })
    .unwrap()
}

/// One of each way.
fn stores() -> [Blocking<Waiting>; WAYS.len()] {
    WAYS.map(|way| open(Ping::Answers, way))
}

fn within(time: Duration) -> Call {
    Call::within(&SystemClock, time)
}

fn call() -> Call {
    within(Duration::from_secs(5))
}

fn multi_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn subject() -> Subject {
    Subject::new(Namespace::new("n").unwrap(), UserId::new("u").unwrap())
}
