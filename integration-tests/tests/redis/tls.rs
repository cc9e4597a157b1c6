//! TLS: own authorities, client certificates, and certificates that are wrong in different ways.

use std::fs;

use stickystore_core::{AsyncStore as _, AsyncStoreExt as _, Effect, ErrorKind, Result};
use stickystore_integration_tests::authority::{Authority, Issued};
use stickystore_integration_tests::owned;
use stickystore_integration_tests::server::redis::Redis;
use stickystore_integration_tests::server::{Folder, Port};
use stickystore_redis::{Config, RedisStore};

use crate::bench::{call, entry, key, server, user};

/// A server with this certificate; its plain port answers too.
struct Secure {
    port: Port,
    folder: Folder,
    _server: Redis,
}

impl Secure {
    fn start(authority: &Authority, own: &Issued, clients: &str) -> Option<Self> {
        let folder = Folder::new("tls");
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            path.display().to_string()
        };
        let (ca, cert) = (file("ca.pem", &authority.pem()), file("cert.pem", &own.certificate));
        let key = file("key.pem", &own.key);
        let port = Port::free();
        let tls_port = port.number().to_string();
        let options = [
            "--tls-port",
            &tls_port,
            "--tls-ca-cert-file",
            &ca,
            "--tls-cert-file",
            &cert,
            "--tls-key-file",
            &key,
            "--tls-auth-clients",
            clients,
        ];
        let server = server(&options)?;
        Some(Self { port, folder, _server: server })
    }

    fn url(&self) -> String {
        format!("rediss://localhost:{}", self.port.number())
    }
}

async fn works(config: Config) -> Result<()> {
    let (store, subject) = (RedisStore::new(&config)?, user("ann"));
    store.put(call(), &subject, key("k"), entry("v")).await?;
    assert_eq!(store.load(call(), &subject).await?.len(), 1);
    Ok(())
}

fn with_ca(secure: &Secure, authority: &Authority) -> Config {
    Config::from_url(&secure.url()).unwrap().with_ca(authority.pem())
}

#[tokio::test]
async fn an_own_authority_is_trusted_and_from_a_file_too() {
    let authority = Authority::new("ours");
    let own = authority.issue("localhost");
    let Some(secure) = Secure::start(&authority, &own, "no") else { return };
    works(with_ca(&secure, &authority)).await.unwrap();
    let file = secure.folder.path().join("ca.pem");
    works(Config::from_url(&format!("{}?ca={}", secure.url(), file.display())).unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_caller_has_a_connection_of_its_own_over_tls() {
    let authority = Authority::new("ours");
    let own = authority.issue("localhost");
    let Some(secure) = Secure::start(&authority, &own, "no") else { return };
    let store = RedisStore::new(&with_ca(&secure, &authority)).unwrap();
    owned::answers_without_a_runtime(&store).await;
    owned::large_values_cross(&store).await;
}

#[tokio::test]
async fn certificates_that_are_wrong_in_different_ways_are_told_apart() {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("a stranger's"));
    let expired = authority.issue_expired("localhost");
    let other = authority.issue("example.org");
    let foreign = stranger.issue("localhost");
    let forged = Authority::new("ours").issue("localhost");
    let wrong =
        [(expired, "expired"), (other, "another name"), (foreign, "not trusted"), (forged, "not trusted")];
    for (own, says) in wrong {
        let Some(secure) = Secure::start(&authority, &own, "no") else { return };
        let error = works(with_ca(&secure, &authority)).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Config, Effect::NotApplied), "{error}");
        assert!(error.context().contains(says), "{error}");
    }
}

#[tokio::test]
async fn the_platforms_authorities_do_not_trust_ours() {
    let authority = Authority::new("ours");
    let own = authority.issue("localhost");
    let Some(secure) = Secure::start(&authority, &own, "no") else { return };
    let error = works(Config::from_url(&secure.url()).unwrap()).await.unwrap_err();
    // A machine without any authorities says so instead.
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}

#[tokio::test]
async fn a_client_certificate_opens_what_is_closed_without() {
    let authority = Authority::new("ours");
    let own = authority.issue("localhost");
    let Some(secure) = Secure::start(&authority, &own, "yes") else { return };
    let client = authority.issue("client");
    let config = with_ca(&secure, &authority);
    works(config.clone().with_identity(client.certificate.clone(), client.key.clone())).await.unwrap();
    let error = works(config.clone()).await.unwrap_err();
    // The server's reason is lost where its reset overtakes it.
    let kinds = [ErrorKind::Denied, ErrorKind::Unavailable];
    assert!(kinds.contains(&error.kind()) && error.effect() == Effect::NotApplied, "{error}");
    let (cert, key) = (secure.folder.path().join("c.pem"), secure.folder.path().join("k.pem"));
    fs::write(&cert, &client.certificate).unwrap();
    fs::write(&key, &client.key).unwrap();
    let ca = secure.folder.path().join("ca.pem");
    let url = format!("{}?ca={}&cert={}&key={}", secure.url(), ca.display(), cert.display(), key.display());
    works(Config::from_url(&url).unwrap()).await.unwrap();
    let mismatch = config.with_identity(client.certificate, own.key);
    assert_eq!(RedisStore::new(&mismatch).unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn a_plain_port_is_told_from_a_tls_port() {
    let Some(server) = server(&[]) else { return };
    let config =
        Config::from_url(&format!("rediss://localhost:{}?connect_timeout=500ms", server.port())).unwrap();
    let store = RedisStore::new(&config.with_ca(Authority::new("ours").pem())).unwrap();
    let error = store.ping(call()).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::NotApplied), "{error}");
}
