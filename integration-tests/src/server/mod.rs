//! Real servers on demand: each with a port and a folder of its own, gone with its handle.
//!
//! A server that is not installed is a skip that says so, or a failure where `STICKYSTORE_REQUIRE` names it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub mod cache;
pub mod cassandra;
pub mod memcached;
pub mod mongodb;
mod port;
pub mod redis;

pub use port::Port;

/// Names the servers, and what else tests need, that have to be there; separated by commas.
const REQUIRE: &str = "STICKYSTORE_REQUIRE";

/// How long a server may take until it is ready: much longer than it does, also a Java one on a busy machine.
const STARTS_WITHIN: Duration = Duration::from_secs(90);

/// Why there is no server, or what else is missing.
#[derive(Debug, Clone)]
pub struct Missing(pub String);

impl Missing {
    /// This server is not installed.
    ///
    /// # Panics
    /// If it is required.
    fn of(name: &str, program: &str) -> Self {
        Self::because(name, format!("{program} is not installed"))
    }

    /// What tests need under this name cannot be had.
    ///
    /// # Panics
    /// If it is required.
    pub fn because(name: &str, why: String) -> Self {
        let required = std::env::var(REQUIRE).unwrap_or_default();
        assert!(
            !required.split(',').any(|required| required.trim() == name),
            "{REQUIRE} names {name}: {why}"
        );
        Self(why)
    }
}

/// What can happen to a server; of several, to the first.
pub trait Failing {
    /// Ends it at once, as `kill -9` does.
    fn die(&mut self);

    /// Starts it again on its port, and waits until it is of use.
    fn live_again(&mut self);

    /// Stops it in its tracks: the kernel still accepts connections for it.
    fn pause(&self);

    /// Lets it go on.
    fn resume(&self);
}

/// A folder that is removed with its handle.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// A new one.
    pub fn new(name: &str) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("stickystore-{name}-{}-{next}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is only left over.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process that ends with its handle.
#[derive(Debug)]
struct Process(Child);

impl Process {
    /// Starts it and waits until it is ready; nothing if it ended before.
    fn start(mut command: Command, mut is_ready: impl FnMut() -> bool) -> io::Result<Option<Self>> {
        let mut process = Self(command.spawn()?);
        let until = Instant::now() + STARTS_WITHIN;
        while !is_ready() {
            if process.0.try_wait()?.is_some() {
                return Ok(None);
            }
            assert!(Instant::now() < until, "the server is not ready within {STARTS_WITHIN:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(Some(process))
    }

    /// Stops it in its tracks. Its threads stop one after the other: they all have when this returns.
    ///
    /// # Panics
    /// If one of them goes on.
    fn pause(&self) {
        self.signal("STOP");
        let threads = PathBuf::from(format!("/proc/{}/task", self.0.id()));
        let start = Instant::now();
        while fs::read_dir(&threads).unwrap().any(|thread| is_running(&thread.unwrap().path())) {
            assert!(start.elapsed() < Duration::from_secs(30), "its threads stop");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Lets it go on.
    fn resume(&self) {
        self.signal("CONT");
    }

    /// Sends it a signal by its name.
    fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").arg(format!("-{name}")).arg(self.0.id().to_string()).status().unwrap();
        assert!(sent.success(), "the signal {name} can be sent");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether the thread whose folder this is, is not stopped. One that has ended in the meantime does nothing either.
fn is_running(thread: &Path) -> bool {
    fs::read_to_string(thread.join("stat")).is_ok_and(|stat| !stat.contains(") T "))
}
