//! Concurrent writes share a transaction and its sync; a write that changes nothing has none.

use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};

use stickystore_core::{AsyncStoreExt as _, EpochCheck, Operation, Outcome, StoreExt as _};

use super::{Folder, call, entry, insert, is_there, key, user, wait_until};
use crate::async_store::AsyncEmbeddedStore;
use crate::queue::Ask;
use crate::store::EmbeddedStore;

/// As the promise has it: so many writes at once cost at most so many syncs.
const CALLERS: usize = 64;
const SYNCS: u64 = 16;

/// Holds the writer until the returned sender is dropped, so that whatever comes then waits together.
fn hold(store: &EmbeddedStore) -> std::sync::mpsc::Sender<()> {
    let (release, held) = channel();
    store.shared().send(call(), Operation::Write, Ask::Hold(held), Box::new(drop)).unwrap();
    wait_until("the writer takes the hold", || store.shared().queue.waiting() == 0);
    release
}

#[test]
fn sixty_four_threads_share_syncs() {
    let folder = Folder::new();
    let store = folder.open();
    let (commits, syncs) = (store.commits(), store.syncs());
    let release = hold(&store);
    std::thread::scope(|scope| {
        let store = &store;
        for caller in 0..CALLERS {
            scope.spawn(move || {
                assert_eq!(insert(store, call(), &caller.to_string()).unwrap(), Outcome::Inserted);
            });
        }
        wait_until("all wait", || store.shared().queue.waiting() == CALLERS);
        drop(release);
    });
    assert_eq!(store.commits() - commits, 1, "what waited together was committed together");
    let syncs = store.syncs() - syncs;
    assert!((1..=SYNCS).contains(&syncs), "{syncs} syncs for {CALLERS} writes");
    assert!((0..CALLERS).all(|caller| is_there(&store, &caller.to_string())));
}

#[tokio::test]
async fn sixty_four_tasks_share_syncs() {
    let folder = Folder::new();
    let store = folder.open();
    let face = AsyncEmbeddedStore::new(store.clone());
    let syncs = store.syncs();
    let release = hold(&store);
    let writes: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let face = face.clone();
            tokio::spawn(async move {
                face.insert(call(), &user(&caller.to_string()), EpochCheck::Is(None), key(), entry("v")).await
            })
        })
        .collect();
    // The tasks run on this very thread: each gets as far as its wait.
    while store.shared().queue.waiting() < CALLERS {
        tokio::task::yield_now().await;
    }
    drop(release);
    for write in writes {
        assert_eq!(write.await.unwrap().unwrap(), Outcome::Inserted);
    }
    let syncs = store.syncs() - syncs;
    assert!((1..=SYNCS).contains(&syncs), "{syncs} syncs for {CALLERS} writes");
}

#[test]
fn one_user_written_by_all_at_once_has_one_winner_in_one_commit() {
    let folder = Folder::new();
    let store = folder.open();
    let barrier = Arc::new(Barrier::new(CALLERS));
    let inserted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CALLERS)
            .map(|_| {
                let (store, barrier) = (&store, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    usize::from(insert(store, call(), "one").unwrap() == Outcome::Inserted)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(inserted, 1);
    assert_eq!(store.commits(), 1, "whoever lost changed nothing, and cost no sync");
}

#[test]
fn a_write_that_changes_nothing_costs_no_sync() {
    let folder = Folder::new();
    let store = folder.open();
    insert(&store, call(), "ann").unwrap();
    let syncs = store.syncs();
    assert!(matches!(insert(&store, call(), "ann").unwrap(), Outcome::Kept(_)));
    assert_eq!(store.remove(call(), &user("bob"), key()).unwrap(), Outcome::WasAbsent);
    assert_eq!(store.syncs(), syncs);
}
