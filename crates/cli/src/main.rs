//! The `stickystore` command: its verbs.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

mod answer;
mod bucketing;
mod completions;
mod conformance;
mod demo;
mod doctor;
mod entries;
mod failing;
mod import;
mod noted;
mod opening;
mod optimizely;
mod progress;
mod recording;
mod replay;
#[cfg(any(feature = "cassandra", feature = "mongodb"))]
mod schema;
mod vwo;

use answer::{Answer, EXIT_CODES, say};

/// Keeps the users of A/B tests in the variation first given.
#[derive(Parser)]
#[command(name = "stickystore", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Bucket users, change the experiment underneath them, and count who is moved: without a store and with it
    Demo(demo::Options),
    /// Keep a value for a user unless there is one, and print what is kept
    Assign(entries::AssignOptions),
    /// Print a user's profile as Optimizely's SDKs look it up
    Lookup(optimizely::LookupOptions),
    /// Save a profile as Optimizely's SDKs send it, and print what became of each entry
    Save(optimizely::SaveOptions),
    /// Print a user's record of a campaign as VWO's SDKs get it
    Get(vwo::GetOptions),
    /// Set a record as VWO's SDKs do, and print what became of it
    Set(vwo::SetOptions),
    /// Put a value in the place of whatever a user has
    Put(entries::PutOptions),
    /// Take away what a user has under one key
    Remove(entries::RemoveOptions),
    /// Erase all that a user has
    Erase(entries::UserOptions),
    /// Print all that is kept of a user
    Export(entries::UserOptions),
    /// Say what the store promises, what is wrong with its server, and how fast it answers
    Doctor(doctor::Options),
    /// Run the conformance suite on a store, in namespaces of its own
    Conformance(conformance::Options),
    /// Bring assignments from the layouts that people have today; what stands in the store stays
    Import(import::Options),
    /// Send the recorded traffic of a real SDK through the service, and compare the answers
    Replay(replay::Options),
    /// Print what a Cassandra or MongoDB store needs in its database, or make it
    #[cfg(any(feature = "cassandra", feature = "mongodb"))]
    Schema(schema::Options),
    /// Print a shell's completions of this command
    Completions(completions::Options),
}

/// How long a lookup or a save may take here: nobody's page waits for it, and a busy machine is no failure.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    answer::exit(match Arguments::parse().verb {
        Verb::Demo(options) => demo::run(&options),
        Verb::Assign(options) => entries::assign(&options),
        Verb::Lookup(options) => optimizely::lookup(&options),
        Verb::Save(options) => optimizely::save(&options),
        Verb::Get(options) => vwo::get(&options),
        Verb::Set(options) => vwo::set(&options),
        Verb::Put(options) => entries::put(&options),
        Verb::Remove(options) => entries::remove(&options),
        Verb::Erase(options) => entries::erase(&options),
        Verb::Export(options) => entries::export(&options),
        Verb::Doctor(options) => doctor::run(&options),
        Verb::Conformance(options) => conformance::run(&options),
        Verb::Import(options) => import::run(&options),
        Verb::Replay(options) => replay::run(&options),
        #[cfg(any(feature = "cassandra", feature = "mongodb"))]
        Verb::Schema(options) => schema::run(&options),
        Verb::Completions(options) => completions::run(&options),
    })
}
