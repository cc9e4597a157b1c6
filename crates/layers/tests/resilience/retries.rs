//! What is sent again, how often, and what never is.

use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Change, Effect, EpochCheck, Erase, ErrorKind, Outcome, Read,
    StoreExt as _, Write,
};
use stickystore_layers::resilience::{Config, Resilient};

use crate::faulty::{Fault, Faulty, call, entry, key, subject};

const BEFORE: Fault = Fault::Before(ErrorKind::Unavailable);

fn config() -> Config {
    Config::new().with_wait(std::time::Duration::from_micros(10))
}

fn world(plan: impl IntoIterator<Item = Fault>) -> (Faulty, Resilient<Faulty>) {
    let store = Faulty::new(plan);
    (store.clone(), Resilient::new(store, &config()))
}

#[tokio::test]
async fn a_failed_read_is_asked_again_so_often_and_no_more() {
    let (store, resilient) = world([BEFORE, Fault::After]);
    resilient.load(call(), &subject()).await.unwrap();
    assert_eq!(store.attempts(), 3);
    store.plan([BEFORE; 4]);
    assert_eq!(resilient.load(call(), &subject()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.attempts(), 6);
}

#[tokio::test]
async fn what_another_attempt_can_not_mend_is_not_sent_again() {
    for kind in
        [ErrorKind::Denied, ErrorKind::Corrupt, ErrorKind::TooLarge, ErrorKind::Closed, ErrorKind::Full]
    {
        let (store, resilient) = world([Fault::Before(kind)]);
        assert_eq!(resilient.load(call(), &subject()).await.unwrap_err().kind(), kind);
        assert_eq!(store.attempts(), 1, "{kind:?}");
    }
}

#[tokio::test]
async fn a_write_that_was_not_applied_is_sent_again_whatever_it_is() {
    let read = entry("read");
    for change in [
        Change::Insert(key(), entry("v")),
        Change::Put(key(), entry("v")),
        Change::Replace(key(), read.revision, entry("v")),
        Change::Remove(key()),
        Change::RemoveIf(key(), read.revision),
    ] {
        let (store, resilient) = world([BEFORE]);
        resilient.change(call(), &subject(), EpochCheck::Is(None), change.clone()).await.unwrap();
        assert_eq!(store.attempts(), 2, "{change:?}");
    }
}

#[tokio::test]
async fn an_unknown_insert_or_replace_finds_itself() {
    let (store, resilient) = world([Fault::After]);
    let (red, blue) = (entry("red"), entry("blue"));
    let insert = Change::Insert(key(), red.clone());
    let inserted = resilient.change(call(), &subject(), EpochCheck::Is(None), insert).await.unwrap();
    assert_eq!((inserted, store.attempts()), (Outcome::Inserted, 2));
    store.plan([Fault::After]);
    let replace = Change::Replace(key(), red.revision, blue);
    let replaced = resilient.change(call(), &subject(), EpochCheck::Is(None), replace).await.unwrap();
    assert_eq!((replaced, store.attempts()), (Outcome::Replaced, 4));
}

#[tokio::test]
async fn what_may_have_been_applied_by_one_attempt_is_unknown_however_the_next_one_failed() {
    let (store, resilient) = world([Fault::After, BEFORE, BEFORE]);
    let insert = Change::Insert(key(), entry("red"));
    let error = resilient.change(call(), &subject(), EpochCheck::Is(None), insert).await.unwrap_err();
    assert_eq!((error.effect(), store.attempts()), (Effect::Unknown, 3));
    assert!(store.memory.get(call(), &subject(), &key()).unwrap().is_some(), "it was applied");
    store.plan([Fault::After, Fault::Before(ErrorKind::Denied)]);
    let error = resilient.erase_one(call(), Erase::new(subject(), call().now)).await.unwrap_err();
    assert_eq!((error.kind(), error.effect(), store.attempts()), (ErrorKind::Denied, Effect::Unknown, 5));
    store.plan([BEFORE; 3]);
    let insert = Change::Insert(key(), entry("blue"));
    let error = resilient.change(call(), &subject(), EpochCheck::Is(None), insert).await.unwrap_err();
    assert_eq!(error.effect(), Effect::NotApplied, "no attempt was");
}

#[tokio::test]
async fn what_could_destroy_when_sent_twice_is_never_sent_again_when_unknown() {
    let read = entry("read");
    for (epoch, change) in [
        (EpochCheck::Is(None), Change::Put(key(), entry("v"))),
        (EpochCheck::Is(None), Change::Remove(key())),
        (EpochCheck::Is(None), Change::RemoveIf(key(), read.revision)),
        (EpochCheck::Ignore, Change::Insert(key(), entry("v"))),
    ] {
        let (store, resilient) = world([Fault::After]);
        let error = resilient.change(call(), &subject(), epoch, change.clone()).await.unwrap_err();
        assert_eq!(error.effect(), Effect::Unknown);
        assert_eq!(store.attempts(), 1, "{change:?}");
    }
}

#[tokio::test]
async fn only_the_changes_that_failed_are_sent_again() {
    let store = Faulty::new([]);
    let resilient = Resilient::new(store.clone(), &config());
    store.plan([Fault::After]);
    let other = stickystore_core::Key::new("other").unwrap();
    let changes = vec![Change::Put(key(), entry("put")), Change::Insert(other, entry("inserted"))];
    let write = Write::new(subject(), EpochCheck::Is(None), changes).unwrap();
    let answers = resilient.write_one(call(), write).await;
    assert!(answers[0].is_err(), "the put is not repeated");
    assert_eq!(*answers[1].as_ref().unwrap(), Outcome::Inserted);
    assert_eq!(store.attempts(), 2);
}

#[tokio::test]
async fn a_change_is_not_sent_again_after_a_later_one_of_its_entry() {
    let (store, resilient) = world([BEFORE]);
    let one =
        |value| Write::new(subject(), EpochCheck::Is(None), vec![Change::Put(key(), entry(value))]).unwrap();
    let answers = resilient.write(call(), &[one("first"), one("second")]).await;
    assert!(answers[0][0].is_err());
    assert_eq!(*answers[1][0].as_ref().unwrap(), Outcome::Written);
    let stands = store.memory.get(call(), &subject(), &key()).unwrap().unwrap();
    assert_eq!(stands.value.as_string().as_deref(), Some("second"));
}

#[tokio::test]
async fn an_unknown_erase_finds_its_own_mark() {
    let (store, resilient) = world([]);
    store.memory.put(call(), &subject(), key(), entry("red")).unwrap();
    store.plan([Fault::After]);
    let erase = Erase::new(subject(), call().now);
    assert!(resilient.erase_one(call(), erase.clone()).await.unwrap(), "something stood");
    assert_eq!(store.attempts(), 2);
    let stands = store.memory.load(call(), &subject()).unwrap().epoch();
    assert_eq!(stands, Some(erase.epoch), "the second attempt left it");
}

#[tokio::test]
async fn a_further_attempt_of_an_erase_lets_nobody_in_who_knew_of_the_first() {
    let (store, resilient) = world([BEFORE]);
    let erase = Erase::new(subject(), call().now);
    // As if it had been applied all the same, and another erasure after it.
    store.memory.erase_one(call(), erase.clone()).unwrap();
    let known = EpochCheck::Is(Some(erase.epoch));
    store.memory.erase_one(call(), Erase::new(subject(), call().now)).unwrap();
    resilient.erase_one(call(), erase).await.unwrap();
    let late = store.memory.insert(call(), &subject(), known, key(), entry("red")).unwrap();
    assert_eq!(late, Outcome::Erased);
}

#[tokio::test]
async fn a_page_of_a_scan_is_asked_again() {
    let (store, resilient) = world([BEFORE]);
    resilient.scan_users(call(), &subject().namespace, None, 10).await.unwrap();
    assert_eq!(store.attempts(), 2);
}

#[tokio::test]
async fn in_an_outage_the_budget_ends_the_retries() {
    let (store, resilient) = world(std::iter::repeat_n(BEFORE, 10_000));
    for _ in 0..1_000 {
        resilient.load(call(), &subject()).await.unwrap_err();
    }
    let retries = store.attempts() - 1_000;
    assert!((100..=200).contains(&retries), "100 at first, and a tenth of 1 000 calls: {retries}");
}

#[tokio::test]
async fn a_batch_asks_again_only_for_those_that_failed() {
    let (store, resilient) = world([]);
    store.memory.plant_foreign(&subject());
    let reads = [Read::all(subject()), Read::all(subject())];
    let answers = resilient.read(call(), &reads).await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap_err().kind() == ErrorKind::Corrupt));
    assert_eq!(store.attempts(), 1);
}
