//! `demo`: an experiment changes while it runs; who is moved to another variation, without a store and with it.
//!
//! Every decision is made as an SDK makes it, through the shipped `lookup` and `save` in the SDK's JSON.

use std::error::Error;

use stickystore_core::memory::MemoryStore;
use stickystore_core::{Namespace, Store};
use stickystore_services::Settings;
use stickystore_services::optimizely::{UserProfile, UserProfileService};

use crate::bucketing::{Experiment, TRAFFIC};
use crate::{Answer, PATIENCE, say};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many users there are.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    users: u32,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

/// Three variations with a third of the traffic each.
const BEFORE: Experiment =
    Experiment { id: "checkout", allocation: &[("plain", 3_334), ("green", 6_667), ("blue", 10_000)] };

/// The winner of the first weeks gets less traffic, `blue` is dropped, `amber` is new.
const AFTER: Experiment =
    Experiment { id: "checkout", allocation: &[("plain", 2_000), ("green", 4_000), ("amber", 10_000)] };

#[derive(serde::Serialize)]
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
    let settings = Settings::new(Namespace::new("demo")?).with_deadline(PATIENCE);
    let service = UserProfileService::new(MemoryStore::new(), settings);
    let figures = measure(&service, options.users)?;
    let found = if options.json { serde_json::to_string(&figures)? + "\n" } else { in_words(&figures) };
    say(&found)?;
    let kept = figures.flipped_with_store == 0 && figures.flipped_after_reassignment == 0;
    Ok(if kept { Answer::Yes } else { Answer::No })
}

fn measure<S: Store>(service: &UserProfileService<S>, users: u32) -> Result<Figures, Box<dyn Error>> {
    let mut figures = Figures {
        users,
        flipped_without_store: 0,
        expected_without_store: f64::from(users) * expected_share(),
        flipped_with_store: 0,
        reassigned_with_store: 0,
        flipped_after_reassignment: 0,
    };
    for user in (0..users).map(|number| format!("user-{number}")) {
        let without = [&BEFORE, &AFTER].map(|experiment| experiment.bucket(&user));
        let first = decide(service, &BEFORE, &user)?;
        let second = decide(service, &AFTER, &user)?;
        let third = decide(service, &AFTER, &user)?;
        let still_exists = first.as_deref().is_some_and(|variation| AFTER.knows(variation));
        figures.flipped_without_store += u32::from(still_exists && without[0] != without[1]);
        figures.flipped_with_store += u32::from(still_exists && first != second);
        figures.reassigned_with_store += u32::from(!still_exists && first != second);
        figures.flipped_after_reassignment += u32::from(second != third);
    }
    Ok(figures)
}

/// One decision, in the order of the SDKs: the stored variation if the datafile knows it, else bucket and save.
fn decide<S: Store>(
    service: &UserProfileService<S>,
    experiment: &Experiment,
    user: &str,
) -> Result<Option<String>, Box<dyn Error>> {
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

fn in_words(figures: &Figures) -> String {
    let mut names: Vec<_> = BEFORE.allocation.iter().map(|(id, _)| *id).collect();
    names.extend(AFTER.allocation.iter().map(|(id, _)| *id).filter(|id| !BEFORE.knows(id)));
    let change =
        |name: &&str| format!("  {name:<7} {:>6} -> {:>6}\n", share(&BEFORE, name), share(&AFTER, name));
    let changes: String = names.iter().map(change).collect();
    format!(
        "An experiment with {} users; then its traffic is re-allocated:

{changes}
Users whose variation still exists, but who now see another one:

  without a store   {:>6}   (expected: {:.0})
  with stickystore  {:>6}

The {} users of the dropped variation were given another, and {} of them were moved again.
",
        figures.users,
        figures.flipped_without_store,
        figures.expected_without_store,
        figures.flipped_with_store,
        figures.reassigned_with_store,
        figures.flipped_after_reassignment
    )
}

/// How much of the traffic a variation has, in words.
fn share(experiment: &Experiment, name: &str) -> String {
    let values = (0..TRAFFIC).filter(|value| experiment.at(*value) == Some(name)).count();
    if values == 0 { "-".to_owned() } else { format!("{:.1} %", values as f64 * 100.0 / f64::from(TRAFFIC)) }
}
