//! Stores that a caller has for its own: the claims that every store that can be detached shows in the same way.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use stickystore_core::{
    AsyncStoreExt as _, Blocking, Detach, Effect, EpochCheck, Erase, ErrorKind, Outcome, Store as _,
    StoreExt as _, Subject,
};
use tokio::runtime::Handle;

use crate::failing::{DEADLINE, MACHINE, OVERRUN};
use crate::proxy::{Proxy, Rule};
use crate::server::Failing;
use crate::words::{call, entry, insert, key, user, within};

/// Until when something has to come that is waited for.
const BOUND: Duration = Duration::from_secs(30);

/// Does this on a thread that knows of no runtime.
pub fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// What this gives when it is first polled.
///
/// # Panics
/// Where that is nothing, or a runtime is at hand.
pub fn at_once<T>(future: impl Future<Output = T>) -> T {
    assert!(Handle::try_current().is_err(), "a runtime is at hand");
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => unreachable!("it waits for somebody else"),
    }
}

/// Every kind of call is answered when it is first polled, where there is no runtime.
pub async fn answers_without_a_runtime<S: Detach>(store: &S) {
    let own = store.detach().await.unwrap();
    on_a_thread(|| {
        let subject = user("ann");
        for key_of in ["a", "b"] {
            assert!(own.is_ready(&subject));
            assert_eq!(at_once(insert(&own, call(), &subject, key_of)).unwrap(), Outcome::Inserted);
        }
        let kept = at_once(insert(&own, call(), &subject, "a")).unwrap();
        assert!(matches!(kept, Outcome::Kept(_)), "{kept:?}");
        assert_eq!(at_once(own.load(call(), &subject)).unwrap().len(), 2);
        assert!(at_once(own.erase_one(call(), Erase::new(subject.clone(), call().now))).unwrap());
        assert!(at_once(own.load(call(), &subject)).unwrap().is_empty());
    });
    assert!(!store.is_ready(&user("ann")), "it is for all");
}

/// What is larger than buffers are crosses in both directions, over TLS too.
pub async fn large_values_cross<S: Detach>(store: &S) {
    let own = store.detach().await.unwrap();
    on_a_thread(|| {
        let (subject, large) = (user("large"), "x".repeat(900_000));
        for name in ["a", "b"] {
            let told = at_once(own.put(call(), &subject, key(name), entry(&large)));
            assert_eq!(told.unwrap(), Outcome::Written);
            assert!(at_once(own.erase_one(call(), Erase::new(subject.clone(), call().now))).unwrap());
            let told = at_once(own.put(call(), &subject, key(name), entry(&large)));
            assert_eq!(told.unwrap(), Outcome::Written);
            let stands = at_once(own.get(call(), &subject, &key(name))).unwrap().unwrap();
            assert_eq!(stands.value.len_bytes(), large.len() + 2);
            assert!(at_once(own.erase_one(call(), Erase::new(subject.clone(), call().now))).unwrap());
        }
        assert!(own.is_ready(&subject));
    });
}

/// Answers of many kilobytes, in pieces of one byte too, are whole.
pub async fn long_answers_are_whole<S: Detach>(store: &S, proxy: &Proxy) {
    let own = store.detach().await.unwrap();
    let subject = user("long");
    on_a_thread(|| {
        for i in 0..200 {
            let inserted = at_once(insert(&own, call(), &subject, &format!("{i}{}", "k".repeat(200))));
            assert_eq!(inserted.unwrap(), Outcome::Inserted);
        }
        proxy.down(Rule::Split);
        assert_eq!(at_once(own.load(call(), &subject)).unwrap().len(), 200);
        proxy.down(Rule::Pass);
        assert_eq!(at_once(own.load(call(), &subject)).unwrap().len(), 200);
    });
}

