//! What the journal has after a crash, each step of it; what is too old, damaged, or another's.

use std::time::{Duration, Instant};

use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Call, Change, Effect, Erase, ErrorKind, Eviction, ManualClock,
    Namespace, Sharing, StoreInfo, Subject, UserId, Value,
};
use stickystore_layers::write_behind::{Builder, Journal, Report, WhenFull, WriteBehind};

use crate::planted::{
    Fault, Planted, behind, call, clock, entry, insert, key, other, short_call, start, start_time, subject,
    whys, write,
};

fn journaled(store: &Planted, journal: &Planted) -> Builder<Planted> {
    let builder = behind(store).mark_life(Duration::from_secs(3_600));
    builder.journal(Journal::new(journal.clone()))
}

fn place() -> Subject {
    Subject::new(Namespace::new("stickystore:write-behind").unwrap(), UserId::new("local").unwrap())
}

/// How many records stand in it.
async fn records(journal: &Planted) -> usize {
    other(journal).load(call(), &place()).await.unwrap().len()
}

/// What a new process makes of what an earlier one left.
async fn after_a_crash(
    store: &Planted,
    journal: &Planted,
    clock: ManualClock,
) -> (WriteBehind<Planted>, Report) {
    store.release();
    journal.release();
    let handle = start(journaled(store, journal).clock(clock)).await;
    let report = handle.flush(call()).await;
    (handle, report)
}

#[tokio::test]
async fn what_is_acknowledged_stands_in_the_journal_until_the_store_has_judged_it() {
    let (store, journal) = (Planted::new(), Planted::new());
    store.hold();
    let handle = start(journaled(&store, &journal)).await;
    let queued = handle.enqueue(call(), insert("ann", "k", "v")).await.unwrap();
    assert!(queued.is_journaled());
    assert_eq!(records(&journal).await, 1);
    store.release();
    assert_eq!(handle.flush(call()).await.applied, 1);
    assert_eq!(records(&journal).await, 0);
}

#[tokio::test]
async fn nothing_is_sent_before_it_stands_in_the_journal() {
    let (store, journal) = (Planted::new(), Planted::new());
    journal.hold();
    let handle = start(journaled(&store, &journal)).await;
    let first = tokio::spawn({
        let handle = handle.clone();
        let soon = Call::new(start_time(), Instant::now() + Duration::from_secs(1));
        async move { handle.enqueue(soon, insert("ann", "k", "v")).await.unwrap_err() }
    });
    journal.begun(1).await;
    // Behind one that is on its way into the journal: this one is not, and is taken back.
    let error = handle.enqueue(short_call(), insert("bob", "k", "v")).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::NotApplied));
    let error = first.await.unwrap();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::Unknown));
    assert!(store.sent().is_empty());
    journal.release();
    assert_eq!(handle.flush(call()).await.applied, 1);
    assert!(store.profile("bob").is_empty());
}

#[tokio::test]
async fn a_crash_before_it_was_sent_loses_nothing() {
    let (store, journal) = (Planted::new(), Planted::new());
    store.hold();
    let handle = start(journaled(&store, &journal)).await;
    let (red, blue) = (entry("red"), entry("blue"));
    handle.enqueue(call(), write("ann", vec![Change::Insert(key("k"), red.clone())])).await.unwrap();
    let replace = Change::Replace(key("k"), red.revision, blue.clone());
    handle.enqueue(call(), write("ann", vec![replace])).await.unwrap();
    drop(handle);
    let (_handle, report) = after_a_crash(&store, &journal, clock()).await;
    assert_eq!((report.applied, whys(&report)), (2, vec![]));
    assert_eq!(store.profile("ann").get("k").unwrap(), &blue, "in order, under the same revisions");
    assert_eq!(records(&journal).await, 0);
}

#[tokio::test]
async fn a_crash_after_it_was_applied_applies_it_no_second_time() {
    let (store, journal) = (Planted::new(), Planted::new());
    store.hold();
    let handle = start(journaled(&store, &journal)).await;
    // The record is written, its removal is not.
    let red = entry("red");
    let queued =
        handle.enqueue(call(), write("ann", vec![Change::Insert(key("k"), red.clone())])).await.unwrap();
    journal.hold();
    store.release();
    queued.outcomes(call()).await.remove(0).unwrap();
    drop(handle);
    assert_eq!(records(&journal).await, 1);
    let blue = entry("blue");
    other(&store).replace(call(), &subject("ann"), key("k"), red.revision, blue.clone()).await.unwrap();
    let (_handle, report) = after_a_crash(&store, &journal, clock()).await;
    assert_eq!(whys(&report), ["kept"], "what came later stays");
    assert_eq!(store.profile("ann").get("k").unwrap(), &blue);
    assert_eq!(records(&journal).await, 0);
}

