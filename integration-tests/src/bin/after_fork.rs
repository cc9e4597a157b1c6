//! Opens a blocking store over the server that its argument names, forks, and calls it on both sides. Exit code 0 if
//! both answered as they should. With a second argument, the number of runtimes, callers drive them, and can have stores of their own.
//!
//! A process of its own, because a fork copies only the thread that forks.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use fork::{Fork, fork, waitpid};
use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    AsyncStore, Blocking, Call, ErrorKind, Immediate, Namespace, Operation, Result, Store, StoreExt as _,
    Subject, SystemClock, UserId,
};
use stickystore_integration_tests::waiting::{Ping, Waiting};

fn main() -> ExitCode {
    let Some(Ok(server)) = std::env::args().nth(1).map(|server| server.parse()) else {
        return ExitCode::from(2);
    };
    let runtimes = std::env::args().nth(2).and_then(|runtimes| runtimes.parse().ok());
    let open = || open(server, runtimes);
    let Ok(store) = open() else { return ExitCode::from(10) };
    if store.ping(call()).is_err() {
        return ExitCode::from(11);
    }
    if runtimes.is_some() && !loads_by_own(&store) {
        return ExitCode::from(18);
    }
    // Everything is at hand, and locks in it could be held by a thread that is not there in the child.
    let Ok(near) = Blocking::open(|| async { Ok(Immediate::new(MemoryStore::new())) }) else {
        return ExitCode::from(15);
    };
    match fork() {
        Ok(Fork::Child) if loads(&near) != Err(ErrorKind::Forked) => ExitCode::from(16),
        Ok(Fork::Child) if runs(&near) != Err(ErrorKind::Forked) => ExitCode::from(17),
        Ok(Fork::Child) => child(store, open),
        Ok(Fork::Parent(child)) => {
            let child_ended = waitpid(child).is_ok_and(|status| status == 0);
            let parent_goes_on = store.ping(call());
            println!("child answered: {child_ended}, parent goes on: {parent_goes_on:?}");
            ExitCode::from(if child_ended && parent_goes_on.is_ok() { 0 } else { 13 })
        }
        Err(_) => ExitCode::from(14),
    }
}

/// The parent's handle is refused, and dropped without touching the parent's connection; a new one works.
fn child(store: Blocking<Waiting>, open: impl Fn() -> Result<Blocking<Waiting>>) -> ExitCode {
    let clone = store.clone();
    let kinds = [&store, &clone].map(|store| store.ping(call()).map_err(|error| error.kind()));
    let loaded = loads(&store);
    drop((store, clone));
    let anew = open().and_then(|store| store.ping(call()));
    let are_refused = kinds == [Err(ErrorKind::Forked); 2] && loaded == Err(ErrorKind::Forked);
    ExitCode::from(if are_refused && anew.is_ok() { 0 } else { 12 })
}

/// Loads until a store of the caller's own answers, which has an entry.
fn loads_by_own(store: &Blocking<Waiting>) -> bool {
    let until = Instant::now() + Duration::from_secs(10);
    while loads(store) == Ok(0) && Instant::now() < until {
        std::thread::yield_now();
    }
    loads(store) == Ok(1)
}

/// How many entries there are.
fn loads(store: &impl Store) -> std::result::Result<usize, ErrorKind> {
    let subject = Namespace::new("n").and_then(|namespace| Ok(Subject::new(namespace, UserId::new("u")?)));
    let loaded = subject.and_then(|subject| store.load(call(), &subject));
    loaded.map(|profile| profile.len()).map_err(|error| error.kind())
}

fn runs<S: AsyncStore>(store: &Blocking<S>) -> std::result::Result<(), ErrorKind> {
    store.run(call(), Operation::Ping, |_| async {}).map_err(|error| error.kind())
}

fn open(server: SocketAddr, runtimes: Option<NonZeroUsize>) -> Result<Blocking<Waiting>> {
    let open = move || async move { Waiting::open(Ping::echoes(server).await?) };
    match runtimes {
        None => Blocking::open(open),
        Some(NonZeroUsize::MIN) => Ok(Blocking::open_driven(open)?.with_own(NonZeroUsize::MIN)),
        Some(runtimes) => Ok(Blocking::open_driven_on(runtimes, open)?.with_own(NonZeroUsize::MIN)),
    }
}

fn call() -> Call {
    Call::within(&SystemClock, Duration::from_secs(5))
}