/// A server that does not answer is a timeout in time, and nothing more is asked over that connection.
pub async fn a_server_that_does_not_answer<S: Detach>(store: &S, server: &mut (impl Failing + Send)) {
    let (first, second) = (store.detach().await.unwrap(), store.detach().await.unwrap());
    server.pause();
    on_a_thread(|| {
        let subject = user("ann");
        let (read, written) = (
            in_time(|call| at_once(first.load(call, &subject)).unwrap_err()),
            in_time(|call| at_once(insert(&second, call, &subject, "a")).unwrap_err()),
        );
        assert_eq!((read.kind(), written.kind()), (ErrorKind::Timeout, ErrorKind::Timeout));
        assert!(!first.is_ready(&subject) && !second.is_ready(&subject));
        let again = at_once(insert(&first, call(), &subject, "a")).unwrap_err();
        assert_eq!((again.kind(), again.effect()), (ErrorKind::Unavailable, Effect::NotApplied));
    });
    server.resume();
}

/// A call of so long; it ends in time.
fn in_time<T>(run: impl FnOnce(stickystore_core::Call) -> T) -> T {
    let began = Instant::now();
    let answer = run(within(DEADLINE));
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(DEADLINE) - OVERRUN, "took only {took:?}");
    assert!(took < Duration::from_millis(DEADLINE) + OVERRUN + MACHINE, "took {took:?}");
    answer
}

/// One whose server went away is not ready any more.
pub async fn is_not_ready_without_its_server<S: Detach>(store: &S, server: &mut impl Failing) {
    let (own, subject) = (store.detach().await.unwrap(), user("ann"));
    assert!(own.is_ready(&subject));
    server.die();
    let until = Instant::now() + BOUND;
    while own.is_ready(&subject) && Instant::now() < until {
        std::thread::yield_now();
    }
    assert!(!own.is_ready(&subject));
    assert!(store.detach().await.is_err(), "there is nobody to connect to");
    server.live_again();
}

/// Opens the blocking API of this, and calls it until callers have stores of their own.
pub fn with_own<S: Detach + Clone>(store: &S, proxy: &Proxy, subject: &Subject) -> Blocking<S> {
    let open = {
        let store = store.clone();
        move || async move { Ok(store) }
    };
    let store = Blocking::open_driven(open).unwrap().with_own(std::num::NonZeroUsize::new(8).unwrap());
    let until = Instant::now() + BOUND;
    while proxy.connections() < 2 && Instant::now() < until {
        store.load(call(), subject).unwrap();
    }
    assert!(proxy.connections() >= 2, "nobody has its own");
    store
}

/// Callers who have stores of their own do not notice that the server was started again between two of their calls.
pub fn a_restart_goes_unnoticed<S: Detach + Clone>(store: &S, proxy: &Proxy, server: &mut impl Failing) {
    let subject = user("ann");
    let store = with_own(store, proxy, &subject);
    for round in 0..3 {
        server.die();
        let until = Instant::now() + BOUND;
        while proxy.open() > 0 && Instant::now() < until {
            std::thread::yield_now();
        }
        server.live_again();
        let inserted =
            store.insert(call(), &subject, EpochCheck::Ignore, key(&format!("{round}")), entry("v"));
        assert_eq!(inserted.unwrap(), Outcome::Inserted, "{round}");
    }
}

/// Many callers, of whom some have stores of their own: each its own answers, while connections end.
pub fn many_callers_whose_connections_end<S: Detach + Clone>(store: &S, proxy: &Proxy) {
    let store = with_own(store, proxy, &user("ann"));
    std::thread::scope(|scope| {
        for caller in 0..12 {
            let store = &store;
            scope.spawn(move || {
                let subject = user(&format!("caller {caller}"));
                let mut known = 0;
                for turn in 0..100 {
                    let name = format!("{caller} {turn}");
                    match store.insert(call(), &subject, EpochCheck::Ignore, key(&name), entry("v")) {
                        Ok(told) => assert_eq!(told, Outcome::Inserted, "{name}"),
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
                    }
                    if let Ok(profile) = store.load(call(), &subject) {
                        let own =
                            profile.entries().all(|(key, _)| key.as_str().starts_with(&format!("{caller} ")));
                        assert!(own && profile.len() >= known, "{name}");
                        known = profile.len();
                    }
                    if caller == 0 && turn % 20 == 19 {
                        proxy.down(Rule::CutAfter(1));
                        let _ = store.load(call(), &subject);
                        proxy.down(Rule::Pass);
                    }
                }
            });
        }
    });
    store.close(call()).unwrap();
    assert_eq!(store.load(call(), &user("ann")).unwrap_err().kind(), ErrorKind::Closed);
}
