//! `torture`: the torture run on one store, in a program of the integration tests, so that no driver comes in here.

use crate::Stop;
use crate::shell::cargo;

/// The exit code of the program where the server is not installed.
const MISSING: i32 = 3;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The store: memory, embedded, redis, memcached, mongodb or cassandra.
    #[arg(long, default_value = "redis")]
    backend: String,
    /// How many nodes its server has: 3 is for mongodb and cassandra, and kills one after the other.
    #[arg(long, default_value_t = 1)]
    nodes: u8,
    /// How long the callers go on.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// What the random numbers begin with, to ask the same questions again; another one each time unless it is said.
    #[arg(long)]
    seed: Option<u64>,
    /// With all layers around the store: cache, resilience, coalescing, metrics.
    #[arg(long)]
    layers: bool,
    /// Print the verdict as JSON.
    #[arg(long)]
    json: bool,
    /// Plant a bug, to see it found; any other name lists them.
    #[arg(long)]
    plant: Option<String>,
}

pub(crate) fn run(options: &Options) -> Result<(), Stop> {
    let mut torture =
        cargo(&["run", "--quiet", "--package", "stickystore-integration-tests", "--bin", "torture", "--"]);
    torture.args(words(options));
    let status = torture.status().map_err(|error| Stop::Failed(format!("torture: {error}")))?;
    match status.code() {
        Some(0) => Ok(()),
        Some(MISSING) => Err(Stop::Missing("the server is not there".to_owned())),
        _ => Err(Stop::Failed("torture".to_owned())),
    }
}

/// The program's arguments.
fn words(options: &Options) -> Vec<String> {
    let Options { backend, nodes, seconds, seed, layers, json, plant } = options;
    let mut words =
        vec![format!("--backend={backend}"), format!("--nodes={nodes}"), format!("--seconds={seconds}")];
    words.extend(seed.map(|seed| format!("--seed={seed}")));
    words.extend(plant.as_ref().map(|plant| format!("--plant={plant}")));
    words.extend(layers.then(|| "--layers".to_owned()));
    words.extend(json.then(|| "--json".to_owned()));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_passed_on() {
        let options = Options {
            backend: "mongodb".to_owned(),
            nodes: 3,
            seconds: 5,
            seed: Some(7),
            layers: true,
            json: true,
            plant: Some("fifo-ledger".to_owned()),
        };
        let words = words(&options);
        assert_eq!(
            words,
            [
                "--backend=mongodb",
                "--nodes=3",
                "--seconds=5",
                "--seed=7",
                "--plant=fifo-ledger",
                "--layers",
                "--json"
            ]
        );
    }
}
