//! `lookup` and `save`: Optimizely's User Profile Service, in the SDK's JSON.

use std::error::Error;

use stickystore_services::{SaveReport, Saved};

use crate::answer::{Answer, is_input, one_line, read_input, say};
use crate::opening::{RetiredOptions, StoreOptions};

#[derive(clap::Args)]
pub(crate) struct LookupOptions {
    /// The user's id
    user: String,
    #[command(flatten)]
    store: StoreOptions,
    #[command(flatten)]
    retired: RetiredOptions,
    /// Print the profile as the SDK gets it, with its receipt: it can be changed and given to `save`
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(crate) struct SaveOptions {
    /// A file with the profile as the SDK sends it; - reads stdin
    #[arg(default_value = "-")]
    file: String,
    #[command(flatten)]
    store: StoreOptions,
    #[command(flatten)]
    retired: RetiredOptions,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Prints the user's profile; no if there is none.
pub(crate) fn lookup(options: &LookupOptions) -> Result<Answer, Box<dyn Error>> {
    let profile = options.retired.of(options.store.open()?).optimizely().lookup(&options.user)?;
    let count = profile.iter().count();
    if options.json {
        say(&(profile.to_json() + "\n"))?;
    } else if count == 0 {
        say("nothing is kept of this user\n")?;
    } else {
        let line = |(experiment, variation): (&str, &str)| {
            format!("{}  {}\n", one_line(experiment), one_line(variation))
        };
        say(&profile.iter().map(line).collect::<String>())?;
    }
    Ok((count > 0).into())
}

/// Saves a profile and prints what became of each entry; no if one was kept or failed.
pub(crate) fn save(options: &SaveOptions) -> Result<Answer, Box<dyn Error>> {
    let profile = read_input(&options.file)?;
    let report = options.retired.of(options.store.open()?).optimizely().save_json(&profile)?;
    tell(&report, options.json)
}

/// Prints a report. An entry that failed is the store's failure, one that was kept a no.
pub(crate) fn tell(report: &SaveReport, json: bool) -> Result<Answer, Box<dyn Error>> {
    if json {
        say(&(report.to_json() + "\n"))?;
    } else {
        let line = |(key, saved): (&str, &Saved)| format!("{}  {}\n", one_line(key), in_words(saved));
        let text: String = report.iter().map(line).collect();
        say(if text.is_empty() { "there was nothing to save\n" } else { &text })?;
    }
    // A store that failed is more than an entry that was refused.
    let errors = || {
        report.iter().filter_map(|(_, saved)| match saved {
            Saved::Failed { error } => Some(error),
            _ => None,
        })
    };
    let failed = errors().find(|error| !is_input(error.kind()));
    if let Some(error) = failed.or_else(|| errors().next()) {
        return Err(error.clone().into());
    }
    let kept = report.iter().any(|(_, saved)| matches!(saved, Saved::Kept { .. }));
    Ok((!kept).into())
}

fn in_words(saved: &Saved) -> String {
    match saved {
        Saved::Inserted => "inserted".to_owned(),
        Saved::Unchanged => "unchanged".to_owned(),
        Saved::Added => "added to what stands there".to_owned(),
        Saved::Replaced { old } => format!("replaced {}", one_line(old.as_str())),
        Saved::Kept { why, winner: Some(winner) } => {
            format!("kept {} ({})", one_line(winner.as_str()), why.as_str())
        }
        Saved::Kept { why, winner: None } => format!("not written ({})", why.as_str()),
        Saved::Failed { error } => format!("FAILED: {error}"),
        _ => "saved".to_owned(),
    }
}
