//! TLS, logins and sockets: own authorities, client certificates, passwords, and each of them wrong.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Effect, EpochCheck, Erase, ErrorKind, Outcome, Read, Result,
};
use stickystore_integration_tests::authority::{Authority, Issued};
use stickystore_integration_tests::failing::MACHINE;
use stickystore_integration_tests::owned;
use stickystore_integration_tests::server::memcached::Memcached;
use stickystore_integration_tests::server::{Folder, Missing};
use stickystore_memcached::{Config, MemcachedStore};

use crate::bench::{call, entry, key, server, user};

/// A folder with these files.
fn folder_with(files: &[(&str, &str)]) -> Folder {
    let folder = Folder::new("memcached");
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

/// A server whose options and variables name the files of its folder as `{folder}/..`.
fn server_in(folder: Folder, options: &[&str], variables: &[(&str, &str)]) -> Option<Memcached> {
    let path = folder.path().display().to_string();
    let placed = |text: &&str| text.replace("{folder}", &path);
    let options: Vec<_> = options.iter().map(placed).collect();
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    let variables: Vec<_> = variables.iter().map(|(name, text)| (*name, placed(text))).collect();
    let variables: Vec<_> = variables.iter().map(|(name, text)| (*name, text.as_str())).collect();
    match Memcached::start_in(folder, &options, &variables) {
        Ok(server) => Some(server),
        Err(Missing(why)) => {
            println!("skipped: {why}");
            None
        }
    }
}

/// A server with this certificate; 0 asks clients for none, 2 wants one.
fn secure(authority: &Authority, own: &Issued, clients: &str) -> Option<Memcached> {
    let files =
        [("ca.pem", authority.pem()), ("cert.pem", own.certificate.clone()), ("key.pem", own.key.clone())];
    let files = files.each_ref().map(|(name, content)| (*name, content.as_str()));
    let settings = format!(
        "ssl_chain_cert={{folder}}/cert.pem,ssl_key={{folder}}/key.pem,ssl_ca_cert={{folder}}/ca.pem,ssl_verify_mode={clients}"
    );
    server_in(folder_with(&files), &["-Z", "-o", &settings], &[])
}

/// A server that knows bob by a file of names and passwords.
fn with_file() -> Option<Memcached> {
    server_in(folder_with(&[("users", "bob:s3cret\n")]), &["-Y", "{folder}/users"], &[])
}

/// A server that knows bob by SASL, and speaks only the binary protocol.
fn with_sasl() -> Option<Memcached> {
    let folder = Folder::new("memcached");
    let users = folder.path().join("users");
    let mut command = Command::new("saslpasswd2");
    command.args(["-p", "-c", "-a", "memcached", "-f"]).arg(&users).arg("bob").stdin(Stdio::piped());
    let Ok(mut making) = command.spawn() else {
        println!("skipped: {:?}", Missing::because("memcached", "saslpasswd2 is not installed".to_owned()));
        return None;
    };
    making.stdin.take().unwrap().write_all(b"s3cret").unwrap();
    assert!(making.wait().unwrap().success(), "bob has a password");
    let settings = format!(
        "mech_list: plain\npwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {}\n",
        users.display()
    );
    fs::write(folder.path().join("memcached.conf"), settings).unwrap();
    server_in(folder, &["-S"], &[("SASL_CONF_PATH", "{folder}")])
}

async fn works(config: Config) -> Result<()> {
    let (store, subject) = (MemcachedStore::new(&config)?, user("ann"));
    store.put(call(), &subject, key("k"), entry("v")).await?;
    store.put(call(), &subject, key("l"), entry("v")).await?;
    assert_eq!(store.load(call(), &subject).await?.len(), 2);
    Ok(())
}

fn config(url: &str) -> Config {
    Config::from_url(url).unwrap()
}

fn over_tls(server: &Memcached, authority: &Authority) -> Config {
    config(&format!("memcaches://localhost:{}", server.port())).with_ca(authority.pem())
}

#[tokio::test]
async fn an_own_authority_is_trusted_and_a_large_item_crosses() {
    let authority = Authority::new("ours");
    let Some(server) = secure(&authority, &authority.issue("localhost"), "0") else { return };
    works(over_tls(&server, &authority)).await.unwrap();
    let store = MemcachedStore::new(&over_tls(&server, &authority)).unwrap();
    let (subject, large) = (user("ann"), "x".repeat(900_000));
    store.put(call(), &subject, key("k"), entry(&large)).await.unwrap();
    let stands = store.get(call(), &subject, &key("k")).await.unwrap().unwrap();
    assert_eq!(stands.value.len_bytes(), large.len() + 2);
}

#[tokio::test]
async fn a_caller_has_a_connection_of_its_own_over_tls() {
    let authority = Authority::new("ours");
    for speaks in [|config: Config| config, Config::with_binary_protocol] {
        let Some(server) = secure(&authority, &authority.issue("localhost"), "0") else { return };
        let store = MemcachedStore::new(&speaks(over_tls(&server, &authority))).unwrap();
        owned::answers_without_a_runtime(&store).await;
        owned::large_values_cross(&store).await;
    }
}

#[tokio::test]
async fn many_callers_and_batches_share_a_connection_over_tls() {
    let authority = Authority::new("ours");
    let Some(server) = secure(&authority, &authority.issue("localhost"), "0") else { return };
    for config in [over_tls(&server, &authority), over_tls(&server, &authority).with_binary_protocol()] {
        let store = MemcachedStore::new(&config).unwrap();
        // Values that end inside of records and at their ends, with others behind them.
        let sizes = [1, 10_000, 16_300, 16_384, 40_000, 100_000];
        let subjects: Vec<_> = (0..60).map(|i| user(&format!("{}{i}", "u".repeat(150)))).collect();
        let puts = subjects.iter().enumerate().map(|(i, subject)| {
            let value = entry(&"x".repeat(sizes[i % sizes.len()]));
            let (store, subject) = (store.clone(), subject.clone());
            tokio::spawn(async move { store.put(call(), &subject, key("k"), value).await.unwrap() })
        });
        for put in puts.collect::<Vec<_>>() {
            put.await.unwrap();
        }
        let reads: Vec<_> = subjects.iter().cycle().take(600).cloned().map(Read::all).collect();
        for profile in store.read(call(), &reads).await {
            assert_eq!(profile.unwrap().len(), 1);
        }
    }
}

#[tokio::test]
async fn certificates_that_are_wrong_in_different_ways_are_told_apart() {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("a stranger's"));
    let expired = authority.issue_expired("localhost");
    let other = authority.issue("example.org");
    let foreign = stranger.issue("localhost");
    for (own, says) in [(expired, "expired"), (other, "another name"), (foreign, "not trusted")] {
        let Some(server) = secure(&authority, &own, "0") else { return };
        let error = works(over_tls(&server, &authority)).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Config, Effect::NotApplied), "{error}");
        assert!(error.context().contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_client_certificate_opens_what_is_closed_without() {
    let authority = Authority::new("ours");
    let Some(server) = secure(&authority, &authority.issue("localhost"), "2") else { return };
    let client = authority.issue("client");
    let with_identity = over_tls(&server, &authority).with_identity(client.certificate, client.key);
    works(with_identity).await.unwrap();
    let error = works(over_tls(&server, &authority)).await.unwrap_err();
    // The server's reason is lost where its reset overtakes it.
    let kinds = [ErrorKind::Denied, ErrorKind::Unavailable];
    assert!(kinds.contains(&error.kind()) && error.effect() == Effect::NotApplied, "{error}");
}

#[tokio::test]
async fn a_plain_port_and_a_tls_port_are_told_apart() {
    let authority = Authority::new("ours");
    let (Some(secure), Some(plain)) = (secure(&authority, &authority.issue("localhost"), "0"), server(&[]))
    else {
        return;
    };
    for config in [over_tls(&plain, &authority), config(&format!("memcache://localhost:{}", secure.port()))] {
        let config = config.with_connect_timeout(Duration::from_millis(500));
        let error = works(config).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::NotApplied), "{error}");
        assert!(error.context().contains("TLS") || error.context().contains("no connection"), "{error}");
    }
}

