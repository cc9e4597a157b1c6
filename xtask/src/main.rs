//! The project's own commands, `cargo xtask <verb>`: their arguments and exit codes.
//!
//! Exit codes: 0 good; 1 something failed; 2 wrong arguments; 3 something that the tests need is missing.

use std::fmt;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod ci;
mod containers;
mod failures;
mod kill_matrix;
mod needs;
mod shell;
mod test;
mod torture;
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
    /// Runs SDK-like callers on a store while everything fails that can, and sees whether an assignment was lost.
    Torture(torture::Options),
    /// What the stores cost beside the bare drivers, with servers of its own: ratios, plots, JSON.
    Bench(bench::Options),
    /// Brings the servers of `docker-compose.yml` up, and says where they are.
    Up(containers::Options),
    /// Takes them down.
    Down,
}

/// Why a command ends without success.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// This failed.
    Failed(String),
    /// The tests need what is not there.
    Missing(String),
    /// This failed, with an exit code of its own.
    Coded(u8, String),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(what) | Self::Coded(_, what) => write!(f, "failed: {what}"),
            Self::Missing(what) => f.write_str(what),
        }
    }
}

fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Test(options) => test::run(&options),
        Verb::Ci(options) => ci::run(&options),
        Verb::KillMatrix(options) => kill_matrix::run(&options),
        Verb::Torture(options) => torture::run(&options),
        Verb::Bench(options) => bench::run(&options),
        Verb::Up(options) => containers::up(&options),
        Verb::Down => containers::down(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => {
            eprintln!("\n{stop}");
            ExitCode::from(match stop {
                Stop::Failed(_) => 1,
                Stop::Missing(_) => 3,
                Stop::Coded(code, _) => code,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn every_document_names_verbs_that_exist() {
        let documents = [
            "README.md",
            "ARCHITECTURE.md",
            "CONTRIBUTING.md",
            "CHANGELOG.md",
            "docs/torture.md",
            "justfile",
            ".ci/run",
        ];
        let arguments = Arguments::command();
        let mut named = 0;
        for document in documents {
            let text = std::fs::read_to_string(shell::root().join(document)).unwrap();
            for rest in text.split("cargo xtask ").skip(1) {
                let verb: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
                assert!(arguments.find_subcommand(&verb).is_some(), "{document} names `cargo xtask {verb}`");
                named += 1;
            }
        }
        assert!(named > 5, "documents name verbs: {named}");
    }

    #[test]
    fn the_justfile_has_every_verb() {
        let justfile = std::fs::read_to_string(shell::root().join("justfile")).unwrap();
        for verb in Arguments::command().get_subcommands() {
            assert!(justfile.contains(&format!("\n{}:\n", verb.get_name())), "{}", verb.get_name());
        }
    }

    #[test]
    fn arguments_make_sense_to_clap() {
        Arguments::command().debug_assert();
    }
}
