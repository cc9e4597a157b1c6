//! Writers of many processes that meet at one user: every answer is true, and what is not known is said to be.

use stickystore_core::{AsyncStoreExt as _, Change, Effect, Entry, EpochCheck, Outcome, Result, Subject};

use crate::bench::{Three, entry, key, user, within};

/// Handles with queues of their own, as so many processes have.
const PROCESSES: usize = 16;

/// Writers at the same time.
const WRITERS: usize = 64;

/// What a writer wrote under which key, and what it was told.
type Told = (String, Entry, Result<Outcome>);

/// Everybody makes a change of this user at once.
async fn all_at_once(three: &Three, subject: &Subject, change: impl Fn(usize) -> Change) -> Vec<Told> {
    let stores: Vec<_> = (0..PROCESSES).map(|_| three.store()).collect();
    for store in &stores {
        store.load(within(30_000), subject).await.unwrap();
    }
    let writers: Vec<_> = (0..WRITERS)
        .map(|i| {
            let (store, subject, change) = (stores[i % PROCESSES].clone(), subject.clone(), change(i));
            let (name, entry) = (change.key().as_str().to_owned(), change.entry().unwrap().clone());
            tokio::spawn(async move {
                let answer = store.change(within(30_000), &subject, EpochCheck::Is(None), change).await;
                (name, entry, answer)
            })
        })
        .collect();
    let mut told = Vec::new();
    for writer in writers {
        told.push(writer.await.unwrap());
    }
    told
}

/// Holds every answer against what is decided; how many were not known.
async fn assert_true(three: &Three, subject: &Subject, told: &[Told]) -> usize {
    let decided = three.decided(subject).await;
    let mut unknown = 0;
    for (name, entry, answer) in told {
        let stands = decided.iter().find(|(key, _)| key == name).map(|(_, revision)| revision.as_str());
        let own = entry.revision.to_string();
        match answer {
            Ok(Outcome::Inserted | Outcome::Replaced) => assert_eq!(stands, Some(own.as_str()), "{name}"),
            Ok(Outcome::Kept(winner)) => {
                assert_ne!(stands, Some(own.as_str()), "{name} was kept");
                assert_eq!(stands, Some(winner.revision.to_string().as_str()), "{name}");
            }
            Ok(other) => panic!("{name}: {other:?}"),
            Err(error) if error.effect() == Effect::Unknown => unknown += 1,
            Err(error) => assert_ne!(stands, Some(own.as_str()), "{name}: {error}"),
        }
    }
    unknown
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_writers_of_one_user_are_told_the_truth() {
    let Some(three) = Three::start().await else { return };

    let subject = user("one key");
    let told = all_at_once(&three, &subject, |i| Change::Insert(key("k"), entry(&i.to_string()))).await;
    let unknown = assert_true(&three, &subject, &told).await;
    let inserted = told.iter().filter(|(_, _, answer)| matches!(answer, Ok(Outcome::Inserted))).count();
    assert!(inserted == 1 || (inserted == 0 && unknown > 0), "{inserted} winners, {unknown} unknown");
    println!("one key: {unknown} of {WRITERS} unknown");

    let subject = user("a key each");
    let told = all_at_once(&three, &subject, |i| Change::Insert(key(&i.to_string()), entry("v"))).await;
    let unknown = assert_true(&three, &subject, &told).await;
    println!("a key each: {unknown} of {WRITERS} unknown");

    let (subject, first) = (user("replace"), entry("first"));
    let put = three.store().put(within(30_000), &subject, key("k"), first.clone()).await;
    assert_eq!(put.unwrap(), Outcome::Written);
    let read = first.revision;
    let told =
        all_at_once(&three, &subject, |i| Change::Replace(key("k"), read, entry(&i.to_string()))).await;
    let unknown = assert_true(&three, &subject, &told).await;
    let replaced = told.iter().filter(|(_, _, answer)| matches!(answer, Ok(Outcome::Replaced))).count();
    assert!(replaced == 1 || (replaced == 0 && unknown > 0), "{replaced} winners, {unknown} unknown");
    println!("replace: {unknown} of {WRITERS} unknown");
}
