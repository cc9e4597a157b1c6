//! `schema` on a MongoDB; the one of Cassandra is printed in `commands`, and made in `stores`.

use stickystore_integration_tests::server::Missing;
use stickystore_integration_tests::server::mongodb::MongoDb;

use crate::bench::Bench;

/// Servers of a test's own have time: it is not about deadlines.
const PATIENT: &str = "deadline=60s";

#[test]
fn the_index_of_a_collection_is_printed_and_nothing_is_asked() {
    let bench = Bench::new();
    let store = "mongodb://10.0.0.1/shop?collection=kept&ttl=90d&replicaSet=rs0";
    let printed = bench.run_here(&["schema", "--store", store]).says(0);
    let line = "db.getSiblingDB(\"shop\").getCollection(\"kept\").createIndex({sweep: 1}, \
                {name: \"stickystore_sweep\", expireAfterSeconds: 0});\n";
    assert_eq!(printed, line);
    #[cfg(feature = "cassandra")]
    {
        let wrong = bench.run_here(&["schema", "--store", store, "--replication", "3"]).complains(2);
        assert!(wrong.contains("--replication") && wrong.contains("leave it out"), "{wrong}");
    }
    let elsewhere = bench.run_here(&["schema", "--store", "memory:"]).complains(2);
    assert!(elsewhere.contains("mongodb://"), "{elsewhere}");
}

#[test]
fn the_index_is_made_when_that_is_asked_for_and_doctor_sees_it() {
    let (server, bench) = match MongoDb::start(&[]) {
        Ok(server) => (server, Bench::new()),
        Err(Missing(why)) => return println!("skipped: {why}"),
    };
    let url = format!("{}&{PATIENT}", server.url());
    let findings = || {
        let report = bench.run_here(&["doctor", "--json", "--store", &url]).json(1);
        let findings = report["findings"].as_array().unwrap().clone();
        findings.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    bench.run_here(&["assign", "ann", "button", "red", "--store", &url]).says(0);
    assert_eq!(findings(), ["too-few-members", "no-ttl-index"]);
    bench.run_here(&["schema", "--store", &url]).says(0);
    assert_eq!(findings(), ["too-few-members", "no-ttl-index"], "it was only printed");
    for _ in 0..2 {
        let made = bench.run_here(&["schema", "--store", &url, "--apply"]).says(0);
        assert!(made.contains("stickystore_sweep"), "{made}");
        assert_eq!(findings(), ["too-few-members"]);
    }
    assert_eq!(bench.run_here(&["export", "ann", "--store", &url]).says(0), "button  \"red\"\n");
}

#[test]
fn the_suite_runs_on_a_mongodb_beside_what_is_kept() {
    let (server, bench) = match MongoDb::start(&[]) {
        Ok(server) => (server, Bench::new()),
        Err(Missing(why)) => return println!("skipped: {why}"),
    };
    let url = format!("{}&{PATIENT}", server.url());
    bench.run_here(&["assign", "ann", "button", "red", "--store", &url]).says(0);
    let report = bench.run_here(&["conformance", "--only", "table::", "--json", "--store", &url]).json(0);
    assert_eq!((&report["backend"], &report["failed"]), (&"mongodb".into(), &0.into()));
    assert!(report["passed"].as_u64().unwrap() > 30, "{report}");
    assert_eq!(bench.run_here(&["export", "ann", "--store", &url]).says(0), "button  \"red\"\n");
}
