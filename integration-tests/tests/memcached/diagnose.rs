//! What the store finds wrong with its servers.

use std::time::Duration;

use stickystore_core::{AsyncStore as _, AsyncStoreExt as _, Call, Finding, UnixMillis};
use stickystore_integration_tests::proxy::{Proxy, Rule};

use crate::bench::{call, entry, key, server, store, through, user};

async fn findings(url: &str, call: Call) -> Vec<Finding> {
    store(url).diagnose(call).await
}

/// The names of what is found.
async fn found(url: &str, call: Call) -> Vec<&'static str> {
    findings(url, call).await.into_iter().map(|finding| finding.name).collect()
}

#[tokio::test]
async fn a_server_that_has_room_has_nothing_wrong_however_often_it_is_asked() {
    let Some(server) = server(&[]) else { return };
    for _ in 0..3 {
        assert_eq!(found(&server.url(), call()).await, Vec::<&str>::new());
    }
}

#[tokio::test]
async fn a_server_that_evicts_is_found() {
    let Some(server) = server(&["-m", "4"]) else { return };
    let mut behind = server.behind();
    for i in 0..1_000 {
        behind.set(&format!("other-{i}"), &vec![b'x'; 4_000]);
    }
    let findings = findings(&server.url(), call()).await;
    assert_eq!(findings.iter().map(|finding| finding.name).collect::<Vec<_>>(), ["evicts"]);
    let evidence = &findings[0].evidence;
    assert!(evidence.starts_with(&format!("127.0.0.1:{}: evictions:", server.port())), "{evidence}");
}

#[tokio::test]
async fn memory_that_is_tied_to_other_sizes_is_found() {
    let Some(server) = server(&["-m", "8"]) else { return };
    let mut behind = server.behind();
    // Pages of large items that then go, and small ones that get none of them.
    for i in 0..80 {
        behind.set(&format!("large-{i}"), &vec![b'x'; 100_000]);
    }
    for i in 0..80 {
        behind.line(&format!("md large-{i}"));
    }
    for i in 0..20_000 {
        behind.set(&format!("small-{i}"), b"x");
    }
    assert!(found(&server.url(), call()).await.contains(&"slab-pressure"));
}

#[tokio::test]
async fn a_server_that_drops_when_it_is_full_is_found_and_what_it_dropped() {
    let Some(server) = server(&["-m", "2", "-M"]) else { return };
    assert_eq!(found(&server.url(), call()).await, ["drops-when-full"]);
    let store = store(&server.url());
    let large = "x".repeat(10_000);
    for i in 0.. {
        if store.put(call(), &user(&i.to_string()), key("k"), entry(&large)).await.is_err() {
            break;
        }
    }
    let found = found(&server.url(), call()).await;
    assert!(found.contains(&"dropped-items") && found.contains(&"drops-when-full"), "{found:?}");
}

#[tokio::test]
async fn a_limit_that_differs_is_found_in_both_directions() {
    let (Some(small), Some(large)) = (server(&["-I", "512k"]), server(&["-I", "2m"])) else { return };
    let kinds = async |url: &str| {
        let findings = findings(url, call()).await;
        findings.iter().map(|finding| format!("{} {:?}", finding.name, finding.severity)).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&small.url()).await, ["item-limit Warning"]);
    assert_eq!(kinds(&large.url()).await, ["item-limit Note"]);
    assert!(kinds(&format!("{}?max_item=2097152", large.url())).await.is_empty());
}

#[tokio::test]
async fn lists_of_servers_that_differ_are_found() {
    let (Some(first), Some(second)) = (server(&[]), server(&[])) else { return };
    let of = |ports: &[u16]| {
        let servers: Vec<_> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        format!("memcache://{}", servers.join(","))
    };
    let (a, b) = (first.port(), second.port());
    assert!(found(&of(&[a, b]), call()).await.is_empty());
    assert!(found(&of(&[b, a]), call()).await.is_empty(), "the order does not matter");
    let alone = findings(&of(&[b]), call()).await;
    assert_eq!(alone.iter().map(|finding| finding.name).collect::<Vec<_>>(), ["another-server-list"]);
    assert!(alone[0].evidence.contains(&format!("127.0.0.1:{a}")), "{alone:?}");
    assert_eq!(found(&of(&[a, b]), call()).await, ["another-server-list"], "the other one is told as well");
}

#[tokio::test]
async fn clocks_that_differ_a_long_way_and_a_dead_server_are_found() {
    let Some(mut server) = server(&[]) else { return };
    let behind_by = Call::new(UnixMillis::new(call().now.get() - 5_000).unwrap(), call().deadline);
    assert_eq!(found(&server.url(), behind_by).await, ["clock-skew"]);
    let proxy = Proxy::start(server.port()).await;
    proxy.down(Rule::Delay(Duration::from_millis(50)));
    let findings = through(proxy.port()).diagnose(call()).await;
    // Through the proxy the server has another name.
    let names: Vec<_> = findings.iter().map(|finding| finding.name).collect();
    assert_eq!(names, ["another-server-list", "slow"]);
    server.kill();
    assert_eq!(found(&server.url(), call()).await, ["no-diagnosis"]);
}
