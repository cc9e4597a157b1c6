//! A process that is killed with saves queued: what stood in its journal, in a real file, is written by the next.
//!
//! The other process is this test program, started again for one test with what it shall do in its environment.
#![cfg(feature = "write-behind")]
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use stickystore_core::{
    AsyncStoreExt as _, Call, Change, Entry, EpochCheck, Expiry, Key, Namespace, Revision, Subject,
    SystemClock, UserId, Value, Write,
};
use stickystore_embedded::{AsyncEmbeddedStore, Config};
use stickystore_layers::write_behind::{Journal, WriteBehind};

/// Tells the started program in which folder its files are; without it the child test has nothing to do.
const FOLDER: &str = "STICKYSTORE_CHILD_FOLDER";
/// Tells it how the names of its life begin.
const LIFE: &str = "STICKYSTORE_CHILD_LIFE";
/// Tells it for how many milliseconds what is queued waits before it is sent.
const LINGER: &str = "STICKYSTORE_CHILD_LINGER";

const PATIENCE: Duration = Duration::from_secs(60);
const KILLS: usize = 16;
/// Writers in the child: one at least waits for the journal whenever the kill comes.
const WRITERS: usize = 4;
/// Longer than any life here.
const NEVER: u64 = 3_600_000;

fn call() -> Call {
    Call::within(&SystemClock, PATIENCE)
}

fn subject(name: &str) -> Subject {
    Subject::new(Namespace::new("shop").unwrap(), UserId::new(name).unwrap())
}

async fn start(folder: &Path, linger: Duration) -> WriteBehind<AsyncEmbeddedStore> {
    let open = |name: &str| AsyncEmbeddedStore::open(Config::new(folder.join(name)));
    let (store, journal) = (open("sticky.redb").await.unwrap(), open("queue.redb").await.unwrap());
    let builder = WriteBehind::over(store).journal(Journal::new(journal)).linger(linger);
    builder.attempt(Duration::from_secs(30)).start(call()).await.unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

/// What the other process does: it queues until it is killed, and says what was acknowledged.
#[test]
fn the_other_process() {
    let (Some(folder), Ok(life)) = (std::env::var_os(FOLDER), std::env::var(LIFE)) else { return };
    let linger = Duration::from_millis(std::env::var(LINGER).unwrap().parse().unwrap());
    runtime().block_on(async {
        let behind = start(&PathBuf::from(folder), linger).await;
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| tokio::spawn(queue(behind.clone(), format!("{life}-{writer}"))))
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
    });
}

async fn queue(behind: WriteBehind<AsyncEmbeddedStore>, writer: String) {
    for turn in 0.. {
        let name = format!("{writer}-{turn}");
        let insert = Change::Insert(Key::new("k").unwrap(), Entry::new(Value::string(&name), Expiry::Never));
        let write = Write::new(subject(&name), EpochCheck::Is(None), vec![insert]).unwrap();
        let queued = behind.enqueue(call(), write).await.unwrap();
        assert!(queued.is_journaled());
        let mut out = std::io::stdout().lock();
        writeln!(out, "acknowledged {name}").unwrap();
        out.flush().unwrap();
    }
}

fn begin(folder: &Path, life: usize, linger: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_other_process", "--nocapture"])
        .env(FOLDER, folder)
        .env(LIFE, life.to_string())
        .env(LINGER, linger.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What a process said that was killed after so many acknowledged saves.
fn one_life(folder: &Path, life: usize, linger: u64) -> Vec<String> {
    let mut child = begin(folder, life, linger);
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while text.matches("acknowledged").count() < 1 + life % 7 {
        assert_ne!(output.read_line(&mut text).unwrap(), 0, "the other process ended: {text}");
    }
    child.kill().unwrap();
    output.read_to_string(&mut text).unwrap();
    child.wait().unwrap();
    // The last line may be torn.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().filter_map(|line| line.strip_prefix("acknowledged ")).map(str::to_owned).collect()
}

/// A folder that is removed with its handle.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[test]
fn killed_at_any_time_nothing_is_lost_that_was_acknowledged() {
    let name = format!("stickystore-layers-{}-{}", std::process::id(), Revision::random());
    let scratch = Scratch(std::env::temp_dir().join(name));
    std::fs::create_dir(&scratch.0).unwrap();
    let mut from_journal = 0;
    for life in 0..KILLS {
        // Every other life sends nothing: all that it was told is in the journal alone.
        let sends_nothing = life % 2 == 1;
        let acknowledged = one_life(&scratch.0, life, if sends_nothing { NEVER } else { 0 });
        let report = runtime().block_on(async {
            let behind = start(&scratch.0, Duration::ZERO).await;
            let queued = behind.depth().changes;
            assert!(!sends_nothing || queued >= acknowledged.len());
            from_journal += queued;
            let report = behind.flush(call()).await;
            for name in &acknowledged {
                let profile = behind.load(call(), &subject(name)).await.unwrap();
                let value = profile.get("k").map(|entry| entry.value.as_str().to_owned());
                assert_eq!(value, Some(format!("\"{name}\"")), "acknowledged before kill {life}");
            }
            assert!(behind.shutdown(call()).await.is_clean());
            report
        });
        assert!(report.is_clean(), "{report}");
    }
    assert!(from_journal >= KILLS / 2, "the journal was needed: {from_journal}");
}
