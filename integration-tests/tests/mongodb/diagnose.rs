//! What the store finds wrong with its servers.

use std::time::Duration;

use mongodb::bson::doc;
use stickystore_core::{AsyncStore as _, Call, UnixMillis};
use stickystore_integration_tests::proxy::{Proxy, Rule};
use stickystore_integration_tests::server::mongodb::MongoDb;
use stickystore_mongodb::{Config, MongodbStore};

use crate::bench::{behind, call, or_skip, server, store};

/// The names of what is found.
async fn found(url: &str, call: Call) -> Vec<&'static str> {
    store(url).diagnose(call).await.into_iter().map(|finding| finding.name).collect()
}

async fn with_index(url: &str) {
    MongodbStore::apply_schema(&Config::from_url(url).unwrap(), call()).await.unwrap();
}

#[tokio::test]
async fn three_members_and_an_index_have_nothing_wrong_and_nothing_left_behind() {
    let Some(mut set) = or_skip(MongoDb::replica_set(3, &[])) else { return };
    assert_eq!(found(&set.url(), call()).await, ["no-ttl-index"]);
    with_index(&set.url()).await;
    assert_eq!(found(&set.url(), call()).await, Vec::<&str>::new());
    assert_eq!(behind(&set.url()).await.count_documents(doc! {}).await.unwrap(), 0);
    for member in 0..3 {
        set.kill(member);
    }
    let findings = store(&set.url()).diagnose(crate::bench::within(500)).await;
    assert_eq!(findings.iter().map(|finding| finding.name).collect::<Vec<_>>(), ["no-diagnosis"]);
}

#[tokio::test]
async fn servers_that_keep_less_are_found() {
    let Some(one) = server(&[]) else { return };
    with_index(&one.url()).await;
    assert_eq!(found(&one.url(), call()).await, ["too-few-members"]);
    let Some(alone) = or_skip(MongoDb::standalone(&["--nojournal"])) else { return };
    with_index(&alone.url()).await;
    assert_eq!(found(&alone.url(), call()).await, ["standalone", "no-journal"]);
}

#[tokio::test]
async fn what_the_url_says_in_vain_is_found() {
    let Some(server) = server(&[]) else { return };
    with_index(&server.url()).await;
    let url = server.url() + "&w=1&readPreference=secondaryPreferred";
    assert_eq!(found(&url, call()).await, ["too-few-members", "write-concern", "read-preference"]);
}

#[tokio::test]
async fn a_collection_that_forgets_or_folds_is_found() {
    let Some(server) = server(&[]) else { return };
    let database = behind(&server.url()).await.client().database("stickystore");
    database.run_command(doc! { "create": "capped", "capped": true, "size": 4096 }).await.unwrap();
    database
        .run_command(doc! { "create": "folds", "collation": { "locale": "en", "strength": 1 } })
        .await
        .unwrap();
    for name in ["capped", "folds"] {
        let url = format!("{}&collection={name}", server.url());
        assert!(found(&url, call()).await.contains(&"odd-collection"), "{name}");
    }
}

#[tokio::test]
async fn clocks_that_differ_and_a_long_way_are_found() {
    let Some(server) = server(&[]) else { return };
    with_index(&server.url()).await;
    let behind_by = Call::new(UnixMillis::new(call().now.get() - 3_000).unwrap(), call().deadline);
    assert_eq!(found(&server.url(), behind_by).await, ["too-few-members", "clock-skew"]);
    let proxy = Proxy::start(server.port()).await;
    proxy.down(Rule::Delay(Duration::from_millis(50)));
    let url = format!("mongodb://127.0.0.1:{}/?directConnection=true", proxy.port());
    assert!(found(&url, call()).await.contains(&"slow"));
}

#[tokio::test]
async fn the_line_for_the_shell_is_the_index_that_is_made() {
    let Some(server) = server(&[]) else { return };
    let config = Config::from_url(&server.url()).unwrap();
    let line = "db.getSiblingDB(\"stickystore\").getCollection(\"assignments\").createIndex({sweep: 1}, {name: \"stickystore_sweep\", expireAfterSeconds: 0})";
    assert_eq!(MongodbStore::schema(&config), line);
    with_index(&server.url()).await;
    let index = behind(&server.url()).await.list_index_names().await.unwrap();
    assert_eq!(index, ["_id_", "stickystore_sweep"]);
}
