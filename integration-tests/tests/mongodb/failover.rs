//! Three members, whose primary is killed again and again under load: what was acknowledged stays, and what was served.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use stickystore_core::{
    AsyncStoreExt as _, Effect, EpochCheck, ErrorKind, Namespace, Outcome, Result, Revision, Subject, UserId,
};
use stickystore_integration_tests::server::mongodb::MongoDb;
use stickystore_mongodb::MongodbStore;

use crate::bench::{call, entry, key, or_skip, store, within};

const ELECTIONS: usize = 20;

/// How many write at the same time.
const WRITERS: usize = 8;

/// How many count at the same time.
const COUNTERS: usize = 4;

/// How many users each of them has: few, so that they are met again.
const USERS: u64 = 40;

/// An election takes a second and a half; then the driver has to hear of it, on a machine that has others to serve.
const ELECTED_WITHIN: Duration = Duration::from_secs(15);

/// What was told to anybody: acknowledged, kept, or read.
#[derive(Default)]
struct Told(Mutex<HashMap<(Subject, String), Revision>>);

impl Told {
    fn tell(&self, subject: &Subject, name: &str, revision: Revision) {
        let mut told = self.0.lock().unwrap();
        let before = told.insert((subject.clone(), name.to_owned()), revision);
        assert!(before.is_none_or(|before| before == revision), "one was told, and then another");
    }

    fn get(&self, subject: &Subject, name: &str) -> Option<Revision> {
        self.0.lock().unwrap().get(&(subject.clone(), name.to_owned())).copied()
    }
}

/// Inserts and reads until it is told to stop.
async fn work(
    store: MongodbStore,
    namespace: Namespace,
    told: Arc<Told>,
    ended: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
) {
    for turn in 0_u64.. {
        if ended.load(Ordering::Relaxed) {
            return;
        }
        // All of them write the same users, so that they lose to each other too.
        let subject = Subject::new(namespace.clone(), UserId::new((turn % USERS).to_string()).unwrap());
        let name = (turn / USERS).to_string();
        let new = entry("v");
        let answer =
            store.insert(within(2_000), &subject, EpochCheck::Is(None), key(&name), new.clone()).await;
        match answer {
            Ok(Outcome::Inserted) => told.tell(&subject, &name, new.revision),
            Ok(Outcome::Kept(kept)) => told.tell(&subject, &name, kept.revision),
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                let meanwhile = [ErrorKind::Unavailable, ErrorKind::Timeout];
                assert!(meanwhile.contains(&error.kind()), "{error}");
                if error.effect() == Effect::NotApplied {
                    let now = store.get(call(), &subject, &key(&name)).await;
                    assert!(
                        now.is_err() || now.unwrap().is_none_or(|now| now.revision != new.revision),
                        "it was applied"
                    );
                }
            }
        }
        let known = told.get(&subject, &name);
        if let Ok(found) = store.get(within(2_000), &subject, &key(&name)).await {
            match &found {
                Some(found) => told.tell(&subject, &name, found.revision),
                None => assert_eq!(known, None, "what was told before is not there"),
            }
            done.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Counts by replacing what it read, and asks again, with the same revision, until it knows; answers how far it came. Nobody
/// else writes this user.
async fn count(store: MongodbStore, subject: Subject, ended: Arc<AtomicBool>) -> u64 {
    let at = key("counter");
    let number = |count: u64| entry(&count.to_string());
    let mut stands = number(0);
    until_known(|| store.insert(within(2_000), &subject, EpochCheck::Is(None), at.clone(), stands.clone()))
        .await;
    for count in 1.. {
        let next = number(count);
        let answer =
            until_known(|| store.replace(within(2_000), &subject, at.clone(), stands.revision, next.clone()));
        assert_eq!(answer.await, Outcome::Replaced, "count {count} is made once");
        stands = next;
        if ended.load(Ordering::Relaxed) {
            return count;
        }
    }
    unreachable!("it counts until it is told to stop")
}

async fn until_known<F: Future<Output = Result<Outcome>>>(ask: impl Fn() -> F) -> Outcome {
    loop {
        match ask().await {
            Ok(outcome) => return outcome,
            Err(error) => {
                let meanwhile = [ErrorKind::Unavailable, ErrorKind::Timeout];
                assert!(meanwhile.contains(&error.kind()), "{error}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_or_served_outlives_twenty_primaries() {
    let Some(mut set) = or_skip(MongoDb::replica_set(3, &[])) else { return };
    let namespace = Namespace::new("failover").unwrap();
    let (told, ended, done) =
        (Arc::new(Told::default()), Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let stores: Vec<_> = (0..2).map(|_| store(&set.url())).collect();
    let workers: Vec<_> = (0..WRITERS)
        .map(|i| {
            let (store, namespace) = (stores[i % stores.len()].clone(), namespace.clone());
            tokio::spawn(work(store, namespace, Arc::clone(&told), Arc::clone(&ended), Arc::clone(&done)))
        })
        .collect();
    let counters: Vec<_> = (0..COUNTERS)
        .map(|i| {
            let subject = Subject::new(namespace.clone(), UserId::new(format!("counter {i}")).unwrap());
            let counter = count(stores[i % stores.len()].clone(), subject.clone(), Arc::clone(&ended));
            (subject, tokio::spawn(counter))
        })
        .collect();
    for election in 0..ELECTIONS {
        let killed = tokio::task::block_in_place(|| {
            let primary = set.wait_for_primary();
            set.kill(primary);
            primary
        });
        let (began, before) = (Instant::now(), done.load(Ordering::Relaxed));
        while done.load(Ordering::Relaxed) < before + 20 {
            assert!(began.elapsed() < ELECTED_WITHIN, "calls work again, election {election}");
            assert!(workers.iter().all(|worker| !worker.is_finished()), "a claim failed");
            assert!(counters.iter().all(|(_, counter)| !counter.is_finished()), "a count failed");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::task::block_in_place(|| set.start_again(killed));
    }
    ended.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.await.unwrap();
    }
    for (subject, counter) in counters {
        let count = counter.await.unwrap();
        let found = stores[0].get(call(), &subject, &key("counter")).await.unwrap().unwrap();
        assert_eq!(found.value, entry(&count.to_string()).value, "each count was made, and none twice");
        assert!(count > 20, "they counted between the elections: {count}");
    }
    let told: Vec<_> = told.0.lock().unwrap().drain().collect();
    assert!(told.len() > ELECTIONS * 20, "there was a load: {}", told.len());
    for ((subject, name), revision) in told {
        let found = stores[0].get(call(), &subject, &key(&name)).await.unwrap();
        assert_eq!(found.map(|found| found.revision), Some(revision), "what was told stands");
    }
}
