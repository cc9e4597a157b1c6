//! `bench`: what the stores cost beside the bare drivers, on servers of its own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::Stop;
use crate::shell::{cargo, root, step, target};

/// What can be benched, and with how many microseconds added to a round trip.
const BENCHED: [(&str, &[u32]); 3] = [("redis", &[0, 500]), ("memcached", &[0, 500]), ("mongodb", &[0])];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only this backend.
    #[arg(long, value_parser = ["redis", "memcached", "mongodb"])]
    backend: Option<String>,
    /// Fewer samples, nothing added to the network.
    #[arg(long)]
    short: bool,
    /// Also write the rows as JSON, next to the plots.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<(), Stop> {
    let is_asked = |name: &str| options.backend.as_ref().is_none_or(|asked| asked == name);
    let benched: Vec<_> = BENCHED.into_iter().filter(|(name, _)| is_asked(name)).collect();
    let features: Vec<_> = benched.iter().map(|(name, _)| *name).collect();
    let mut build = cargo(&["build", "--package", "stickystore-integration-tests", "--bin", "serve"]);
    step("the servers", build.arg("--target-dir").arg(target()))?;
    let mut build =
        cargo(&["build", "--release", "--manifest-path", "benches/Cargo.toml", "--no-default-features"]);
    step("the benches", build.arg("--features").arg(features.join(",")).arg("--target-dir").arg(target()))?;
    for (backend, added) in benched {
        for added in added.iter().filter(|added| !options.short || **added == 0) {
            bench(backend, *added, options)?;
        }
    }
    Ok(())
}

fn bench(backend: &str, added: u32, options: &Options) -> Result<(), Stop> {
    let (server, url, process) = Server::start(backend, added)?;
    let reports = target().join("stickystore").join("bench").join(format!("{backend}-{added}us"));
    std::fs::create_dir_all(&reports)
        .map_err(|error| Stop::Failed(format!("{}: {error}", reports.display())))?;
    let mut bench = Command::new(target().join("release").join("stickystore-benches"));
    bench.args(["--backend", backend, "--url", &url, "--server-pid", &process]);
    bench.arg("--added-ms").arg((f64::from(added) / 1000.0).to_string()).arg("--plots").arg(&reports);
    if options.short {
        bench.arg("--short");
    }
    if options.json {
        bench.arg("--json").arg(reports.join("rows.json"));
    }
    let done = step(&format!("{backend}, {added} us added"), &mut bench);
    println!("plots: {}", reports.display());
    drop(server);
    done
}

/// A server that ends with this.
struct Server(Child);

impl Server {
    /// Also its URL and its process.
    fn start(backend: &str, added: u32) -> Result<(Self, String, String), Stop> {
        let mut serve = Command::new(target().join("debug").join("serve"));
        serve.current_dir(root()).arg(backend).arg(added.to_string());
        let started = serve.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut server = Self(started.map_err(|error| Stop::Failed(format!("the server: {error}")))?);
        let mut line = String::new();
        if let Some(told) = &mut server.0.stdout {
            let read = BufReader::new(told).read_line(&mut line);
            read.map_err(|error| Stop::Failed(format!("the server: {error}")))?;
        }
        match line.trim().split_once(' ') {
            Some((url, process)) => Ok((server, url.to_owned(), process.to_owned())),
            None => Err(Stop::Missing(format!(
                "there is no server of {backend} here: `cargo xtask test --install`"
            ))),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its input ends, and with it the server.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
