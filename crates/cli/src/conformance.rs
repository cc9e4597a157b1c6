//! `conformance`: the whole suite on the user's own server, in namespaces of its own, which are erased at the end.

use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stickystore::Registry;
use stickystore_conformance::{Harness, Opened, run_some};
use stickystore_core::{
    Call, Erase, Finding, Outcome, Profile, Read, Result, Scan, Store, StoreInfo, Subject, SystemClock, Write,
};

use crate::answer::{Answer, Wrong, say};
use crate::opening::StoreOptions;
use crate::progress::Progress;

/// How long the erase marks live that the cleaning leaves: nobody else writes there.
const MARK_LIFE: Duration = Duration::from_secs(5);

/// How many users are erased at once.
const ERASED_AT_ONCE: usize = 256;

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    store: StoreOptions,
    /// Only the cases whose name (group::case) has this in it
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// No if a case failed.
pub(crate) fn run(options: &Options) -> std::result::Result<Answer, Box<dyn Error>> {
    let ground = Ground::new(options.store.url());
    // Opened once before, so that a wrong URL is an error and not a report full of failures.
    let scheme = ground.open()?.store.info().scheme;
    let open = {
        let ground = ground.clone();
        move || Ok(Opened::blocking(ground.open()?))
    };
    let (mut count, progress) = (0, Progress::new());
    // What a case panics with is in the report.
    std::panic::set_hook(Box::new(|_| {}));
    let report = run_some(&Harness::blocking(scheme, open), |case| {
        let name = format!("{}::{}", case.group, case.name);
        let is_wanted = name.contains(&options.only);
        if is_wanted {
            count += 1;
            progress.show(&format!("{count} {name}"));
        }
        is_wanted
    });
    drop(std::panic::take_hook());
    progress.clear();
    if count == 0 {
        return Err(Wrong(format!("no case has \"{}\" in its name", options.only)).into());
    }
    let left = ground.clean()?;
    if left > 0 {
        eprintln!("stickystore: {left} users of the suite's namespaces (conformance/..) could not be erased");
    }
    say(&if options.json { report.to_json() + "\n" } else { report.to_string() })?;
    Ok(report.is_good().into())
}

/// Where the suite runs, and what it leaves there.
#[derive(Clone)]
struct Ground {
    url: String,
    /// The file of an embedded store is left alone: each case has its own beside it.
    files: Option<Arc<Mutex<Vec<PathBuf>>>>,
    users: Arc<Mutex<HashSet<Subject>>>,
}

impl Ground {
    fn new(url: String) -> Self {
        let files = url.starts_with("embedded:").then(Arc::default);
        Self { url, files, users: Arc::default() }
    }

    fn open(&self) -> Result<Noted> {
        let Some(files) = &self.files else { return self.note(&self.url) };
        let (place, query) = self.url.split_once('?').unwrap_or((&self.url, ""));
        let mut files = lock(files);
        let place = format!("{place}.conformance-{}-{}", std::process::id(), files.len());
        let path = place.trim_start_matches("embedded:");
        files.push(path.strip_prefix("//").unwrap_or(path).into());
        self.note(&format!("{place}?{query}"))
    }

    fn note(&self, url: &str) -> Result<Noted> {
        let store = Arc::clone(Registry::new().open(url)?.store());
        Ok(Noted { store, users: Arc::clone(&self.users) })
    }

    /// Takes away what the suite left: its files, or every user that it wrote; how many users could not be erased.
    fn clean(&self) -> Result<usize> {
        if let Some(files) = &self.files {
            // One that never came to be is not there.
            lock(files).iter().for_each(|file| drop(std::fs::remove_file(file)));
            return Ok(0);
        }
        clean(&self.open()?.store, &self.users)
    }
}

/// Erases every user that was written; how many could not be.
fn clean(store: &Arc<dyn Store>, touched: &Mutex<HashSet<Subject>>) -> Result<usize> {
    let users: Vec<_> = std::mem::take(&mut *lock(touched)).into_iter().collect();
    let mut left = 0;
    for users in users.chunks(ERASED_AT_ONCE) {
        let call = Call::within(&SystemClock, Duration::from_secs(60));
        let until = call.now.saturating_add(MARK_LIFE);
        let erases: Vec<_> =
            users.iter().map(|user| Erase::new(user.clone(), call.now).with_mark_until(until)).collect();
        left += store.erase(call, &erases).iter().filter(|erased| erased.is_err()).count();
    }
    Ok(left)
}

/// A store that notes whom it is to write.
#[derive(Clone)]
struct Noted {
    store: Arc<dyn Store>,
    users: Arc<Mutex<HashSet<Subject>>>,
}

impl fmt::Debug for Noted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

#[deny(clippy::missing_trait_methods)]
impl Store for Noted {
    fn info(&self) -> &StoreInfo {
        self.store.info()
    }

    fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        self.store.read(call, reads)
    }

    fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        lock(&self.users).extend(writes.iter().map(|write| write.subject().clone()));
        self.store.write(call, writes)
    }

    fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        lock(&self.users).extend(erases.iter().map(|erase| erase.subject.clone()));
        self.store.erase(call, erases)
    }

    fn ping(&self, call: Call) -> Result<()> {
        self.store.ping(call)
    }

    fn close(&self, call: Call) -> Result<()> {
        self.store.close(call)
    }

    fn diagnose(&self, call: Call) -> Vec<Finding> {
        self.store.diagnose(call)
    }

    fn scan(&self) -> Option<&dyn Scan> {
        self.store.scan()
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
