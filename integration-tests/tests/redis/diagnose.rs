//! What the store finds wrong with its server.

use stickystore_core::{AsyncStore as _, Call, UnixMillis};
use stickystore_integration_tests::proxy::{Proxy, Rule};

use crate::bench::{behind, call, server, store, through};

/// A server that writes everything down before it answers.
const SAFE: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];

/// The names of what is found.
async fn found(url: &str, call: Call) -> Vec<&'static str> {
    store(url).diagnose(call).await.into_iter().map(|finding| finding.name).collect()
}

#[tokio::test]
async fn a_server_that_keeps_everything_has_nothing_wrong_and_nothing_left_behind() {
    let Some(server) = server(SAFE) else { return };
    assert_eq!(found(&server.url(), call()).await, Vec::<&str>::new());
    let keys: i64 = redis::cmd("DBSIZE").query_async(&mut behind(&server.url()).await).await.unwrap();
    assert_eq!(keys, 0);
}

#[tokio::test]
async fn each_thing_that_forgets_is_found() {
    let Some(server) = server(&["--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru"]) else {
        return;
    };
    assert_eq!(found(&server.url(), call()).await, ["may-evict", "no-persistence"]);
    let mut behind = behind(&server.url()).await;
    redis::cmd("CONFIG")
        .arg(&["SET", "save", "900 1", "maxmemory", "0"])
        .exec_async(&mut behind)
        .await
        .unwrap();
    assert_eq!(found(&server.url(), call()).await, ["persists-seldom"]);
    let waiting = format!("{}?wait=1", server.url());
    assert_eq!(found(&waiting, call()).await, ["persists-seldom", "too-few-replicas"]);
}

#[tokio::test]
async fn rights_that_are_missing_are_named_together() {
    let Some(server) = server(SAFE) else { return };
    let rights = ["SETUSER", "app", "on", ">pw", "~*", "+@all", "-unlink", "-evalsha"];
    redis::cmd("ACL").arg(&rights).exec_async(&mut behind(&server.url()).await).await.unwrap();
    let findings = store(&format!("redis://app:pw@127.0.0.1:{}", server.port())).diagnose(call()).await;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(
        (findings[0].name, findings[0].evidence.as_str()),
        ("rights-missing", "refused: EVALSHA, UNLINK")
    );
}

#[tokio::test]
async fn clocks_that_differ_and_a_long_way_are_found() {
    let Some(server) = server(SAFE) else { return };
    let behind_by = Call::new(UnixMillis::new(call().now.get() - 2_000).unwrap(), call().deadline);
    assert_eq!(found(&server.url(), behind_by).await, ["clock-skew"]);
    let proxy = Proxy::start(server.port()).await;
    proxy.down(Rule::Delay(std::time::Duration::from_millis(50)));
    let findings = through(proxy.port()).diagnose(call()).await;
    assert_eq!(findings.iter().map(|finding| finding.name).collect::<Vec<_>>(), ["slow"]);
}

#[tokio::test]
async fn replicas_and_a_dead_server_are_found() {
    let (Some(mut primary), Some(replica)) = (server(SAFE), server(SAFE)) else {
        return;
    };
    let of = ["127.0.0.1".to_owned(), primary.port().to_string()];
    let mut behind = behind(&replica.url()).await;
    redis::cmd("REPLICAOF").arg(&of).exec_async(&mut behind).await.unwrap();
    assert!(found(&replica.url(), call()).await.contains(&"is-replica"));
    let until = call().deadline;
    while found(&primary.url(), call()).await != ["replicas-without-wait"] {
        assert!(std::time::Instant::now() < until, "the primary hears of its replica");
    }
    primary.kill();
    assert_eq!(found(&primary.url(), call()).await, ["no-diagnosis"]);
}
