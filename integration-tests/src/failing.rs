//! Stores on servers that fail: the claims that every store with a connection shows in the same way. What differs from store to
//! store stands in its own tests.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use stickystore_core::{
    AsyncStore, AsyncStoreExt as _, Call, Effect, EpochCheck, ErrorKind, Keys, Outcome, Read, Subject,
};

use crate::proxy::{Proxy, Rule};
use crate::server::Failing;
use crate::words::{call, entry, insert, key, user, within};

/// How long after its deadline a call may end, by the contract.
pub const OVERRUN: Duration = Duration::from_millis(100);

/// How much later anything may be seen on a machine that has others to serve.
pub const MACHINE: Duration = Duration::from_secs(2);

/// A deadline in milliseconds, long enough to tell an early failure from one at the deadline.
pub const DEADLINE: u64 = 400;

/// What a call may fail with while its server comes back.
pub const MEANWHILE: &[ErrorKind] = &[ErrorKind::Timeout, ErrorKind::Unavailable];

/// Runs a call of so many milliseconds, and sees that it ends in time.
pub async fn timed<T>(millis: u64, run: impl AsyncFnOnce(Call) -> T) -> T {
    let began = Instant::now();
    let answer = run(within(millis)).await;
    let took = began.elapsed();
    assert!(took < Duration::from_millis(millis) + OVERRUN + MACHINE, "took {took:?}");
    answer
}

/// Repeats calls of at most this long until one works.
pub async fn works_within(limit: Duration, each: Duration, store: &impl AsyncStore, subject: &Subject) {
    let until = Instant::now() + limit + MACHINE;
    loop {
        let left = until.saturating_duration_since(Instant::now()).min(each);
        match store.load(within(u64::try_from(left.as_millis()).unwrap()), subject).await {
            Ok(_) => return,
            Err(error) => {
                assert!(MEANWHILE.contains(&error.kind()), "{error}");
                assert!(Instant::now() < until, "not back within {limit:?}: {error}");
            }
        }
    }
}

/// A dead server is Unavailable before the deadline, and what is not sent is not applied; back, it works without a new handle.
pub async fn a_dead_server(store: &impl AsyncStore, server: &mut impl Failing) {
    let subject = user("ann");
    assert_eq!(insert(store, call(), &subject, "a").await.unwrap(), Outcome::Inserted);
    server.die();
    for _ in 0..3 {
        let error = timed(DEADLINE, async |call| store.load(call, &subject).await).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        let error = timed(DEADLINE, async |call| insert(store, call, &subject, "b").await).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    let error = timed(DEADLINE, async |call| insert(store, call, &subject, "b").await).await.unwrap_err();
    assert_eq!(error.effect(), Effect::NotApplied, "nothing can be sent to nobody");
    server.live_again();
    // The very first call: no error of an earlier attempt is handed on.
    assert_eq!(insert(store, call(), &subject, "b").await.unwrap(), Outcome::Inserted);
}

/// A server that is down when its store is made is Unavailable, and the store works once it is up.
pub async fn down_at_construction(store: &impl AsyncStore, server: &mut impl Failing) {
    let subject = user("ann");
    let error = timed(DEADLINE, async |call| store.load(call, &subject).await).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    server.live_again();
    assert!(store.load(call(), &subject).await.unwrap().is_empty());
}

/// A paused server is a Timeout, and its late answers reach nobody else; of use again within this time.
pub async fn a_paused_server(store: &impl AsyncStore, server: &mut impl Failing, back: Duration) {
    let subjects = ["ann", "bob", "eve"].map(user);
    for subject in &subjects {
        insert(store, call(), subject, subject.user.as_str()).await.unwrap();
    }
    server.pause();
    for subject in &subjects {
        let error = timed(DEADLINE, async |call| store.load(call, subject).await).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    }
    // Shorter than what makes a connection suspect: this one stays, and its answers come late.
    let error = timed(50, async |call| insert(store, call, &subjects[0], "late").await).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    server.resume();
    works_within(back, Duration::from_millis(DEADLINE), store, &subjects[0]).await;
    for _ in 0..20 {
        for subject in &subjects {
            let profile = store.load(call(), subject).await.unwrap();
            assert!(profile.get(subject.user.as_str()).is_some(), "everyone's answer is their own");
        }
    }
}

/// A call that is given up early, by its deadline or by being dropped, leaves a connection that answers the next one right.
pub async fn calls_given_up_early(store: &impl AsyncStore, proxy: &Proxy) {
    let (ann, bob) = (user("ann"), user("bob"));
    insert(store, call(), &ann, "ann").await.unwrap();
    insert(store, call(), &bob, "bob").await.unwrap();
    for round in 0..20 {
        proxy.down(Rule::Hold);
        if round % 2 == 0 {
            assert_eq!(store.load(within(20), &ann).await.unwrap_err().kind(), ErrorKind::Timeout);
        } else {
            let dropped = tokio::time::timeout(Duration::from_millis(20), store.load(call(), &ann)).await;
            assert!(dropped.is_err(), "its answer is held");
        }
        proxy.down(Rule::Pass);
        let profile = store.load(call(), &bob).await.unwrap();
        assert!(profile.get("bob").is_some() && profile.len() == 1, "the late answer is not this one's");
    }
}

/// What is sent or answered into a black hole ends at the deadline, with one of these; out of it, the store is of use again within this time.
pub async fn a_black_hole(store: &impl AsyncStore, proxy: &Proxy, may: &[ErrorKind], back: Duration) {
    let subject = user("ann");
    store.ping(call()).await.unwrap();
    for (up, down) in [(Rule::Swallow, Rule::Pass), (Rule::Pass, Rule::Swallow)] {
        proxy.up(up);
        proxy.down(down);
        for _ in 0..3 {
            let error = timed(DEADLINE, async |call| store.load(call, &subject).await).await.unwrap_err();
            assert!(may.contains(&error.kind()), "{error}");
        }
        proxy.up(Rule::Pass);
        proxy.down(Rule::Pass);
        works_within(back, Duration::from_millis(DEADLINE), store, &subject).await;
    }
}

/// Rounds of 500 callers of a server that does not answer end with one of these, and leave at most so many tasks behind.
pub async fn callers_leave_nothing_behind<S: AsyncStore + Clone + 'static>(
    store: &S,
    rounds: usize,
    may: &[ErrorKind],
    tasks_left: usize,
    fall_silent: impl FnOnce(),
) {
    store.ping(call()).await.unwrap();
    let subject = user("ann");
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    fall_silent();
    for round in 0..rounds {
        let calls = (0..500).map(|_| {
            let (store, subject) = (store.clone(), subject.clone());
            tokio::spawn(async move { store.load(within(300), &subject).await.unwrap_err().kind() })
        });
        for call in calls.collect::<Vec<_>>() {
            let kind = call.await.unwrap();
            assert!(may.contains(&kind), "{kind:?} in round {round}");
        }
        assert!(tasks() <= before + tasks_left, "{} tasks, {before} before", tasks());
    }
}

