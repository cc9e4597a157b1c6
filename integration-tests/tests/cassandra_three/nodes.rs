//! Nodes that die and come back under load: nothing that was acknowledged is lost, and writing goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use stickystore_cassandra::CassandraStore;
use stickystore_core::{AsyncStoreExt as _, EpochCheck, ErrorKind, Outcome, Revision, Subject};

use crate::bench::{Three, entry, key, user, within};

const CALLERS: usize = 16;

/// So many writes have to be acknowledged while a node is down, and after it is back.
const WRITES: usize = 200;

/// How long that may take: much longer than it does, also where nodes have to find out first that one is gone.
const LIMIT: Duration = Duration::from_secs(90);

#[derive(Default)]
struct Load {
    acknowledged: AtomicUsize,
    is_over: AtomicBool,
}

/// Inserts one entry after the other, each until it is acknowledged; what was.
async fn caller(load: Arc<Load>, store: CassandraStore, subject: Subject) -> Vec<(String, Revision)> {
    let mut acknowledged = Vec::new();
    for i in 0.. {
        let (name, entry) = (i.to_string(), entry("v"));
        while !load.is_over.load(Ordering::Relaxed) {
            let insert =
                store.insert(within(5_000), &subject, EpochCheck::Is(None), key(&name), entry.clone());
            match insert.await {
                Ok(outcome) => {
                    assert_eq!(outcome, Outcome::Inserted, "{name} is nobody else's");
                    acknowledged.push((name.clone(), entry.revision));
                    load.acknowledged.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                Err(error) => {
                    let kinds = [ErrorKind::Timeout, ErrorKind::Unavailable];
                    assert!(kinds.contains(&error.kind()), "{error}");
                }
            }
        }
        if load.is_over.load(Ordering::Relaxed) {
            return acknowledged;
        }
    }
    acknowledged
}

impl Load {
    async fn goes_on(&self, when: &str) {
        let (before, until) = (self.acknowledged.load(Ordering::Relaxed), Instant::now() + LIMIT);
        while self.acknowledged.load(Ordering::Relaxed) < before + WRITES {
            assert!(Instant::now() < until, "{when}, writing goes on");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_node_killed_and_paused_in_turn_loses_nothing_that_was_acknowledged() {
    let Some(mut three) = Three::start().await else { return };
    let load = Arc::new(Load::default());
    let store = three.store();
    let subjects: Vec<_> = (0..CALLERS).map(|i| user(&i.to_string())).collect();
    let callers: Vec<_> = subjects
        .iter()
        .map(|subject| tokio::spawn(caller(Arc::clone(&load), store.clone(), subject.clone())))
        .collect();
    load.goes_on("at first").await;
    for node in 0..3 {
        three.nodes.kill(node);
        load.goes_on("while a node is dead").await;
        three.nodes.start_again(node);
        // With another one down, what this one knows of the third decides.
        three.until_all_know_all().await;
        load.goes_on("with all nodes").await;
    }
    three.nodes.pause(0);
    load.goes_on("while a node is paused").await;
    three.nodes.resume(0);
    load.goes_on("after the pause").await;
    load.is_over.store(true, Ordering::Relaxed);
    for (caller, subject) in callers.into_iter().zip(&subjects) {
        let acknowledged = caller.await.unwrap();
        let decided = three.decided(subject).await;
        for (name, revision) in acknowledged {
            let stands = decided.iter().find(|(key, _)| *key == name).map(|(_, revision)| revision.as_str());
            assert_eq!(stands, Some(revision.to_string().as_str()), "{name} of {subject:?}");
        }
        let read = store.load(within(10_000), subject).await.unwrap();
        assert_eq!(read.len(), decided.len(), "a reading sees what is decided");
    }
}