#[tokio::test]
async fn a_users_next_write_leaves_when_the_record_of_the_last_is_out_of_the_journal() {
    let (store, journal) = (Planted::new(), Planted::new());
    store.hold();
    let handle = start(journaled(&store, &journal)).await;
    let red = entry("red");
    let first =
        handle.enqueue(call(), write("ann", vec![Change::Insert(key("k"), red.clone())])).await.unwrap();
    let remove = write("ann", vec![Change::RemoveIf(key("k"), red.revision)]);
    handle.enqueue(call(), remove).await.unwrap();
    journal.hold();
    store.release();
    assert!(first.outcomes(call()).await.remove(0).unwrap().is_applied());
    // The record of the first is on its way out, and stays there.
    journal.begun(3).await;
    assert_eq!(handle.flush(short_call()).await.pending, 2);
    assert_eq!(store.sent().len(), 1, "or the insert, found again, would follow its own removal");
    journal.release();
    assert_eq!(handle.flush(call()).await.applied, 1);
    assert!(store.profile("ann").is_empty());
}

#[tokio::test]
async fn a_user_who_is_erased_between_crash_and_start_stays_erased() {
    let (store, journal) = (Planted::new(), Planted::new());
    store.hold();
    let handle = start(journaled(&store, &journal)).await;
    handle.enqueue(call(), insert("ann", "k", "v")).await.unwrap();
    drop(handle);
    other(&store).erase_one(call(), Erase::new(subject("ann"), start_time())).await.unwrap();
    let (_handle, report) = after_a_crash(&store, &journal, clock()).await;
    assert_eq!(whys(&report), ["erased"]);
    assert!(store.profile("ann").is_empty());
}

#[tokio::test]
async fn what_is_older_than_its_ages_is_dropped_and_reported() {
    // Queue age 300 s and journal age 480 s.
    // What time the replay itself takes counts too.
    for (later, is_written) in [(720_000, true), (780_000, false)] {
        let (store, journal) = (Planted::new(), Planted::new());
        store.hold();
        let handle = start(journaled(&store, &journal)).await;
        handle.enqueue(call(), insert("ann", "k", "v")).await.unwrap();
        drop(handle);
        let later = start_time().saturating_add(Duration::from_millis(later));
        let (_handle, report) = after_a_crash(&store, &journal, ManualClock::new(later)).await;
        let (applied, reported) = if is_written { (1, vec![]) } else { (0, vec!["too-old"]) };
        assert_eq!((report.applied, whys(&report)), (applied, reported));
        assert_eq!(store.profile("ann").is_empty(), !is_written);
        assert_eq!(records(&journal).await, 0);
    }
}

#[tokio::test]
async fn what_is_from_later_than_now_is_dropped_and_reported() {
    let (store, journal) = (Planted::new(), Planted::new());
    store.hold();
    let handle = start(journaled(&store, &journal)).await;
    handle.enqueue(call(), insert("ann", "k", "v")).await.unwrap();
    drop(handle);
    let earlier = start_time().saturating_sub(Duration::from_secs(61));
    let (_handle, report) = after_a_crash(&store, &journal, ManualClock::new(earlier)).await;
    assert_eq!(whys(&report), ["too-old"]);
    assert!(store.profile("ann").is_empty());
}

#[tokio::test]
async fn damaged_records_are_reported_and_stay_and_stop_nothing() {
    let (store, journal) = (Planted::new(), Planted::new());
    let mut rubbish = entry("");
    rubbish.value = Value::new("{\"v\":1}").unwrap();
    for at in ["00000000000000000000", "notes"] {
        other(&journal).put(call(), &place(), key(at), rubbish.clone()).await.unwrap();
    }
    journal.memory.plant(&place(), key("00000000000000000001"), "unreadable");
    let (handle, report) = after_a_crash(&store, &journal, clock()).await;
    let damaged: Vec<_> = report.damaged.iter().map(|damaged| damaged.record.as_str()).collect();
    assert_eq!(damaged, ["00000000000000000001", "00000000000000000000", "notes"]);
    assert!(!report.is_clean());
    handle.enqueue(call(), insert("ann", "k", "v")).await.unwrap();
    assert_eq!(handle.flush(call()).await.applied, 1);
    let left = other(&journal).load(call(), &place()).await.unwrap();
    assert_eq!((left.len(), left.damaged().len()), (2, 1), "they stay");
}

