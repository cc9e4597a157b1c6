//! TLS to every server at once: no store is in the way of another's, and none needs anything of the process.

use std::fs;

use stickystore::open_async;
use stickystore_integration_tests::authority::Authority;
use stickystore_integration_tests::server::cassandra::{Cassandra, Setup, make_table};
use stickystore_integration_tests::server::memcached::Memcached;
use stickystore_integration_tests::server::mongodb::MongoDb;
use stickystore_integration_tests::server::redis::Redis;
use stickystore_integration_tests::server::{Folder, Missing, Port};

/// A folder with the authority's certificate, and one for 127.0.0.1 with its key: apart, and in one file.
fn certificates() -> Folder {
    let (authority, folder) = (Authority::new("ours"), Folder::new("together"));
    let own = authority.issue("127.0.0.1");
    let both = format!("{}{}", own.certificate, own.key);
    for (name, content) in
        [("ca.pem", authority.pem()), ("cert.pem", own.certificate), ("key.pem", own.key), ("both.pem", both)]
    {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn redis(file: impl Fn(&str) -> String) -> Result<(Redis, String), Missing> {
    let port = Port::free().number().to_string();
    let (ca, cert, key) = (file("ca.pem"), file("cert.pem"), file("key.pem"));
    let options = [
        ["--tls-port", &port],
        ["--tls-ca-cert-file", &ca],
        ["--tls-cert-file", &cert],
        ["--tls-key-file", &key],
        ["--tls-auth-clients", "no"],
    ];
    let server = Redis::start(options.as_flattened())?;
    Ok((server, format!("rediss://127.0.0.1:{port}?ca={ca}")))
}

fn memcached(file: impl Fn(&str) -> String) -> Result<(Memcached, String), Missing> {
    let settings = format!("ssl_chain_cert={},ssl_key={}", file("cert.pem"), file("key.pem"));
    let server = Memcached::start(&["-Z", "-o", &settings])?;
    let url = format!("memcaches://127.0.0.1:{}?ca={}", server.port(), file("ca.pem"));
    Ok((server, url))
}

fn mongodb(file: impl Fn(&str) -> String) -> Result<(MongoDb, String), Missing> {
    let (ca, both) = (file("ca.pem"), file("both.pem"));
    let server = MongoDb::start(&[
        "--tlsMode",
        "preferTLS",
        "--tlsCAFile",
        &ca,
        "--tlsCertificateKeyFile",
        &both,
        "--tlsAllowConnectionsWithoutCertificates",
    ])?;
    let url = format!("{}&tls=true&tlsCAFile={ca}", server.url());
    Ok((server, url))
}

fn cassandra(file: impl Fn(&str) -> String) -> Result<(Cassandra, String), Missing> {
    let lines = format!(
        "client_encryption_options:
  enabled: true
  optional: false
  ssl_context_factory:
    class_name: org.apache.cassandra.security.PEMBasedSslContextFactory
  keystore: {}
  truststore: {}
",
        file("both.pem"),
        file("ca.pem")
    );
    let server = Cassandra::start(&Setup { lines, ..Setup::default() })?;
    let url = format!("{}?ca={}", server.url("shop"), file("ca.pem"));
    Ok((server, url))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_server_is_reached_over_tls_in_one_process() {
    let folder = certificates();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let servers = (redis(file), memcached(file), mongodb(file), cassandra(file));
    let (Ok(redis), Ok(memcached), Ok(mongodb), Ok(cassandra)) = &servers else {
        return println!("skipped: a server is not installed");
    };
    make_table(&cassandra.1, "1");
    // All are open before the first is used, and used in turns.
    let mut open = Vec::new();
    for url in [&redis.1, &memcached.1, &mongodb.1, &cassandra.1] {
        open.push(open_async(&format!("{url}&namespace=shop&deadline=60s")).await.unwrap());
    }
    for variation in ["red", "blue"] {
        for sticky in &open {
            let assigned = sticky.assign("ann", "button", || variation).await.unwrap();
            assert_eq!(assigned.text().as_deref(), Some("red"), "{}", sticky.info().scheme);
        }
    }
}
