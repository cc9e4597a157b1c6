//! The same verbs on every store, each on its real server: what people do with one they can do with all.

#[cfg(any(feature = "cassandra", feature = "memcached", feature = "mongodb", feature = "redis"))]
use stickystore_integration_tests::server::Missing;

use crate::bench::Bench;

/// A recording, and how many of its calls are answered as they were recorded.
const RECORDINGS: [(&str, u64); 2] = [("optimizely-js-v5.jsonl", 149), ("vwo-node.jsonl", 237)];

/// Servers of a test's own have time: it is not about deadlines.
const PATIENT: &str = "deadline=60s";

/// Replays the recorded traffic, and goes the way of one user, on the store with this URL.
fn serves(url: &str) {
    let bench = Bench::new();
    let url = format!("{url}{}{PATIENT}", if url.contains('?') { '&' } else { '?' });
    for (recording, answered) in RECORDINGS {
        let file = format!("{}/../../integration-tests/vectors/{recording}", env!("CARGO_MANIFEST_DIR"));
        let report = bench.run_here(&["replay", &file, "--store", &url, "--json"]).json(0);
        assert_eq!(report.get("answered_as_recorded"), Some(&answered.into()), "{report}");
    }
    let on = |arguments: &[&str], input: &str| {
        bench.run_here_with(&[arguments, &["--store", &url, "--namespace", "shop"]].concat(), input)
    };
    on(&["assign", "ann", "button", "red"], "").says(0);
    assert_eq!(on(&["assign", "ann", "button", "blue"], "").says(0), "red (existing)\n");
    let profile = r#"{"user_id":"bob","experiment_bucket_map":{"e1":{"variation_id":"v1"}}}"#;
    on(&["save"], profile).says(0);
    let looked_up = on(&["lookup", "bob", "--json"], "").says(0).replace("\"v1\"", "\"v2\"");
    on(&["save"], &looked_up).says(0);
    assert_eq!(on(&["lookup", "bob"], "").says(0), "e1  v2\n", "the receipt proves what was read");
    let row = r#"{"key":"eve","value":{"e1":{"variation_id":"v3"}}}"#;
    on(&["import", "--from", "agent", "-"], row).says(0);
    assert_eq!(on(&["lookup", "eve"], "").says(0), "e1  v3\n");
    on(&["erase", "bob"], "").says(0);
    on(&["lookup", "bob"], "").says(1);
}

#[test]
fn embedded_serves() {
    serves(&Bench::new().store());
}

#[cfg(feature = "redis")]
#[test]
fn redis_serves() {
    use stickystore_integration_tests::server::redis::Redis;

    match Redis::start(&[]) {
        Ok(server) => serves(&server.url()),
        Err(Missing(why)) => println!("skipped: {why}"),
    }
}

#[cfg(feature = "memcached")]
#[test]
fn memcached_serves() {
    use stickystore_integration_tests::server::memcached::Memcached;

    match Memcached::start(&[]) {
        Ok(server) => serves(&server.url()),
        Err(Missing(why)) => println!("skipped: {why}"),
    }
}

#[cfg(feature = "mongodb")]
#[test]
fn mongodb_serves() {
    use stickystore_integration_tests::server::mongodb::MongoDb;

    match MongoDb::start(&[]) {
        Ok(server) => serves(&server.url()),
        Err(Missing(why)) => println!("skipped: {why}"),
    }
}

#[cfg(feature = "cassandra")]
#[test]
fn cassandra_serves() {
    use stickystore_integration_tests::server::cassandra::{Cassandra, Setup};

    match Cassandra::start(&Setup::default()) {
        Ok(server) => {
            let url = server.url("sticky");
            Bench::new().run_here(&["schema", "--store", &url, "--replication", "1", "--apply"]).says(0);
            serves(&url);
        }
        Err(Missing(why)) => println!("skipped: {why}"),
    }
}