#[tokio::test]
async fn what_the_journal_refuses_is_not_queued() {
    for (fault, effect) in [
        (Fault::Refused(ErrorKind::Full), Effect::NotApplied),
        (Fault::Lost, Effect::Unknown),
        (Fault::Hidden, Effect::Unknown),
    ] {
        let (store, journal) = (Planted::new(), Planted::new());
        journal.plant([fault]);
        let handle = start(journaled(&store, &journal)).await;
        let error = handle.enqueue(call(), insert("ann", "k", "v")).await.unwrap_err();
        assert_eq!(error.effect(), effect, "{fault:?}");
        handle.shutdown(call()).await;
        assert!(store.sent().is_empty());
        assert_eq!(records(&journal).await, 0, "nor does it stand there for the next start: {fault:?}");
    }
}

#[tokio::test]
async fn a_journal_that_does_not_forget_is_asked_again_with_waits_and_stops_no_other_user() {
    let (store, journal) = (Planted::new(), Planted::new());
    let minute = Duration::from_secs(60);
    let handle = start(journaled(&store, &journal).retry(minute, minute)).await;
    store.hold();
    let first = handle.enqueue(call(), insert("ann", "k", "v")).await.unwrap();
    journal.plant([Fault::Refused(ErrorKind::Unavailable)]);
    store.release();
    first.outcomes(call()).await.remove(0).unwrap();
    journal.begun(2).await;
    let second = handle.enqueue(call(), insert("bob", "k", "v")).await.unwrap();
    second.outcomes(call()).await.remove(0).unwrap();
    assert_eq!(handle.flush(call()).await.applied, 2);
    assert_eq!(records(&journal).await, 0, "a flush does not wait for that");
    assert!(journal.sent().len() <= 5, "{}", journal.sent().len());
}

#[tokio::test]
async fn a_caller_who_is_dropped_while_the_journal_is_written_loses_nothing_of_others() {
    let (store, journal) = (Planted::new(), Planted::new());
    journal.hold();
    let handle = start(journaled(&store, &journal)).await;
    let queueing = |user: &'static str| {
        let handle = handle.clone();
        tokio::spawn(async move { handle.enqueue(call(), insert(user, "k", "v")).await.map(drop) })
    };
    let dropped = queueing("a");
    journal.begun(1).await;
    let stays = queueing("b");
    dropped.abort();
    journal.release();
    stays.await.unwrap().unwrap();
    handle.flush(call()).await;
    assert_eq!(store.value("b", "k").unwrap(), "v");
    assert_eq!(records(&journal).await, 0);
}

#[tokio::test]
async fn two_processes_in_one_journal_take_nothing_from_each_other() {
    let (store, journal) = (Planted::new(), Planted::new());
    store.hold();
    let first = start(journaled(&store, &journal)).await;
    let second = start(journaled(&store, &journal)).await;
    first.enqueue(call(), insert("ann", "k", "first's")).await.unwrap();
    let error = second.enqueue(call(), insert("bob", "k", "second's")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.context().contains("journal"), "{error}");
    let closing = second.shutdown(call());
    closing.await;
    assert_eq!(records(&journal).await, 1, "the first's stays");
    store.release();
    assert_eq!(first.flush(call()).await.applied, 1);
}

#[tokio::test]
async fn names_keep_journals_in_one_store_apart() {
    let (store, journal) = (Planted::new(), Planted::new());
    store.hold();
    let named = |name: &str| {
        let journal = Journal::named(journal.clone(), UserId::new(name).unwrap());
        behind(&store).mark_life(Duration::from_secs(3_600)).journal(journal)
    };
    let (first, second) = (start(named("first")).await, start(named("second")).await);
    first.enqueue(call(), insert("ann", "k", "v")).await.unwrap();
    second.enqueue(call(), insert("bob", "k", "v")).await.unwrap();
    drop((first, second));
    store.release();
    let first = start(named("first")).await;
    assert_eq!(first.flush(call()).await.applied, 1);
    assert!(store.profile("bob").is_empty(), "the other's is the other's");
}

