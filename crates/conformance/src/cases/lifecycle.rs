//! Handles and their calls: deadlines, closing, runtimes that come and go, and what may be shown.

use std::future::Future;
use std::time::{Duration, Instant};

use stickystore_core::{
    AsyncScan, AsyncStore, AsyncStoreExt as _, Call, Change, Effect, EpochCheck, Error, ErrorKind, Keys,
    Outcome, Read, Result, Sharing, Store, Subject, Value, Write,
};

use crate::act;
use crate::context::{CaseResult, Context, Skip, entry, key};
use crate::probe::Probe;
use crate::seen::{assert_entries, assert_entry};

/// How long marks last here, in milliseconds.
const MARK: u64 = 600_000;

/// How much later than its deadline a call may end, by the contract.
const OVERRUN: Duration = Duration::from_millis(100);

/// How much later still a machine may notice that runs many suites at once. What a store does when its server
/// is silent is tried with a proxy in between, not here.
const MACHINE: Duration = Duration::from_millis(900);

/// A text that nothing may show.
const SECRET: &str = "f5d1c0ffee-must-not-be-shown";

/// Every operation of the trait, each with its name and how it ended.
async fn every_operation(
    cx: &Context,
    store: &Probe,
    call: Call,
    user: &Subject,
) -> Vec<(&'static str, Result<()>)> {
    let some = Keys::only([key("k")]).expect("one key");
    let reads = [Read::all(user.clone()), Read::some(user.clone(), some)];
    let changes = vec![
        Change::Insert(key("insert"), entry("late")),
        Change::Put(key("k"), entry("late")),
        Change::Replace(key("replaced"), stickystore_core::Revision::from_bytes([7; 8]), entry("late")),
        Change::Remove(key("removed")),
        Change::RemoveIf(key("removed if"), stickystore_core::Revision::from_bytes([8; 8])),
    ];
    let write = Write::new(user.clone(), EpochCheck::Ignore, changes).expect("different keys");
    let erase = cx.erase(user, MARK);
    let mut ended = Vec::new();
    ended.extend(store.read(call, &reads).await.into_iter().map(|answer| ("read", answer.map(drop))));
    let written = store.write(call, &[write.clone(), write]).await;
    assert_eq!(written.iter().map(Vec::len).collect::<Vec<_>>(), [5, 5], "an answer for each change");
    ended.extend(written.into_iter().flatten().map(|answer| ("write", answer.map(drop))));
    let erased = store.erase(call, &[erase.clone(), erase]).await;
    assert_eq!(erased.len(), 2, "an answer for each erase");
    ended.extend(erased.into_iter().map(|answer| ("erase", answer.map(drop))));
    ended.push(("ping", store.ping(call).await));
    if store.scan().is_some() {
        let page = store.scan_users(call, cx.namespace(), None, 10).await;
        ended.push(("scan", page.map(drop)));
    }
    ended
}

/// A user with the entries that [`every_operation`] names.
async fn given_user(cx: &Context) -> Subject {
    let user = cx.user("ann");
    act::put(cx, &user, "k", &entry("stands")).await;
    act::put(cx, &user, "removed", &entry("stands")).await;
    act::put(cx, &user, "replaced", &named(7)).await;
    act::put(cx, &user, "removed if", &named(8)).await;
    user
}

fn named(byte: u8) -> stickystore_core::Entry {
    entry("stands").with_revision(stickystore_core::Revision::from_bytes([byte; 8]))
}

async fn assert_untouched(cx: &Context, user: &Subject) {
    let profile = act::load(cx, user).await;
    let stands: Vec<(&str, &str)> =
        profile.entries().map(|(key, entry)| (key.as_str(), entry.value.as_str())).collect();
    let expected = ["k", "removed", "removed if", "replaced"].map(|at| (at, "\"stands\""));
    assert_eq!(stands, expected, "nothing was applied");
    assert_eq!(profile.epoch(), None, "nothing was erased");
}

pub(crate) async fn passed_deadline_is_not_applied(cx: Context) -> CaseResult {
    let user = given_user(&cx).await;
    for late in [Duration::ZERO, Duration::from_millis(1), Duration::from_secs(1)] {
        let now = Instant::now();
        let call = Call::new(cx.start(), now.checked_sub(late).unwrap_or(now));
        let began = Instant::now();
        for (operation, ended) in every_operation(&cx, cx.store(), call, &user).await {
            let error = ended.expect_err("the deadline had passed");
            assert_eq!(error.kind(), ErrorKind::Timeout, "{operation}, {late:?} late");
            assert_eq!(error.effect(), Effect::NotApplied, "{operation}, {late:?} late");
        }
        assert!(began.elapsed() < OVERRUN + MACHINE, "there was nothing to wait for");
        assert_untouched(&cx, &user).await;
    }
    Ok(())
}