#[tokio::test]
async fn a_password_opens_a_server_with_a_file_and_a_wrong_one_is_denied_at_once() {
    let Some(server) = with_file() else { return };
    let url = |login: &str| format!("memcache://{login}127.0.0.1:{}", server.port());
    works(config(&url("bob:s3cret@"))).await.unwrap();
    works(config(&url("")).with_login("bob", "s3cret")).await.unwrap();
    for login in ["bob:wr0ng@", "ann:s3cret@", "bob:@", ""] {
        denied(config(&url(login))).await;
    }
}

#[tokio::test]
async fn a_password_opens_a_server_with_sasl_and_a_wrong_one_is_denied_at_once() {
    let Some(server) = with_sasl() else { return };
    let url = |login: &str, options: &str| format!("memcache://{login}127.0.0.1:{}{options}", server.port());
    works(config(&url("bob:s3cret@", "?auth=sasl"))).await.unwrap();
    works(config(&url("", "")).with_sasl("bob", "s3cret")).await.unwrap();
    denied(config(&url("bob:wr0ng@", "?auth=sasl"))).await;
    // It says nothing to what it does not understand.
    for login in ["bob:s3cret@", ""] {
        let config = config(&url(login, "?connect_timeout=300ms"));
        let error = works(config).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::NotApplied), "{error}");
        assert!(error.context().contains("auth=sasl"), "{error}");
    }
}

