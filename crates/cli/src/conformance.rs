//! `conformance`: the whole suite on the user's own server, in namespaces of its own, which are erased at the end.

use std::error::Error;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stickystore::Registry;
use stickystore_conformance::{Harness, Opened, run_some};
use stickystore_core::{Result, Store as _};

use crate::answer::{Answer, Wrong, complain, say};
use crate::noted::{Noted, Users};
use crate::opening::StoreOptions;
use crate::progress::Progress;

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
    let scheme = ground.open()?.info().scheme;
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
    let left = ground.clean()?;
    if left > 0 {
        complain(&format!("{left} users of the suite's namespaces (conformance/..) could not be erased"));
    }
    if count == 0 {
        return Err(Wrong(format!("no case has \"{}\" in its name", options.only)).into());
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
    users: Users,
}

impl Ground {
    fn new(url: String) -> Self {
        let files = url.starts_with("embedded:").then(Arc::default);
        Self { url, files, users: Arc::default() }
    }

    fn open(&self) -> Result<Noted> {
        let Some(files) = &self.files else { return self.note(&self.url) };
        let (place, query) = self.url.split_once('?').unwrap_or((&self.url, ""));
        let mut files = files_of(files);
        let place = format!("{place}.conformance-{}-{}", std::process::id(), files.len());
        let path = place.trim_start_matches("embedded:");
        files.push(path.strip_prefix("//").unwrap_or(path).into());
        self.note(&format!("{place}?{query}"))
    }

    fn note(&self, url: &str) -> Result<Noted> {
        let store = Arc::clone(Registry::new().open(url)?.store());
        Ok(Noted::new(store, Arc::clone(&self.users)))
    }

    /// Takes away what the suite left: its files, or every user that it wrote; how many users could not be erased.
    fn clean(&self) -> Result<usize> {
        if let Some(files) = &self.files {
            // One that never came to be is not there.
            files_of(files).iter().for_each(|file| drop(std::fs::remove_file(file)));
            return Ok(0);
        }
        Ok(self.open()?.erase_all())
    }
}

fn files_of(files: &Mutex<Vec<PathBuf>>) -> MutexGuard<'_, Vec<PathBuf>> {
    files.lock().unwrap_or_else(PoisonError::into_inner)
}
