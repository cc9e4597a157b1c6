//! Saves that do not wait for the store, with a journal in a file: a process that ends too early loses nothing.
//!
//! `cargo run -p stickystore --features embedded,write-behind --example write_behind`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::path::Path;
use std::time::Duration;

use stickystore::core::{Immediate, Namespace, memory::MemoryStore};
use stickystore::write_behind::{Given, journal};
use stickystore::{AsyncSticky, Result, Settings};

/// For the journal to answer: it syncs the disk before it does.
const DEADLINE: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let file = std::env::temp_dir().join(format!("stickystore-example-{}.redb", std::process::id()));
    let answer = two_lives(&file).await;
    drop(std::fs::remove_file(file));
    answer.map(drop)
}

/// Two lives of a program, with one journal; how many assignments the second wrote.
async fn two_lives(file: &Path) -> Result<usize> {
    // In the place of a server, which outlives both: `stickystore::open_async("redis://localhost?namespace=shop")`.
    let server = MemoryStore::new();
    let settings = Settings::new(Namespace::new("shop")?).with_deadline(DEADLINE);
    let sticky = || AsyncSticky::new(Immediate::new(server.clone()), settings.clone());

    // The first life hands out assignments, and ends before the store has them.
    let kept = journal(file).await?;
    let behind = sticky().write_behind(|queue| queue.journal(kept).linger(Duration::from_secs(60))).await?;
    for user in ["ann", "bob", "cat"] {
        match behind.assign(user, "button", || "red").await? {
            Given::Queued { queued, .. } => {
                println!("{user} is given red; in the journal: {}", queued.is_journaled());
            }
            found => println!("{user} has {:?}", found.text()),
        }
    }
    println!("the store has {} of ann's, and the process ends", sticky().load("ann").await?.len());
    drop(behind);

    // The second finds them, and writes them.
    let kept = reopened(file).await?;
    let behind = sticky().write_behind(|queue| queue.journal(kept)).await?;
    let report = behind.flush(Duration::from_secs(60)).await;
    println!("after the next start: {report}");
    println!("the store has {} of ann's", sticky().load("ann").await?.len());

    // What could not be written by then would be named one by one, and stay in the journal.
    let last = behind.shutdown(Duration::from_secs(60)).await;
    for unwritten in &last.unwritten {
        println!("not written: {}", unwritten.why.as_str());
    }
    Ok(report.applied)
}

/// The journal again. Within one process the file is free when the first life's tasks have ended, which takes a moment.
async fn reopened(file: &Path) -> Result<stickystore::write_behind::Journal> {
    loop {
        match journal(file).await {
            Err(error) if error.context().contains("is open already") => tokio::task::yield_now().await,
            answer => return answer,
        }
    }
}

#[tokio::test]
async fn the_second_life_writes_what_the_first_left() {
    let file = std::env::temp_dir().join(format!("stickystore-example-test-{}.redb", std::process::id()));
    let written = two_lives(&file).await;
    drop(std::fs::remove_file(file));
    assert!(matches!(written, Ok(3)), "{written:?}");
}
