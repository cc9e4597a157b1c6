//! `torture`: the torture run on one store, in a program of the integration tests, so that no driver comes in here.

use crate::Stop;
use crate::shell::cargo;

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
    outcome(status.code())
}

/// What the program's exit code says, which is passed on; none if a signal has ended it.
fn outcome(code: Option<i32>) -> Result<(), Stop> {
    let coded = |code, what: &str| Err(Stop::Coded(code, format!("torture: {what}")));
    match code {
        Some(0) => Ok(()),
        Some(1) => Err(Stop::Failed("torture: assignments were lost or flipped".to_owned())),
        Some(2) => coded(2, "it was called wrongly"),
        Some(3) => Err(Stop::Missing("the server is not there".to_owned())),
        Some(4) => coded(4, "too little happened to judge by"),
        Some(5) => coded(5, "the run itself could not go on"),
        Some(other) => coded(5, &format!("it did not build, or gave up: exit code {other}")),
        None => coded(5, "a signal has ended it"),
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
    fn each_way_to_end_has_its_exit_code() {
        assert!(outcome(Some(0)).is_ok());
        assert!(matches!(outcome(Some(1)), Err(Stop::Failed(what)) if what.contains("lost")));
        assert!(matches!(outcome(Some(3)), Err(Stop::Missing(_))));
        for (ended, passed) in [(Some(2), 2), (Some(4), 4), (Some(5), 5), (Some(101), 5), (None, 5)] {
            assert!(matches!(outcome(ended), Err(Stop::Coded(code, _)) if code == passed), "{ended:?}");
        }
    }

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
