//! `kill-matrix`: the suite on the broken stores, to see that it catches every one.

use stickystore_conformance::broken;

use crate::Stop;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<(), Stop> {
    let matrix = broken::kill_matrix();
    if options.json {
        println!("{}", matrix.to_json());
    } else {
        println!("{matrix}");
    }
    match matrix.survivors().len() {
        0 => Ok(()),
        survivors => Err(Stop::Failed(format!("{survivors} broken stores pass the suite"))),
    }
}