async fn denied(config: Config) {
    let store = MemcachedStore::new(&config).unwrap();
    let began = Instant::now();
    let error = store.put(call(), &user("ann"), key("k"), entry("v")).await.unwrap_err();
    assert!(began.elapsed() < MACHINE, "at once");
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Denied, Effect::NotApplied), "{error}");
    assert!(!format!("{error} {error:?} {store:?} {config:?}").contains("wr0ng"));
}

#[tokio::test]
async fn the_binary_protocol_keeps_what_the_other_one_does() {
    let Some(server) = with_sasl() else { return };
    let url = format!("memcache://bob:s3cret@127.0.0.1:{}?auth=sasl", server.port());
    let store = MemcachedStore::new(&config(&url)).unwrap();
    let (subject, large) = (user("ann"), "x".repeat(900_000));
    let first = entry("v");
    store.put(call(), &subject, key("k"), first.clone()).await.unwrap();
    store.put(call(), &subject, key("l"), entry(&large)).await.unwrap();
    let taken = store.insert(call(), &subject, EpochCheck::Ignore, key("k"), entry("w")).await;
    assert_eq!(taken.unwrap(), Outcome::Kept(first));
    let too_large = store.put(call(), &subject, key("m"), entry(&large)).await.unwrap_err();
    assert_eq!(too_large.kind(), ErrorKind::TooLarge, "{too_large}");
    let erase = Erase::new(subject.clone(), call().now);
    assert!(store.erase_one(call(), erase.clone()).await.unwrap());
    assert_eq!(store.load(call(), &subject).await.unwrap().epoch(), Some(erase.epoch));
}

#[tokio::test]
async fn sockets_of_the_url_are_used() {
    let Some(server) = server(&["-s", "socket"]) else { return };
    let by_socket = config(&format!("memcache+unix://{}", server.socket().display()));
    works(by_socket.clone()).await.unwrap();
    owned::large_values_cross(&MemcachedStore::new(&by_socket).unwrap()).await;
    let nowhere = works(config("memcache+unix:///nowhere")).await.unwrap_err();
    assert_eq!((nowhere.kind(), nowhere.effect()), (ErrorKind::Unavailable, Effect::NotApplied), "{nowhere}");
}
