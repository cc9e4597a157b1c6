//! Starts a server of its own of the backend that its first argument names, prints `<url> <process>`, and ends it when its
//! standard input ends. A second argument is how many microseconds a round trip takes longer. `cargo xtask bench` asks it.
//!
//! Exit codes: 2 wrong arguments, 3 there is no such server here.
#![expect(
    clippy::unwrap_used,
    reason = "a server that cannot be prepared is of no use, and says so by its panic"
)]

use std::io::Read as _;
use std::process::ExitCode;
use std::time::Duration;

use stickystore_cassandra::{CassandraStore, Config as CassandraConfig, Replication};
use stickystore_core::{Call, SystemClock};
use stickystore_integration_tests::far;
use stickystore_integration_tests::server::Missing;
use stickystore_integration_tests::server::cassandra::{Cassandra, Setup};
use stickystore_integration_tests::server::memcached::Memcached;
use stickystore_integration_tests::server::mongodb::MongoDb;
use stickystore_integration_tests::server::redis::Redis;
use stickystore_mongodb::{Config, MongodbStore};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let backend = arguments.next().unwrap_or_default();
    let Ok(added) = arguments.next().map_or(Ok(0), |added| added.parse()) else { return ExitCode::from(2) };
    let way = (added > 0).then(|| Duration::from_micros(added) / 2);
    let through = |port| way.map_or(port, |way| far::start(port, way));
    let served = match (backend.as_str(), way) {
        ("redis", _) => Redis::start(&[]).map(|server| {
            serve(&format!("redis://127.0.0.1:{}", through(server.port())), server);
        }),
        // Enough that a million users stay.
        ("memcached", _) => Memcached::start(&["-m", "4096"]).map(|server| {
            serve(&format!("memcache://127.0.0.1:{}", through(server.port())), server);
        }),
        // Their drivers go to the members by their own names.
        ("cassandra", None) => Cassandra::start(&patient()).map(|server| {
            let url = server.url("stickystore");
            make_tables(&url);
            serve(&url, server);
        }),
        ("mongodb", None) => MongoDb::start(&[]).map(|server| {
            prepare(&server.url());
            serve(&server.url(), server);
        }),
        _ => {
            eprintln!("there is no server of {backend:?} to bench, or none with time added");
            return ExitCode::from(2);
        }
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(Missing(why)) => {
            eprintln!("{why}");
            ExitCode::from(3)
        }
    }
}

/// Says where it is, and keeps it.
fn serve<S>(url: &str, server: S) {
    println!("{url} {}", child());
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    drop(server);
}

/// A node that does not give a request up on a busy machine.
fn patient() -> Setup {
    let names = ["read_request", "write_request", "cas_contention"];
    let lines = names.map(|name| format!("{name}_timeout: 60000ms\n"));
    Setup { lines: lines.concat(), ..Setup::default() }
}

fn prepare(url: &str) {
    runtime().block_on(MongodbStore::apply_schema(&Config::from_url(url).unwrap(), call())).unwrap();
}

/// The store's table, and one like it for the bare driver.
fn make_tables(url: &str) {
    let once: Replication = "1".parse().unwrap();
    for url in [url.to_owned(), format!("{url}?table=bare")] {
        let config = CassandraConfig::from_url(&url).unwrap();
        runtime().block_on(CassandraStore::apply_schema(&config, &once, call())).unwrap();
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn call() -> Call {
    Call::within(&SystemClock, Duration::from_secs(60))
}

/// The server's process: the only child that there is.
fn child() -> u32 {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let children =
        threads.map(|thread| std::fs::read_to_string(thread.unwrap().path().join("children")).unwrap());
    let child =
        children.flat_map(|text| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).next();
    child.unwrap().parse().unwrap()
}
