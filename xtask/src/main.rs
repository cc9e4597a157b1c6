//! The project's own commands, `cargo xtask <verb>`: their arguments and exit codes.
//!
//! Exit codes: 0 good; 1 something failed; 2 wrong arguments; 3 something that the tests need is missing.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod ci;
mod kill_matrix;
mod needs;
mod shell;
mod test;
mod verdicts;

#[derive(Parser)]
#[command(name = "cargo xtask", arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Runs every test, and ends with a table of what each store has shown.
    Test(test::Options),
    /// What a change has to pass: format, lints, documentation, tests, licences.
    Ci(ci::Options),
    /// Runs the conformance suite on the broken stores: which case catches which.
    KillMatrix(kill_matrix::Options),
}

/// Why a command ends without success.
pub(crate) enum Stop {
    /// This failed.
    Failed(String),
    /// The tests need what is not there.
    Missing(String),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Test(options) => test::run(&options),
        Verb::Ci(options) => ci::run(&options),
        Verb::KillMatrix(options) => kill_matrix::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop::Failed(what)) => {
            eprintln!("\nfailed: {what}");
            ExitCode::from(1)
        }
        Err(Stop::Missing(what)) => {
            eprintln!("{what}");
            ExitCode::from(3)
        }
    }
}