/// A write whose connection ends by these rules, upwards and downwards, is Unavailable and says this of its effect; sent again
/// it is right.
pub async fn a_write_cut_off(
    store: &impl AsyncStore,
    proxy: &Proxy,
    cuts: &[((Rule, Rule), Effect)],
    back: Duration,
) {
    let subject = user("ann");
    for (i, ((up, down), effect)) in cuts.iter().enumerate() {
        works_within(back, back, store, &subject).await;
        let (name, entry) = (key(&i.to_string()), entry("v"));
        let again = |call| store.insert(call, &subject, EpochCheck::Is(None), name.clone(), entry.clone());
        proxy.up(*up);
        proxy.down(*down);
        let error = again(within(2_000)).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, *effect), "{up:?}, {down:?}");
        proxy.up(Rule::Pass);
        proxy.down(Rule::Pass);
        assert_eq!(again(call()).await.unwrap(), Outcome::Inserted, "{up:?}, {down:?}");
    }
}

/// The ways in which a write's connection may end that leave its outcome unknown.
pub const UNKNOWN: &[((Rule, Rule), Effect)] = &[
    ((Rule::ResetAfter(40), Rule::Pass), Effect::Unknown),
    ((Rule::CutAfter(40), Rule::Pass), Effect::Unknown),
    ((Rule::Pass, Rule::ResetAfter(0)), Effect::Unknown),
    ((Rule::Pass, Rule::CutAfter(0)), Effect::Unknown),
    ((Rule::Pass, Rule::CutAfter(3)), Effect::Unknown),
];

/// Answers that come byte by byte are whole.
pub async fn answers_byte_by_byte(store: &impl AsyncStore, proxy: &Proxy) {
    let subject = user("ann");
    insert(store, call(), &subject, "a").await.unwrap();
    proxy.up(Rule::Split);
    proxy.down(Rule::Split);
    for name in ["b", "c"] {
        assert_eq!(insert(store, call(), &subject, name).await.unwrap(), Outcome::Inserted);
    }
    assert_eq!(store.load(call(), &subject).await.unwrap().len(), 3);
    let some = Read::some(subject.clone(), Keys::only([key("a"), key("z")]).unwrap());
    assert_eq!(store.read_one(call(), some).await.unwrap().len(), 1);
}

/// An answer cut off after any byte is an error, and never absent.
pub async fn an_answer_cut_off(store: &impl AsyncStore, proxy: &Proxy, back: Duration) {
    /// Longer than any answer of one entry.
    const MOST: usize = 400;
    let subject = user("ann");
    insert(store, call(), &subject, "a").await.unwrap();
    for bytes in 0..MOST {
        works_within(back, back, store, &user("bob")).await;
        proxy.down(Rule::CutAfter(bytes));
        let loaded = store.load(call(), &subject).await;
        proxy.down(Rule::Pass);
        match loaded {
            Ok(profile) => {
                assert_eq!(profile.len(), 1, "after {bytes} bytes");
                assert!(bytes > 20, "a whole answer is longer than that");
                return;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "after {bytes} bytes"),
        }
    }
    panic!("the answer was longer than the test");
}

/// A store that was first used on a runtime that has gone is of use on the next one.
pub async fn a_forgotten_runtime<S: AsyncStore + Clone + 'static>(store: &S) {
    let subject = user("ann");
    let (moved, user) = (store.clone(), subject.clone());
    let other = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(insert(&moved, call(), &user, "a")).unwrap()
    });
    assert_eq!(other.join().unwrap(), Outcome::Inserted);
    assert_eq!(store.load(call(), &subject).await.unwrap().len(), 1);
}

/// Outside of a runtime a store says that it needs one.
pub fn no_runtime(store: &impl AsyncStore) {
    let mut ping = pin!(store.ping(call()));
    match ping.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Err(error)) => assert_eq!(error.kind(), ErrorKind::Config),
        other => panic!("{other:?}"),
    }
}
