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

use stickystore_core::{Call, SystemClock};
use stickystore_integration_tests::far;
use stickystore_integration_tests::server::Missing;
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
        ("memcached", _) => Memcached::start(&[]).map(|server| {
            serve(&format!("memcache://127.0.0.1:{}", through(server.port())), server);
        }),
        // Its driver goes to the members by their own names.
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

fn prepare(url: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let call = Call::within(&SystemClock, Duration::from_secs(60));
    runtime.block_on(MongodbStore::apply_schema(&Config::from_url(url).unwrap(), call)).unwrap();
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
