//! Nodes that want a login, rights and TLS.

use std::time::{Duration, Instant};

use stickystore_cassandra::{CassandraStore, Config};
use stickystore_core::{AsyncStore as _, AsyncStoreExt as _, Effect, ErrorKind, Result};
use stickystore_integration_tests::authority::{Authority, Issued};
use stickystore_integration_tests::failing::MACHINE;
use stickystore_integration_tests::server::cassandra::{Cassandra, Setup, make_table};

use crate::bench::{behind, call, entry, key, said, shared_node, user, within};

/// A node that takes only TLS, with this certificate, and clients with none or with one of this authority.
fn secure(own: &Issued, authority: &Authority, clients: &str, users: bool) -> Option<Cassandra> {
    let lines = format!(
        "client_encryption_options:
  enabled: true
  optional: false
  require_client_auth: {clients}
  ssl_context_factory:
    class_name: org.apache.cassandra.security.PEMBasedSslContextFactory
  keystore: {{folder}}/own.pem
  truststore: {{folder}}/ca.pem
"
    );
    let own = format!("{}{}", own.key, own.certificate);
    let files =
        vec![("own.pem".to_owned(), own.into_bytes()), ("ca.pem".to_owned(), authority.pem().into_bytes())];
    let setup = Setup { lines, files, ready: None };
    said(Cassandra::start(&if users { setup.with_users() } else { setup }))
}

fn with_login(node: &Cassandra, login: &str) -> Config {
    Config::from_url(&node.url("stickystore").replacen("://", &format!("://{login}@"), 1)).unwrap()
}

async fn works(config: &Config) -> Result<()> {
    let (store, subject) = (CassandraStore::connect(config, call()).await?, user("ann"));
    store.put(call(), &subject, key("k"), entry("v")).await?;
    assert_eq!(store.load(call(), &subject).await?.len(), 1);
    Ok(())
}

async fn assert_refused(config: &Config, kind: ErrorKind, says: &str) {
    let began = Instant::now();
    let error = works(config).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(5) + MACHINE, "at once, and not retried");
    assert_eq!((error.kind(), error.effect()), (kind, Effect::NotApplied), "{error}");
    assert!(error.context().contains(says), "{error}");
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_is_wrong_and_a_right_that_is_missing_are_denied_at_once() {
    let Some(node) = said(Cassandra::start(&Setup::default().with_users())) else { return };
    let url = node.url("stickystore").replacen("://", "://cassandra:cassandra@", 1);
    make_table(&url, "1");
    works(&Config::from_url(&url).unwrap()).await.unwrap();
    let session = behind(&url).await;
    for statement in [
        "CREATE ROLE app WITH PASSWORD = 's3cret' AND LOGIN = true",
        "GRANT SELECT ON stickystore.assignments TO app",
    ] {
        session.query_unpaged(statement, ()).await.unwrap();
    }
    assert_refused(&with_login(&node, "app:wr0ng-s3cret"), ErrorKind::Denied, "user and password").await;
    assert_refused(&Config::from_url(&node.url("stickystore")).unwrap(), ErrorKind::Denied, "wants a user")
        .await;
    let app = with_login(&node, "app:s3cret");
    assert_refused(&app, ErrorKind::Denied, "MODIFY").await;
    session.query_unpaged("GRANT MODIFY ON stickystore.assignments TO app", ()).await.unwrap();
    works(&app).await.unwrap();
    let findings = CassandraStore::new(&app).unwrap().diagnose(call()).await;
    assert!(findings.iter().all(|finding| finding.name != "rights-missing"), "{findings:?}");

    // Who may not make a schema is told so, and who finds none too.
    let once = "1".parse().unwrap();
    let other = Config::from_url(&node.url("elsewhere").replacen("://", "://app:s3cret@", 1)).unwrap();
    let error = CassandraStore::apply_schema(&other, &once, call()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert_refused(&other, ErrorKind::Config, "there is no table elsewhere.assignments").await;

    // A password that becomes right needs no new handle.
    let store = CassandraStore::new(&with_login(&node, "app:later")).unwrap();
    assert_eq!(store.ping(call()).await.unwrap_err().kind(), ErrorKind::Denied);
    session.query_unpaged("ALTER ROLE app WITH PASSWORD = 'later'", ()).await.unwrap();
    store.ping(call()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_checked_and_what_is_wrong_with_them_is_named() {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("a stranger's"));
    let Some(node) = secure(&authority.issue("127.0.0.1"), &authority, "true", true) else { return };
    let client = authority.issue("client");
    let identity = |config: Config| config.with_identity(client.certificate.clone(), client.key.clone());
    let login = with_login(&node, "cassandra:cassandra");
    let config = identity(login.clone().with_ca(authority.pem()));
    let once = "1".parse().unwrap();
    CassandraStore::apply_schema(&config, &once, within(30_000)).await.unwrap();
    works(&config).await.unwrap();
    assert_refused(&identity(login.clone().with_ca(stranger.pem())), ErrorKind::Config, "not trusted").await;
    let without = works(&login.clone().with_ca(authority.pem())).await.unwrap_err();
    // The node's reason is lost where its reset overtakes it.
    let kinds = [ErrorKind::Denied, ErrorKind::Unavailable];
    assert!(kinds.contains(&without.kind()) && without.effect() == Effect::NotApplied, "{without}");
    let plain = works(&login).await.unwrap_err();
    assert_eq!((plain.kind(), plain.effect()), (ErrorKind::Unavailable, Effect::NotApplied), "{plain}");
    assert!(plain.context().contains("TLS"), "{plain}");
    drop(node);
    for (own, says) in
        [(authority.issue("localhost"), "IP address"), (authority.issue_expired("127.0.0.1"), "expired")]
    {
        let Some(node) = secure(&own, &authority, "false", false) else { return };
        let config = Config::from_url(&node.url("stickystore")).unwrap().with_ca(authority.pem());
        assert_refused(&config, ErrorKind::Config, says).await;
    }
}

#[tokio::test]
async fn a_plain_port_is_told_from_a_tls_port() {
    let Some(node) = shared_node() else { return };
    let config = Config::from_url(node.url()).unwrap().with_ca(Authority::new("ours").pem());
    assert_refused(&config, ErrorKind::Unavailable, "").await;
}