/// Large calls with short deadlines: they end in time, and every answer is true.
pub(crate) async fn calls_end_by_their_deadline(cx: Context) -> CaseResult {
    const USERS: usize = 4_000;
    async fn in_time<T>(deadline: Instant, answer: impl Future<Output = T>) -> T {
        let answer = answer.await;
        let late = Instant::now().saturating_duration_since(deadline);
        assert!(late <= OVERRUN + MACHINE, "{late:?} after the deadline");
        answer
    }
    for millis in [1, 5, 20] {
        let users: Vec<Subject> = (0..USERS).map(|at| cx.user(&format!("{millis} {at}"))).collect();
        let written = entry("written");
        let write = |user: &Subject| {
            let change = Change::Insert(key("k"), written.clone());
            Write::new(user.clone(), EpochCheck::Is(None), vec![change]).expect("one change")
        };
        let writes: Vec<Write> = users.iter().map(write).collect();
        let reads: Vec<Read> = users.iter().cloned().map(Read::all).collect();
        let deadline = Instant::now() + Duration::from_millis(millis);
        let call = Call::new(cx.start(), deadline);
        let answers = in_time(deadline, cx.store().write(call, &writes)).await;
        assert_eq!(answers.len(), USERS);
        let deadline = Instant::now() + Duration::from_millis(millis);
        let profiles = in_time(deadline, cx.store().read(Call::new(cx.start(), deadline), &reads)).await;
        assert_eq!(profiles.len(), USERS);
        let stands = cx.store().read(cx.call(), &reads).await;
        for ((write, profile), stands) in answers.into_iter().flatten().zip(profiles).zip(stands) {
            let stands = !stands.expect("there is time for this one").is_empty();
            match write {
                Ok(outcome) => assert_eq!((outcome, stands), (Outcome::Inserted, true)),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
                    assert!(!stands || error.effect() == Effect::Unknown, "not applied, it said");
                }
            }
            match profile {
                // An insert of unknown outcome may land between the two readings.
                Ok(profile) => assert!(stands || profile.is_empty(), "it read what is not there"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Timeout, "{error}"),
            }
        }
    }
    Ok(())
}

/// Calls are begun and dropped, or have hardly any time; what comes back for them later is nobody else's answer.
pub(crate) async fn given_up_calls_disturb_no_other(cx: Context) -> CaseResult {
    const ROUNDS: u32 = 60;
    let (ann, bob) = (cx.user("ann"), cx.user("bob"));
    let stands = entry("bob's");
    act::put(&cx, &ann, "k", &entry("ann's")).await;
    act::put(&cx, &bob, "k", &stands).await;
    for round in 0..ROUNDS {
        // Sooner and later: some are given up before anything is sent, some while the answer is under way.
        let micros = if round % 2 == 0 { 20 * u64::from(round) } else { 1_000_000 };
        let call = Call::new(cx.start(), Instant::now() + Duration::from_micros(micros));
        let steps = round % 5 + 1;
        match round % 3 {
            0 => begin(cx.store().load(call, &ann), steps).await,
            1 => begin(cx.store().get(call, &ann, &key("k")), steps).await,
            _ => begin(cx.store().put(call, &ann, key("k"), entry("ann's")), steps).await,
        }
        let profile =
            cx.store().load(cx.call(), &bob).await.expect("a load of bob after a call that was given up");
        assert_entries(&profile, &[("k", &stands)], &format!("bob, after round {round}"));
        let found = cx.store().get(cx.call(), &bob, &key("k")).await.expect("a get of bob");
        assert_entry(found.as_ref(), Some(&stands), &format!("bob's entry, after round {round}"));
        let kept = act::insert(&cx, &bob, EpochCheck::Is(None), "k", &entry("lost")).await;
        assert_eq!(kept, Outcome::Kept(stands.clone()), "an insert of bob after round {round}");
        let profile = act::load(&cx, &ann).await;
        let value = profile.get("k").map(|entry| entry.value.as_str());
        assert_eq!((profile.len(), value), (1, Some("\"ann's\"")), "ann, after round {round}");
    }
    Ok(())
}

