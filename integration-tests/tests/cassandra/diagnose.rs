//! What the store finds out about its cluster.

use std::time::Duration;

use stickystore_cassandra::{CassandraStore, Config};
use stickystore_core::{AsyncStore as _, Call, Clock as _, ErrorKind, Severity, SystemClock};
use stickystore_integration_tests::server::cassandra::make_table;

use crate::bench::{behind, call, shared_node, store};

async fn names(store: &CassandraStore, call: Call) -> Vec<(&'static str, Severity)> {
    let findings = store.diagnose(call).await;
    // How long a round trip takes is this machine's business.
    findings
        .iter()
        .filter(|finding| finding.name != "slow")
        .map(|finding| (finding.name, finding.severity))
        .collect()
}

#[tokio::test]
async fn one_copy_and_the_older_agreement_are_found_and_nothing_else() {
    let Some(node) = shared_node() else { return };
    let found = names(&store(node.url()), call()).await;
    assert_eq!(found, [("replication-low", Severity::Warning), ("paxos-v1", Severity::Note)]);
}

#[tokio::test]
async fn a_clock_that_is_off_is_found_and_the_last_second_of_servers() {
    let Some(node) = shared_node() else { return };
    let store = store(node.url());
    let off = call().at(SystemClock.now().saturating_add(Duration::from_secs(5)));
    assert!(names(&store, off).await.contains(&("clock-skew", Severity::Warning)));
    let far = call().at(SystemClock.now().saturating_add(Duration::from_secs(12 * 365 * 86_400)));
    assert!(names(&store, far).await.contains(&("ttl-near-its-end", Severity::Note)));
}

#[tokio::test]
async fn a_datacenter_that_is_not_there_is_found() {
    let Some(node) = shared_node() else { return };
    let store = store(&format!("{}?datacenter=nowhere", node.url()));
    assert!(names(&store, call()).await.contains(&("datacenter-unknown", Severity::Problem)));
}

#[tokio::test]
async fn a_table_that_is_missing_or_different_is_named() {
    let Some(node) = shared_node() else { return };
    let other = |table: &str| format!("{}?table={table}", node.url());
    let missing = store(&other("missing"));
    let found = missing.diagnose(call()).await;
    assert_eq!(found.iter().map(|finding| finding.name).collect::<Vec<_>>(), ["table-missing"]);
    assert!(found[0].evidence.contains("stickystore.missing"), "{}", found[0].evidence);
    assert_eq!(missing.ping(call()).await.unwrap_err().kind(), ErrorKind::Config);

    let session = behind(node.url()).await;
    make_table(&other("commented"), "1");
    session
        .query_unpaged("ALTER TABLE commented WITH comment = 'ours' AND default_time_to_live = 60", ())
        .await
        .unwrap();
    let found = names(&store(&other("commented")), call()).await;
    assert!(found.contains(&("table-different", Severity::Note)), "{found:?}");
    assert!(found.contains(&("default-ttl", Severity::Note)), "{found:?}");

    make_table(&other("newer"), "1");
    session.query_unpaged("ALTER TABLE newer WITH comment = 'stickystore layout 2'", ()).await.unwrap();
    let text = "CREATE TABLE IF NOT EXISTS foreign_one (a text PRIMARY KEY)";
    session.query_unpaged(text, ()).await.unwrap();
    for (table, says) in [("newer", "layout version 2"), ("foreign_one", "no column namespace")] {
        let error = store(&other(table)).ping(call()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.context().contains(says), "{error}");
    }
}

#[tokio::test]
async fn without_a_node_it_says_so() {
    let config = Config::from_url("cassandra://127.0.0.1:1").unwrap();
    let found = names(&CassandraStore::new(&config).unwrap(), call()).await;
    assert_eq!(found, [("no-diagnosis", Severity::Problem)]);
}
