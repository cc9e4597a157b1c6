//! TLS: own authorities, client certificates, and certificates that are wrong in different ways.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use stickystore_core::{AsyncStoreExt as _, Effect, ErrorKind, Result};
use stickystore_integration_tests::authority::{Authority, Issued};
use stickystore_integration_tests::server::Folder;
use stickystore_integration_tests::server::mongodb::MongoDb;
use stickystore_mongodb::{Config, MongodbStore};

use crate::bench::{call, entry, key, server, user};

/// A server with this certificate, which takes plain connections too.
struct Secure {
    folder: Folder,
    server: MongoDb,
}

impl Secure {
    fn start(authority: &Authority, own: &Issued, clients: &[&str]) -> Option<Self> {
        let folder = Folder::new("tls");
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            path.display().to_string()
        };
        let (ca, pair) = (file("ca.pem", &authority.pem()), file("server.pem", &together(own)));
        let mut options =
            vec!["--tlsMode", "preferTLS", "--tlsCAFile", &ca, "--tlsCertificateKeyFile", &pair];
        options.extend(clients);
        let server = server(&options)?;
        Some(Self { folder, server })
    }

    fn url(&self) -> String {
        format!("{}&tls=true&tlsCAFile={}", self.server.url(), self.folder.path().join("ca.pem").display())
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

/// A certificate and its key in one file, as MongoDB has them.
fn together(issued: &Issued) -> String {
    format!("{}{}", issued.certificate, issued.key)
}

const NO_CERTIFICATE: &[&str] = &["--tlsAllowConnectionsWithoutCertificates"];

/// The driver gives up before the call does, which is told why all the same.
const SOON: &str = "&serverSelectionTimeoutMS=3000";

async fn works(url: &str) -> Result<()> {
    let (store, subject) = (MongodbStore::new(&Config::from_url(url)?)?, user("ann"));
    store.put(call(), &subject, key("k"), entry("v")).await?;
    assert_eq!(store.load(call(), &subject).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn an_own_authority_is_trusted() {
    let authority = Authority::new("ours");
    let own = authority.issue("127.0.0.1");
    let Some(secure) = Secure::start(&authority, &own, NO_CERTIFICATE) else { return };
    works(&secure.url()).await.unwrap();
}

#[tokio::test]
async fn certificates_that_are_wrong_in_different_ways_are_told_apart() {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("a stranger's"));
    let other = authority.issue("example.org");
    let foreign = stranger.issue("127.0.0.1");
    let own = authority.issue("127.0.0.1");
    for (own, trusted, says) in [
        (&other, &authority, "another name"),
        (&foreign, &authority, "not trusted"),
        (&own, &stranger, "not trusted"),
    ] {
        let issuer = if std::ptr::eq(own, &raw const foreign) { &stranger } else { &authority };
        let Some(secure) = Secure::start(issuer, own, NO_CERTIFICATE) else { return };
        let ca = secure.file("trusted.pem", &trusted.pem());
        let url = format!("{}&tls=true&tlsCAFile={}{SOON}", secure.server.url(), ca.display());
        let error = works(&url).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Config, Effect::NotApplied), "{error}");
        assert!(error.context().contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_certificate_that_ends_while_its_server_runs_is_named() {
    /// How long it lasts: the server does not start with one that has ended.
    const SHORT: Duration = Duration::from_secs(20);
    let authority = Authority::new("ours");
    let own = authority.issue_for("127.0.0.1", SHORT);
    let until = Instant::now() + 3 * SHORT;
    let Some(secure) = Secure::start(&authority, &own, NO_CERTIFICATE) else { return };
    let error = loop {
        match works(&(secure.url() + SOON)).await {
            Ok(()) => assert!(Instant::now() < until, "it ends"),
            Err(error) => break error,
        }
    };
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Config, Effect::NotApplied), "{error}");
    assert!(error.context().contains("has expired"), "{error}");
}

#[tokio::test]
async fn a_client_certificate_opens_what_is_closed_without() {
    let authority = Authority::new("ours");
    let own = authority.issue("127.0.0.1");
    let Some(secure) = Secure::start(&authority, &own, &[]) else { return };
    let client = secure.file("client.pem", &together(&authority.issue("client")));
    works(&format!("{}&tlsCertificateKeyFile={}", secure.url(), client.display())).await.unwrap();
    let error = works(&(secure.url() + SOON)).await.unwrap_err();
    // The server's reason is lost where its reset overtakes it.
    let kinds = [ErrorKind::Denied, ErrorKind::Unavailable];
    assert!(kinds.contains(&error.kind()) && error.effect() == Effect::NotApplied, "{error}");
}

#[tokio::test]
async fn redis_and_mongodb_with_tls_live_in_one_process_without_a_provider_of_the_process() {
    let authority = Authority::new("ours");
    let own = authority.issue("127.0.0.1");
    let Some(secure) = Secure::start(&authority, &own, NO_CERTIFICATE) else { return };
    let redis = stickystore_redis::Config::from_url("rediss://127.0.0.1:1").unwrap().with_ca(authority.pem());
    stickystore_redis::RedisStore::new(&redis).unwrap();
    works(&secure.url()).await.unwrap();
}

#[tokio::test]
async fn a_plain_port_is_told_from_a_tls_port() {
    let Some(server) = server(&[]) else { return };
    let error = works(&format!("{}&tls=true{SOON}", server.url())).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::NotApplied), "{error}");
}
