//! The `stickystore` command: its arguments, and what each verb answers to the shell.
//!
//! Exit codes: 0 all is well; 1 the answer is no (something flipped, or differs from the recording); 2 the arguments
//! or the input are wrong.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

mod bucketing;
mod demo;
mod failing;
mod recording;
mod replay;

/// Keeps the users of A/B tests in the variation first given.
#[derive(Parser)]
#[command(name = "stickystore", version, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 all is well; 1 the answer is no; 2 the arguments or the input are wrong."
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Buckets users, changes the experiment underneath them, and counts who is moved: without a store and with it.
    Demo(demo::Options),
    /// Sends the recorded traffic of a real SDK through the service, and compares the answers.
    Replay(replay::Options),
}

/// How long a lookup or a save may take here: nobody's page waits for it, and a busy machine is no failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a verb found; the exit code.
enum Answer {
    Yes,
    No,
}

/// Prints what was found. Whoever reads it may stop reading, as `head` does.
fn say(text: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        said => said,
    }
}

fn main() -> ExitCode {
    let answer = match Arguments::parse().verb {
        Verb::Demo(options) => demo::run(&options),
        Verb::Replay(options) => replay::run(&options),
    };
    match answer {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Err(error) => {
            eprintln!("stickystore: {error}");
            let mut source = error.source();
            while let Some(below) = source {
                eprintln!("  because: {below}");
                source = below.source();
            }
            ExitCode::from(2)
        }
    }
}
