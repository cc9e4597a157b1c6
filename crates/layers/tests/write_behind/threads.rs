//! One queue, used from many threads and runtimes at once.

use stickystore_core::{Change, ErrorKind, Outcome};
use stickystore_layers::write_behind::Journal;

use crate::planted::{Fault, Planted, behind, call, entry, key, start, write};

const THREADS: usize = 4;
const WRITES: usize = 200;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

#[test]
fn each_writes_chains_in_order_and_all_are_applied() {
    let (store, journal) = (Planted::new(), Planted::new());
    let faults =
        [Fault::Hidden, Fault::Lost, Fault::Half, Fault::Refused(ErrorKind::Unavailable), Fault::Late];
    store.plant(faults.into_iter().cycle().take(50));
    let home = runtime();
    // So little room that writers wait for each other.
    let builder = behind(&store).max_changes(16).journal(Journal::new(journal.clone()));
    let handle = home.block_on(start(builder));
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let handle = handle.clone();
                scope.spawn(move || runtime().block_on(chain(handle, thread)))
            })
            .collect();
        home.block_on(async {
            while !writers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                tokio::task::yield_now().await;
            }
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
    });
    let report = home.block_on(handle.shutdown(call()));
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.applied, THREADS * WRITES);
    for thread in 0..THREADS {
        assert_eq!(store.value(&thread.to_string(), "k").unwrap(), (WRITES - 1).to_string());
    }
}

/// Replaces its own entry again and again, each time by the revision that it queued before.
async fn chain(handle: stickystore_layers::write_behind::WriteBehind<Planted>, thread: usize) {
    let mut last = None;
    let mut tickets = Vec::new();
    for turn in 0..WRITES {
        let next = entry(&turn.to_string());
        let revision = next.revision;
        let change = match last {
            None => Change::Insert(key("k"), next),
            Some(read) => Change::Replace(key("k"), read, next),
        };
        tickets.push(handle.enqueue(call(), write(&thread.to_string(), vec![change])).await.unwrap());
        last = Some(revision);
    }
    for (turn, ticket) in tickets.into_iter().enumerate() {
        let expected = if turn == 0 { Outcome::Inserted } else { Outcome::Replaced };
        assert_eq!(ticket.outcomes(call()).await.remove(0).unwrap(), expected);
    }
}
