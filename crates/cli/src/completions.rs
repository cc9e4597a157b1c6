//! `completions`: what a shell needs to complete this command.

use std::error::Error;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::answer::{Answer, say};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Which shell
    shell: Shell,
}

pub(crate) fn run(options: &Options) -> Result<Answer, Box<dyn Error>> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut crate::Arguments::command(), "stickystore", &mut script);
    say(&String::from_utf8(script)?)?;
    Ok(Answer::Yes)
}
