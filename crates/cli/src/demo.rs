//! `demo`: an experiment changes while it runs; who is moved to another variation, without a store and with it.
//!
//! Every decision is made as an SDK makes it, through the shipped `lookup` and `save` in the SDK's JSON.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use stickystore::{Registry, Sticky};
use stickystore_core::{Store, StoreExt as _};
use stickystore_services::optimizely::{UserProfile, UserProfileService};

use crate::answer::{Answer, Wrong, say};
use crate::bucketing::{Experiment, TRAFFIC};
use crate::progress::Progress;

/// So many users decide at once: writes that wait together share a sync of the disk.
const THREADS: u32 = 64;

/// Progress is shown every so many users.
const SHOWN_EVERY: u32 = 97;

/// A call may take its time: nobody's page waits for it, and a busy machine is no failure.
const OPTIONS: &str = "namespace=demo&deadline=30s";

/// How wide the plot's longest bar is.
const BAR: f64 = 44.0;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many users there are
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    users: u32,
    /// The file that the assignments are kept in, which must not be there yet [default: stickystore-demo.redb in the folder
    /// for temporary files; what the last demo left there goes]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

/// Three variations with a third of the traffic each.
const BEFORE: Experiment =
    Experiment { id: "checkout", allocation: &[("plain", 3_334), ("green", 6_667), ("blue", 10_000)] };

/// The winner of the first weeks gets less traffic, `blue` is dropped, `amber` is new.
const AFTER: Experiment =
    Experiment { id: "checkout", allocation: &[("plain", 2_000), ("green", 4_000), ("amber", 10_000)] };

#[derive(Default, serde::Serialize)]
struct Figures {
    users: u32,
    /// Users whose variation still exists and who were moved all the same.
    flipped_without_store: u32,
    /// The same, from the allocations alone.
    expected_without_store: f64,
    flipped_with_store: u32,
    /// Users whose variation was dropped: all are given another.
    reassigned_with_store: u32,
    /// Those who were moved once more after that.
    flipped_after_reassignment: u32,
}

pub(crate) fn run(options: &Options) -> Result<Answer, Box<dyn Error>> {
    let file = match &options.file {
        Some(file) if file.exists() => {
            let what = format!("{}: is there already, and the demo begins with a new file", file.display());
            return Err(Wrong(what).into());
        }
        Some(file) => file.clone(),
        None => default_file()?,
    };
    let url = url(&file)?;
    let sticky = open(&url)?;
    let figures = measure(&sticky, options.users)?;
    let found = if options.json { serde_json::to_string(&figures)? + "\n" } else { in_words(&figures, &url) };
    say(&found)?;
    let kept = figures.flipped_with_store == 0 && figures.flipped_after_reassignment == 0;
    Ok(kept.into())
}

/// The URL of this file, if it can have one.
fn url(file: &Path) -> Result<String, Wrong> {
    let path = file.to_str().filter(|path| !path.contains('?'));
    let path =
        path.ok_or_else(|| Wrong(format!("{}: the path of a store has no ? and is UTF-8", file.display())))?;
    Ok(format!("embedded:{path}"))
}

fn open(url: &str) -> stickystore::Result<Sticky> {
    Registry::new().open(&format!("{url}?{OPTIONS}"))
}

/// The demo's own file, without what the last demo left. A file of anything else stays, and is an error.
fn default_file() -> Result<PathBuf, Box<dyn Error>> {
    let file = std::env::temp_dir().join("stickystore-demo.redb");
    if file.exists() {
        let last = open(&url(&file)?)?;
        let (call, namespace) = (last.settings().call(), last.settings().namespace().clone());
        if last.store().scan_users(call, &namespace, None, 1)?.users.is_empty() {
            let what = format!("{}: no demo has left this file; give another with --file", file.display());
            return Err(Wrong(what).into());
        }
        last.close()?;
        drop(last);
        std::fs::remove_file(&file)?;
    }
    Ok(file)
}

fn measure(sticky: &Sticky, users: u32) -> Result<Figures, Box<dyn Error>> {
    let service = sticky.optimizely();
    let (next, progress) = (AtomicU32::new(0), Progress::new());
    let work = || -> Result<Figures, Box<dyn Error + Send + Sync>> {
        let mut figures = Figures::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= users {
                return Ok(figures);
            }
            if number.is_multiple_of(SHOWN_EVERY) {
                progress.show(&format!("{number} of {users} users have decided"));
            }
            figures.count(&service, &format!("user-{number}"))?;
        }
    };
    let parts: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS.min(users)).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    progress.clear();
    let mut figures =
        Figures { users, expected_without_store: f64::from(users) * expected_share(), ..Figures::default() };
    for part in parts {
        let part = part.map_err(|_| Wrong("a thread of the demo panicked".to_owned()))?;
        figures.add(&part.map_err(|error| -> Box<dyn Error> { error })?);
    }
    Ok(figures)
}

