//! How much memory a client holds: what is allocated from before it is opened until many callers have loaded at once, and has
//! not been freed.

use stickystore_core::AsyncStore;

use crate::backend::{Rivals, fill};
use crate::crowd::Crowd;
use crate::heap;
use crate::measure::{Contender, Work, call_in_tasks};
use crate::operation::{ENTRIES, Operation};
use crate::options::Options;
use crate::ours::contender;

/// How many callers there are at once, and how many calls each makes.
const CALLERS: usize = 64;
const CALLS_EACH: usize = 16;

const LOAD: Operation = Operation::Load(ENTRIES);

/// What a client holds, in bytes.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) backend: &'static str,
    pub(crate) client: &'static str,
    pub(crate) bytes: isize,
}

/// Of the store and of the bare driver, with the little that what would be picked instead holds before it is used.
pub(crate) async fn clients<S: AsyncStore + Clone, R: Rivals>(
    options: &Options,
    backend: &'static str,
    open: impl Fn() -> S,
    rivals: impl AsyncFn() -> R,
) -> Vec<Held> {
    let crowd = Crowd::new(options.users, ENTRIES);
    // What is made once in a process is nobody's; and all stay to the end, so that nothing goes away in between.
    let (first, first_rivals) = (open(), rivals().await);
    fill(&first, &first_rivals, &crowd).await;
    let before = heap::so_far();
    let store = open();
    let plain = contender("plain".to_owned(), LOAD, CALLERS, &store, &crowd);
    load(&plain).await;
    let ours = heap::so_far().since(before).held;
    let before = heap::so_far();
    let rivals = rivals().await;
    let mut beside = rivals.beside(LOAD, CALLERS, &crowd).await;
    beside.retain(|one| one.name == "driver");
    for driver in &beside {
        load(driver).await;
    }
    let drivers = heap::so_far().since(before).held;
    drop((first, first_rivals, plain, store, beside, rivals));
    let held = [("store", ours), ("driver", drivers)].map(|(client, bytes)| Held { backend, client, bytes });
    for Held { client, bytes, .. } in &held {
        println!(
            "the {client}'s client holds {:.0} KiB after {CALLERS} callers' loads",
            *bytes as f64 / 1024.0
        );
    }
    held.into()
}

async fn load(contender: &Contender) {
    if let Work::Async(work) = &contender.work {
        call_in_tasks(work, CALLERS, CALLERS * CALLS_EACH).await;
    }
}
