//! `import`: brings assignments from the layouts that people have today. It only inserts: what stands in the store stays.
//!
//! Who switches without it flips every user. It can be stopped and started again: `--state` keeps the place, and what was
//! imported before is found there.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;
use stickystore::Sticky;
use stickystore::services::Unproven;

use crate::answer::{Answer, Wrong, one_line, say};
use crate::opening::StoreOptions;
use crate::progress::Progress;

mod dry_run;
mod format;
mod source;
mod state;

use dry_run::DryRun;
use format::{Became, Entries, Format};
use source::{Row, Source};
use state::State;

/// So many rows are imported between two notes of the place.
const PAGE: usize = 512;

/// So many rows of a page are under way at once: writes that wait together share a round trip, or a sync of the disk.
const THREADS: usize = 32;

/// So many rows that were refused are shown; the others are counted.
const SHOWN: usize = 10;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// What the source holds
    #[arg(long, value_enum)]
    from: Format,
    /// A file with lines of JSON, each {"key": .., "value": ..} or the document itself; - reads stdin; or, where the
    /// command has the feature, the URL of a Redis server whose strings are read, as redis://host/0?match=ups:*
    source: String,
    #[command(flatten)]
    store: StoreOptions,
    /// What the source's keys have before what they name
    #[arg(long, value_name = "TEXT", default_value = "")]
    strip_prefix: String,
    /// Only say what would become of it, each row as if it were the only one
    #[arg(long)]
    dry_run: bool,
    /// Keeps the place in this file, and goes on from there if the rest of the command is the same
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    state: Option<PathBuf>,
    /// Print the counts as JSON
    #[arg(long)]
    json: bool,
}

/// What became of the rows and their entries.
#[derive(Debug, Default, Serialize)]
struct Counts {
    rows: usize,
    /// Entries that are new in the store.
    inserted: usize,
    /// Records of VWO's that stood there and lacked something, as a goal, which was added.
    added: usize,
    /// Entries that stood there already, with this value.
    unchanged: usize,
    /// Entries where another value stands, which stays.
    kept: usize,
    /// Entries and rows that are not what they should be.
    refused: usize,
    /// Where, and why: the first of them.
    refusals: BTreeMap<String, String>,
}

/// No if something was refused, or another value kept.
pub(crate) fn run(options: &Options) -> Result<Answer, Box<dyn Error>> {
    // What stands in the store stays, whatever the URL says of saves.
    let mut sticky =
        options.store.open()?.with_settings(|settings| settings.with_unproven(Unproven::KeepStored));
    if options.dry_run {
        let (store, settings) = (Arc::clone(sticky.store()), sticky.settings().clone());
        sticky = Sticky::new(DryRun::new(store), settings);
    }
    let mut state = State::open(options.state.as_deref(), &options.identity())?;
    let mut source = Source::open(&options.source, state.place())?;
    state.begin()?;
    let (mut counts, progress) = (Counts::default(), Progress::new());
    let imported = all(&sticky, options, &mut source, &mut state, &mut counts, progress);
    progress.clear();
    imported?;
    state.finish()?;
    let text =
        if options.json { serde_json::to_string(&counts)? + "\n" } else { counts.in_words(options.dry_run) };
    say(&text)?;
    Ok((counts.refused == 0 && counts.kept == 0).into())
}

impl Options {
    /// What a state belongs to: another source, or another store, has a place of its own.
    fn identity(&self) -> String {
        format!("{:?}", (&self.source, self.from, &self.strip_prefix, self.store.url()))
    }
}

/// Page by page, to the end of the source.
fn all(
    sticky: &Sticky,
    options: &Options,
    source: &mut Source,
    state: &mut State,
    counts: &mut Counts,
    progress: Progress,
) -> Result<(), Box<dyn Error>> {
    while let Some(page) = source.next_page(PAGE)? {
        for (row, became) in page.rows.iter().zip(import(sticky, options, &page.rows)?) {
            counts.add(row, became?);
        }
        state.keep(&page.next)?;
        progress.show(&format!("{} rows, {} inserted", counts.rows, counts.inserted));
    }
    Ok(())
}

/// What became of each row; the store's failure is an error, and all that is wrong with a row is in its answer.
fn import(
    sticky: &Sticky,
    options: &Options,
    rows: &[Row],
) -> Result<Vec<stickystore::Result<Entries>>, Wrong> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(row) = rows.get(place) else { return done };
            done.push((place, options.from.import(sticky, row, &options.strip_prefix)));
        }
    };
    let done: Result<Vec<_>, _> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS.min(rows.len())).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    // The place behind rows that nobody imported is not kept.
    let done = done.map_err(|_| Wrong("a thread of the import panicked".to_owned()))?;
    let mut done: Vec<_> = done.into_iter().flatten().collect();
    done.sort_by_key(|(place, _)| *place);
    Ok(done.into_iter().map(|(_, became)| became).collect())
}

impl Counts {
    fn add(&mut self, row: &Row, entries: Entries) {
        self.rows += 1;
        for (key, became) in entries {
            match became {
                Became::Inserted => self.inserted += 1,
                Became::Added => self.added += 1,
                Became::Unchanged => self.unchanged += 1,
                Became::Kept => self.kept += 1,
                Became::Refused(why) => {
                    self.refused += 1;
                    if self.refusals.len() < SHOWN {
                        self.refusals.insert(format!("{} {key}", row.place).trim_end().to_owned(), why);
                    }
                }
            }
        }
    }

    fn in_words(&self, dry_run: bool) -> String {
        let would = if dry_run { "would be " } else { "" };
        let mut text = format!(
            "{} rows: {} entries {would}inserted, {} were there, {} kept as they stand with another value, {} refused\n",
            self.rows, self.inserted, self.unchanged, self.kept, self.refused
        );
        if self.added > 0 {
            text += &format!("  {} records that stood there {would}added to, as by a goal\n", self.added);
        }
        for (place, why) in &self.refusals {
            text += &format!("  refused: {}: {}\n", one_line(place), one_line(why));
        }
        if self.refused > self.refusals.len() {
            text += &format!("  and {} more\n", self.refused - self.refusals.len());
        }
        text
    }
}