impl Figures {
    /// Three decisions of one user: before the change, after it, and once more.
    fn count<S: Store>(
        &mut self,
        service: &UserProfileService<S>,
        user: &str,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let without = [&BEFORE, &AFTER].map(|experiment| experiment.bucket(user));
        let first = decide(service, &BEFORE, user)?;
        let second = decide(service, &AFTER, user)?;
        let third = decide(service, &AFTER, user)?;
        let still_exists = first.as_deref().is_some_and(|variation| AFTER.knows(variation));
        self.flipped_without_store += u32::from(still_exists && without[0] != without[1]);
        self.flipped_with_store += u32::from(still_exists && first != second);
        self.reassigned_with_store += u32::from(!still_exists && first != second);
        self.flipped_after_reassignment += u32::from(second != third);
        Ok(())
    }

    fn add(&mut self, part: &Self) {
        self.flipped_without_store += part.flipped_without_store;
        self.flipped_with_store += part.flipped_with_store;
        self.reassigned_with_store += part.reassigned_with_store;
        self.flipped_after_reassignment += part.flipped_after_reassignment;
    }
}

/// One decision, in the order of the SDKs: the stored variation if the datafile knows it, else bucket and save.
fn decide<S: Store>(
    service: &UserProfileService<S>,
    experiment: &Experiment,
    user: &str,
) -> Result<Option<String>, Box<dyn Error + Send + Sync>> {
    let mut profile = UserProfile::parse(&service.lookup_json(user)?)?;
    let stored = profile.variation(experiment.id).filter(|variation| experiment.knows(variation));
    if let Some(stored) = stored {
        return Ok(Some(stored.to_owned()));
    }
    let Some(bucketed) = experiment.bucket(user) else { return Ok(None) };
    profile.set_variation(experiment.id, bucketed);
    let report = service.save_json(&profile.to_json())?;
    match report.error() {
        Some(error) => Err(error.clone().into()),
        None => Ok(Some(bucketed.to_owned())),
    }
}

/// The share of the traffic whose variation exists before and after, and is another one.
fn expected_share() -> f64 {
    let flips = |value: &u32| {
        let before = BEFORE.at(*value);
        before.is_some_and(|variation| AFTER.knows(variation)) && before != AFTER.at(*value)
    };
    (0..TRAFFIC).filter(flips).count() as f64 / f64::from(TRAFFIC)
}

fn in_words(figures: &Figures, url: &str) -> String {
    let mut names: Vec<_> = BEFORE.allocation.iter().map(|(id, _)| *id).collect();
    names.extend(AFTER.allocation.iter().map(|(id, _)| *id).filter(|id| !BEFORE.knows(id)));
    let change =
        |name: &&str| format!("  {name:<7} {:>6} -> {:>6}\n", share(&BEFORE, name), share(&AFTER, name));
    let changes: String = names.iter().map(change).collect();
    let most = f64::from(figures.flipped_without_store).max(figures.expected_without_store).max(1.0);
    let bar = |count: f64| "#".repeat((count / most * BAR).round() as usize);
    let row = |name: &str, count: f64| format!("  {name:<18} {count:>7.0}  {}\n", bar(count));
    let plot = [
        row("without a store", f64::from(figures.flipped_without_store)),
        row("  theory says", figures.expected_without_store),
        row("with stickystore", f64::from(figures.flipped_with_store)),
    ];
    format!(
        "An experiment with {} users; then its traffic is re-allocated:

{changes}
Users whose variation still exists, but who now see another one:

{}
The {} users of the dropped variation were given another, and {} of them were moved again.

What is kept of one of them:  {} lookup user-{} --store {} --namespace demo
",
        figures.users,
        plot.concat(),
        figures.reassigned_with_store,
        figures.flipped_after_reassignment,
        command(),
        figures.users.saturating_sub(1).min(7),
        quoted(url)
    )
}

/// As a shell takes it for one word.
fn quoted(text: &str) -> String {
    let is_plain = text.chars().all(|c| c.is_alphanumeric() || "/:._-+".contains(c));
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// How this command was started, and can be again.
fn command() -> &'static str {
    if std::env::var_os("CARGO").is_some() { "cargo run --release --" } else { "stickystore" }
}

/// How much of the traffic a variation has, in words.
fn share(experiment: &Experiment, name: &str) -> String {
    let values = (0..TRAFFIC).filter(|value| experiment.at(*value) == Some(name)).count();
    if values == 0 { "-".to_owned() } else { format!("{:.1} %", values as f64 * 100.0 / f64::from(TRAFFIC)) }
}
