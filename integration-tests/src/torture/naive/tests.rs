//! How much the naive store loses where nothing fails, and requests for a user merely overlap.

use std::time::Duration;

use stickystore_core::memory::MemoryStore;
use stickystore_core::{Immediate, Namespace};
use stickystore_services::optimizely::AsyncUserProfileService;
use tokio::task::JoinSet;

use super::super::dice::Dice;
use super::super::profiles::bucketed;
use super::*;

/// How many writers one user has at the same time, and how many experiments each of them decides, one after the other.
const WRITERS: u64 = 8;
const EXPERIMENTS: u64 = 50;

/// How often a writer lets others go first, at most, before a lookup and before its save.
const WAITS: u64 = 4;

/// Longer than any machine is busy.
const PATIENCE: Duration = Duration::from_secs(60);

const USER: &str = "u";

/// Of how many assignments it was said that they stand, and how many of those do not in the end.
async fn acknowledged_and_lost(profiles: Arc<dyn Profiles>) -> (usize, usize) {
    let mut writers: JoinSet<_> = (0..WRITERS).map(|writer| write(writer, Arc::clone(&profiles))).collect();
    let mut acknowledged = Vec::new();
    while let Some(written) = writers.join_next().await {
        acknowledged.extend(written.unwrap());
    }
    let stands = profiles.lookup(USER).await.unwrap();
    let lost = acknowledged.iter().filter(|key| !stands.contains_key(*key));
    (acknowledged.len(), lost.count())
}

/// Decides all experiments of one writer; which of them stand, by what it was told. On one thread its turns are the same in
/// every run and on every store.
async fn write(writer: u64, profiles: Arc<dyn Profiles>) -> Vec<String> {
    let mut dice = Dice::new(1, writer);
    let mut acknowledged = Vec::new();
    for experiment in 0..EXPERIMENTS {
        wait(&mut dice).await;
        let mut map = profiles.lookup(USER).await.unwrap();
        wait(&mut dice).await;
        let key = format!("e{writer}-{experiment}");
        map.insert(key.clone(), bucketed("red", &key));
        let told = profiles.save(USER, map, std::slice::from_ref(&key)).await.unwrap();
        if told[&key].0 == Told::Acknowledged {
            acknowledged.push(key);
        }
    }
    acknowledged
}

/// As long as an answer of a server takes.
async fn wait(dice: &mut Dice) {
    for _ in 0..dice.below(WAITS) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn of_concurrent_assignments_it_loses_most_and_ours_none() {
    let settings = Settings::new(Namespace::new("naive").unwrap()).with_deadline(PATIENCE);
    let store = || -> Arc<dyn AsyncStore> { Arc::new(Immediate::new(MemoryStore::new())) };
    let all = usize::try_from(WRITERS * EXPERIMENTS).unwrap();

    let naive = acknowledged_and_lost(Arc::new(Whole::new(store(), settings.clone()))).await;
    let ours = acknowledged_and_lost(Arc::new(AsyncUserProfileService::new(store(), settings))).await;

    println!("of {all} assignments the naive store loses {}, ours {}", naive.1, ours.1);
    assert_eq!(ours, (all, 0));
    assert_eq!(naive.0, all);
    assert!(naive.1 > all / 2, "{} of {all}", naive.1);
}