/// Takes a call so many steps forward, and then drops it.
async fn begin<T>(call: impl Future<Output = T>, steps: u32) {
    let mut call = std::pin::pin!(call);
    for _ in 0..steps {
        if futures::poll!(call.as_mut()).is_ready() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn closed_is_closed(cx: Context) -> CaseResult {
    let user = given_user(&cx).await;
    cx.store().close(cx.call()).await.unwrap();
    cx.store().close(cx.call()).await.expect("closing again is fine");
    for (whose, store) in [("the handle", cx.store()), ("its clone", cx.clone_of_store())] {
        for (operation, ended) in every_operation(&cx, store, cx.call(), &user).await {
            let error = ended.expect_err("the store was closed");
            assert_eq!(error.kind(), ErrorKind::Closed, "{operation} on {whose}");
            assert_eq!(error.effect(), Effect::NotApplied, "{operation} on {whose}");
        }
        store.diagnose(cx.call()).await;
    }
    cx.clone_of_store().close(cx.call()).await.expect("closing a clone, too");
    Ok(())
}

pub(crate) async fn closing_a_clone_closes_the_handle(cx: Context) -> CaseResult {
    let user = given_user(&cx).await;
    cx.clone_of_store().close(cx.call()).await.unwrap();
    for (operation, ended) in every_operation(&cx, cx.store(), cx.call(), &user).await {
        assert_eq!(ended.map_err(|error| error.kind()), Err(ErrorKind::Closed), "{operation}");
    }
    Ok(())
}

/// Another handle of the same configuration is another connection, not a clone.
pub(crate) async fn closing_leaves_second_handles_open(cx: Context) -> CaseResult {
    let second = cx.second_handle().await?;
    let user = given_user(&cx).await;
    cx.store().close(cx.call()).await.unwrap();
    let profile = second.load(cx.call(), &user).await.unwrap();
    assert_eq!(profile.len(), 4);
    Ok(())
}

pub(crate) async fn ping_answers(cx: Context) -> CaseResult {
    cx.store().ping(cx.call()).await.unwrap();
    cx.clone_of_store().ping(cx.call()).await.unwrap();
    Ok(())
}

/// Checked by the compiler; what runs is that a handle does work on another thread.
pub(crate) async fn handles_and_futures_cross_threads(cx: Context) -> CaseResult {
    fn handle<T: Send + Sync + 'static + ?Sized>() {}
    fn future<T: Send>(future: T) -> T {
        future
    }
    handle::<dyn AsyncStore>();
    handle::<dyn Store>();
    handle::<Box<dyn AsyncStore>>();
    handle::<Error>();
    fn ability<T: Send + Sync + ?Sized>() {}
    ability::<dyn AsyncScan>();
    let store: &dyn AsyncStore = cx.store();
    let user = cx.user("ann");
    let reads = [Read::all(user.clone())];
    assert_eq!(future(store.read(cx.call(), &reads)).await.len(), 1);
    assert!(future(store.write(cx.call(), &[])).await.is_empty());
    assert!(future(store.erase(cx.call(), &[])).await.is_empty());
    future(store.ping(cx.call())).await.unwrap();
    future(store.diagnose(cx.call())).await;
    let elsewhere = cx.clone();
    let other_thread = tokio::spawn(async move { act::put(&elsewhere, &user, "k", &entry("v")).await });
    other_thread.await.unwrap();
    assert_eq!(cx.value(&cx.user("ann"), &key("k")).await.as_deref(), Some("\"v\""));
    Ok(())
}

/// A handle that was opened on a runtime which has ended neither panics nor hangs, nor calls anything absent.
pub(crate) async fn runtime_may_end_before_the_handle(cx: Context) -> CaseResult {
    let user = cx.user("ann");
    let (opener, whose) = (cx.clone(), user.clone());
    let open = move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let store = runtime.expect("the machine has threads for a runtime").block_on(async {
            let store = opener.open_again().await?;
            store.put(opener.call(), &whose, key("k"), entry("before")).await?;
            Ok(store)
        });
        store.map_err(|error: Error| match opener.info().sharing {
            Sharing::Handle => Skip::because(format!("declared: shared by one handle only, and {error}")),
            _ => panic!("a second handle opens and writes: {error}"),
        })
    };
    // On a thread of its own: no runtime may begin or end inside another one.
    let opened = tokio::task::spawn_blocking(move || std::thread::spawn(open).join()).await;
    let store = opened.expect("the thread is waited for").expect("a runtime may end before a handle")?;
    let deadline = Duration::from_secs(1);
    for _ in 0..2 {
        let call = Call::new(cx.start(), Instant::now() + deadline);
        let began = Instant::now();
        let read = store.get(call, &user, &key("k")).await;
        assert!(began.elapsed() <= deadline + OVERRUN + MACHINE, "no hang");
        let read = read.map(|found| found.map(|entry| entry.value.as_str().to_owned()));
        assert!(!matches!(read, Ok(None)), "failed is not absent");
        let call = Call::new(cx.start(), Instant::now() + deadline);
        let began = Instant::now();
        let written = store.put(call, &user, key("other"), entry("after")).await;
        assert!(began.elapsed() <= deadline + OVERRUN + MACHINE, "no hang");
        assert!(matches!(written, Ok(Outcome::Written) | Err(_)));
    }
    drop(store);
    Ok(())
}

pub(crate) async fn info_is_constant(cx: Context) -> CaseResult {
    let before = cx.info().clone();
    let user = given_user(&cx).await;
    every_operation(&cx, cx.store(), cx.call(), &user).await;
    assert_eq!(*cx.info(), before, "after calls");
    assert_eq!(*cx.clone_of_store().info(), before, "on a clone");
    cx.store().close(cx.call()).await.unwrap();
    assert_eq!(*cx.info(), before, "after closing");
    assert!(!before.scheme.is_empty() && before.limits.entry_bytes > 0);
    Ok(())
}

pub(crate) async fn debug_shows_no_content(cx: Context) -> CaseResult {
    let user = cx.user(&format!("user {SECRET}"));
    let at = format!("key {SECRET}");
    act::put(&cx, &user, &at, &entry(SECRET)).await;
    let read = act::load(&cx, &user).await;
    assert!(read.get(&at).is_some());
    for store in [cx.store(), cx.clone_of_store()] {
        for shown in [format!("{store:?}"), format!("{store:#?}")] {
            assert!(!shown.contains(SECRET), "Debug of the store shows what it holds");
        }
    }
    assert!(!format!("{:?}", cx.info()).contains(SECRET));
    Ok(())
}

pub(crate) async fn errors_show_no_content(cx: Context) -> CaseResult {
    let user = cx.user(&format!("user {SECRET}"));
    let at = key(&format!("key {SECRET}"));
    let mut errors = Vec::new();
    let large = SECRET.repeat(cx.info().limits.entry_bytes / SECRET.len() + 1);
    let large = stickystore_core::Entry::new(Value::string(&large), stickystore_core::Expiry::Never);
    errors.push(cx.store().put(cx.call(), &user, at.clone(), large).await.unwrap_err());
    let ended = Call::new(cx.start(), Instant::now());
    errors.push(cx.store().put(ended, &user, at.clone(), entry(SECRET)).await.unwrap_err());
    errors.push(cx.store().erase_one(cx.at(1), cx.erase(&user, 1)).await.unwrap_err());
    if let Ok(plant) = cx.plant() {
        plant.damaged_entry(&user, &at).await;
        errors.push(cx.store().get(cx.call(), &user, &at).await.unwrap_err());
        let insert =
            cx.store().insert(cx.call(), &user, EpochCheck::Is(None), at.clone(), entry(SECRET)).await;
        errors.push(insert.unwrap_err());
        plant.foreign_user(&user).await;
        errors.push(cx.store().load(cx.call(), &user).await.unwrap_err());
    }
    for error in errors {
        let mut shown = format!("{error} {error:?}");
        let mut source = std::error::Error::source(&error);
        while let Some(below) = source {
            shown += &format!(" {below} {below:?}");
            source = below.source();
        }
        assert!(!shown.contains(SECRET), "{:?} shows what was written, or whose", error.kind());
    }
    Ok(())
}

pub(crate) async fn diagnose_answers(cx: Context) -> CaseResult {
    let user = cx.user(&format!("user {SECRET}"));
    act::put(&cx, &user, "k", &entry(SECRET)).await;
    let call = cx.call();
    let findings = cx.store().diagnose(call).await;
    let late = Instant::now().saturating_duration_since(call.deadline);
    assert!(late <= OVERRUN + MACHINE, "{late:?} after the deadline");
    for finding in findings {
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(!finding.name.is_empty() && finding.name.chars().all(is_name), "{}", finding.name);
        assert!(!finding.evidence.is_empty(), "{} says what was seen", finding.name);
        let shown = format!("{} {}", finding.evidence, finding.mend);
        assert!(!shown.contains(SECRET), "{} shows content", finding.name);
    }
    act::assert_holds(&cx, &user, &[("k", &act::load(&cx, &user).await.get("k").expect("it stays").clone())])
        .await;
    Ok(())
}