#[tokio::test]
async fn a_journal_that_would_be_shared_or_forgotten_is_refused() {
    let store = Planted::new();
    let shared = Planted::with_info(StoreInfo::new("net").sharing(Sharing::Network));
    let error = journaled(&store, &shared).start(call()).await.unwrap_err();
    assert!(error.context().contains("a name of its own"), "{error}");
    let forgets = Planted::with_info(StoreInfo::new("cache").eviction(Eviction::WholeUsers));
    let error = journaled(&store, &forgets).start(call()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let closed = Planted::new();
    stickystore_core::Store::close(&closed.memory, call()).unwrap();
    assert_eq!(journaled(&store, &closed).start(call()).await.unwrap_err().kind(), ErrorKind::Closed);
    shared.close(call()).await.unwrap();
}

#[tokio::test]
async fn what_is_left_at_shutdown_is_said_to_be_in_the_journal_and_is_written_at_the_next_start() {
    let (store, journal) = (Planted::new(), Planted::new());
    store.hold();
    let handle = start(journaled(&store, &journal)).await;
    handle.enqueue(call(), insert("ann", "k", "v")).await.unwrap();
    let report = handle.shutdown(short_call()).await;
    assert_eq!(whys(&report), ["left"]);
    assert!(report.unwritten[0].journaled);
    let (_handle, report) = after_a_crash(&store, &journal, clock()).await;
    assert_eq!(report.applied, 1);
}

/// More calls than any test here makes.
const FOR_EVER: usize = 10_000;

#[tokio::test]
async fn a_journal_of_which_nobody_knows_what_stands_there_fills_the_queue_and_no_more_than_that() {
    let (store, journal) = (Planted::new(), Planted::new());
    let builder = journaled(&store, &journal).max_changes(5).when_full(WhenFull::Fail);
    let handle = start(builder).await;
    // Every record stands there in the end, and no answer ever says so.
    journal.plant(vec![Fault::Hidden; FOR_EVER]);
    let mut told = Vec::new();
    for user in 0..50 {
        let error = handle.enqueue(call(), insert(&user.to_string(), "k", "v")).await.unwrap_err();
        told.push((error.kind(), error.effect()));
    }
    let unknown = (ErrorKind::Timeout, Effect::Unknown);
    let full = (ErrorKind::Full, Effect::NotApplied);
    assert_eq!(told.iter().filter(|told| **told == unknown).count(), 5, "{told:?}");
    assert_eq!(told.iter().filter(|told| **told == full).count(), 45, "each is told: {told:?}");
    let depth = handle.depth();
    assert_eq!((depth.changes, depth.bytes, depth.unforgotten), (0, 0, 5));
    let error = handle.enqueue(call(), insert("ann", "k", "v")).await.unwrap_err();
    assert!(error.context().contains("out of the journal: 5"), "{error}");

    journal.mend();
    assert!(handle.flush(call()).await.is_clean());
    assert_eq!((records(&journal).await, handle.depth().unforgotten), (0, 0));
    handle.enqueue(call(), insert("ann", "k", "v")).await.unwrap();
    assert_eq!(handle.flush(call()).await.applied, 1);
    assert!(store.sent().len() == 1 && store.profile("0").is_empty(), "what was refused is not written");
}

#[tokio::test]
async fn who_waits_while_records_fill_the_queue_is_let_in_when_they_are_out_of_the_journal() {
    let (store, journal) = (Planted::new(), Planted::new());
    let handle = start(journaled(&store, &journal).max_changes(1)).await;
    journal.plant(vec![Fault::Hidden; FOR_EVER]);
    let error = handle.enqueue(call(), insert("ann", "k", "v")).await.unwrap_err();
    assert_eq!(error.effect(), Effect::Unknown);
    let error = handle.enqueue(short_call(), insert("bob", "k", "v")).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::NotApplied));
    assert!(error.context().contains("out of the journal: 1"), "{error}");
    let waiting = tokio::spawn({
        let handle = handle.clone();
        async move { handle.enqueue(call(), insert("cid", "k", "v")).await.map(drop) }
    });
    journal.mend();
    waiting.await.unwrap().unwrap();
    assert_eq!(handle.flush(call()).await.applied, 1);
    assert_eq!(records(&journal).await, 0);
}

#[tokio::test]
async fn bytes_too_count_what_stands_in_the_journal_for_nothing() {
    let (store, journal) = (Planted::new(), Planted::new());
    let builder = journaled(&store, &journal).max_bytes(1_000).when_full(WhenFull::Fail);
    let handle = start(builder).await;
    journal.plant(vec![Fault::Hidden; FOR_EVER]);
    let mut unknown = 0;
    for user in 0..20 {
        let error = handle.enqueue(call(), insert(&user.to_string(), "k", "v")).await.unwrap_err();
        unknown += usize::from(error.effect() == Effect::Unknown);
    }
    assert_eq!(unknown, 3, "two times 256 bytes leave room for one write of 387, and three for none");
}
