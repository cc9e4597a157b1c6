//! `bench`: what the stores cost beside the bare drivers, on servers of its own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::Stop;
use crate::shell::{cargo, root, step, target};

/// What can be benched.
const BENCHED: [Benched; 4] = [
    Benched { backend: "redis", added: &[0, 500], users: &[100_000, 1_000_000], short_users: &[100_000] },
    Benched { backend: "memcached", added: &[0, 500], users: &[100_000, 1_000_000], short_users: &[100_000] },
    // Their drivers go to the members by their own names: there is no longer way to them.
    Benched { backend: "mongodb", added: &[0], users: &[100_000, 1_000_000], short_users: &[] },
    // To fill a node with a million users takes the better part of an hour.
    Benched { backend: "cassandra", added: &[0], users: &[100_000], short_users: &[] },
];

struct Benched {
    backend: &'static str,
    /// How many microseconds are added to a round trip, each in a run of its own.
    added: &'static [u32],
    /// Of how many users there are runs besides.
    users: &'static [u32],
    short_users: &'static [u32],
}

/// What is measured of many users: what a call costs.
const OF_MANY: [&str; 8] =
    ["--parts", "async", "--only", "load of 5,put with TTL", "--callers", "64", "--rounds", "3"];

/// What is counted: it is the same in every round.
const COUNTED: [&str; 7] = ["--short", "--parts", "async,memory", "--callers", "1,64", "--rounds", "1"];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only this backend.
    #[arg(long, value_parser = ["redis", "memcached", "mongodb", "cassandra"])]
    backend: Option<String>,
    /// Fewer samples, nothing added to the network, a million users nowhere.
    #[arg(long)]
    short: bool,
    /// Also write the rows as JSON, next to the plots.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<(), Stop> {
    let is_asked = |name: &str| options.backend.as_ref().is_none_or(|asked| asked == name);
    let benched: Vec<_> = BENCHED.iter().filter(|benched| is_asked(benched.backend)).collect();
    let features: Vec<_> = benched.iter().map(|benched| benched.backend).collect();
    let mut build = cargo(&["build", "--package", "stickystore-integration-tests", "--bin", "serve"]);
    step("the servers", build.arg("--target-dir").arg(target()))?;
    let mut build =
        cargo(&["build", "--release", "--manifest-path", "benches/Cargo.toml", "--no-default-features"]);
    step("the benches", build.arg("--features").arg(features.join(",")).arg("--target-dir").arg(target()))?;
    for benched in benched {
        for added in benched.added.iter().filter(|added| !options.short || **added == 0) {
            bench(benched, *added, options)?;
        }
    }
    Ok(())
}

fn bench(benched: &Benched, added: u32, options: &Options) -> Result<(), Stop> {
    let backend = benched.backend;
    let server = Server::start(backend, added)?;
    let reports = target().join("stickystore").join("bench").join(format!("{backend}-{added}us"));
    std::fs::create_dir_all(&reports)
        .map_err(|error| Stop::Failed(format!("{}: {error}", reports.display())))?;
    let program = |program: &str, rows: &str| {
        let mut bench = Command::new(target().join("release").join(program));
        bench.args(["--backend", backend, "--url", &server.url, "--server-pid", &server.process]);
        bench.arg("--added-ms").arg((f64::from(added) / 1000.0).to_string());
        if options.short {
            bench.arg("--short");
        }
        if options.json {
            bench.arg("--json").arg(reports.join(format!("{rows}.json")));
        }
        bench
    };
    let name = format!("{backend}, {added} us added");
    step(&name, program("stickystore-benches", "rows").arg("--plots").arg(&reports))?;
    println!("plots: {}", reports.display());
    if added > 0 {
        return Ok(());
    }
    step(&format!("{name}, what is allocated"), program("counted", "allocated").args(COUNTED))?;
    for users in if options.short { benched.short_users } else { benched.users } {
        let mut bench = program("stickystore-benches", &format!("rows-{users}"));
        step(&format!("{name}, {users} users"), bench.args(OF_MANY).arg("--users").arg(users.to_string()))?;
    }
    Ok(())
}

/// A server that ends with this.
struct Server {
    child: Child,
    url: String,
    process: String,
}

impl Server {
    fn start(backend: &str, added: u32) -> Result<Self, Stop> {
        let mut serve = Command::new(target().join("debug").join("serve"));
        serve.current_dir(root()).arg(backend).arg(added.to_string());
        let started = serve.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let child = started.map_err(|error| Stop::Failed(format!("the server: {error}")))?;
        let mut server = Self { child, url: String::new(), process: String::new() };
        let mut line = String::new();
        if let Some(told) = &mut server.child.stdout {
            let read = BufReader::new(told).read_line(&mut line);
            read.map_err(|error| Stop::Failed(format!("the server: {error}")))?;
        }
        let Some((url, process)) = line.trim().split_once(' ') else {
            let how = "`cargo xtask test --install`";
            return Err(Stop::Missing(format!("there is no server of {backend} here: {how}")));
        };
        (server.url, server.process) = (url.to_owned(), process.to_owned());
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its input ends, and with it the server.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
