//! `conformance`: the suite on a user's own store.

use crate::bench::Bench;

#[test]
fn the_suite_runs_beside_what_is_kept_and_leaves_nothing() {
    let bench = Bench::new();
    bench.run(&["assign", "ann", "button", "red"]).says(0);
    let report = bench.run(&["conformance", "--only", "table::", "--json"]).json(0);
    assert_eq!((&report["backend"], &report["failed"]), (&"embedded".into(), &0.into()));
    assert!(report["passed"].as_u64().unwrap() > 30, "{report}");
    assert_eq!(bench.files(), ["sticky.redb"]);
    assert_eq!(bench.run(&["export", "ann"]).says(0), "button  \"red\"\n");
}

#[test]
fn a_case_that_there_is_not_is_an_error() {
    let bench = Bench::new();
    assert!(bench.run(&["conformance", "--only", "nonsense"]).complains(2).contains("nonsense"));
    assert_eq!(bench.files(), [""; 0], "the store that was opened for it has gone");
}

#[cfg(feature = "redis")]
#[test]
fn on_a_server_it_leaves_no_entries() {
    use stickystore_integration_tests::server::Missing;
    use stickystore_integration_tests::server::redis::Redis;

    let server = match Redis::start(&[]) {
        Ok(server) => server,
        Err(Missing(why)) => return println!("skipped: {why}"),
    };
    let bench = Bench::new();
    bench.run_here(&["conformance", "--only", "basic::", "--store", &server.url()]).says(0);
    // What is left are erase marks, each the only field of its hash, under no name.
    let keys = server.command(&["KEYS", "*"]);
    assert!(!keys.trim().is_empty(), "the marks last for some seconds");
    for key in keys.lines() {
        assert_eq!(server.command(&["HKEYS", key]).trim(), "", "{key} holds an entry");
    }
}
