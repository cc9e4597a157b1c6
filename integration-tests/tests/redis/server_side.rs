//! What the server decides: logins, rights, memory, replicas, time.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Change, Clock as _, Effect, Entry, EpochCheck, Erase, ErrorKind,
    Expiry, Outcome, Read, SystemClock, Ttl, Value, Write, async_trait,
};
use stickystore_integration_tests::failing::MACHINE;
use stickystore_integration_tests::meddler::{Fault, Meddler, Server};
use stickystore_integration_tests::owned;
use stickystore_integration_tests::resp::{Command, Reply};
use stickystore_redis::{Config, RedisStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::bench::{behind, call, entry, key, server, store, through, user};

#[tokio::test]
async fn a_wrong_password_is_denied_at_once_and_a_right_one_later_needs_no_new_handle() {
    let Some(server) = server(&["--requirepass", "right"]) else { return };
    let url = |password: &str| format!("redis://:{password}@127.0.0.1:{}", server.port());
    let subject = user("ann");
    store(&url("right")).load(call(), &subject).await.unwrap();
    let wrong = store(&url("wr0ng"));
    let began = Instant::now();
    let error = wrong.load(call(), &subject).await.unwrap_err();
    assert!(began.elapsed() < MACHINE, "at once");
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Denied, Effect::NotApplied));
    assert!(!format!("{error} {error:?} {wrong:?}").contains("wr0ng"));
    let mut behind = behind(&url("right")).await;
    let info: String = redis::cmd("INFO").arg("commandstats").query_async(&mut behind).await.unwrap();
    let auth = info.lines().find(|line| line.starts_with("cmdstat_auth:")).unwrap();
    assert!(auth.contains("calls=3,") && auth.contains("failed_calls=1"), "tried once: {auth}");
    redis::cmd("CONFIG").arg("SET").arg("requirepass").arg("wr0ng").exec_async(&mut behind).await.unwrap();
    wrong.load(call(), &subject).await.unwrap();
    let without = store(&server.url()).put(call(), &subject, key("k"), entry("v")).await.unwrap_err();
    assert_eq!((without.kind(), without.effect()), (ErrorKind::Denied, Effect::NotApplied), "{without}");
}

#[tokio::test]
async fn a_right_that_is_missing_is_denied_and_named() {
    let Some(server) = server(&[]) else { return };
    let mut behind = behind(&server.url()).await;
    for (rights, expected) in [
        ("~* +@all -evalsha -eval", "EVALSHA"),
        ("~* +@all -hset", "HSET"),
        ("~* +@all -hmget", "HMGET"),
        ("~* +@all -pttl", "PTTL"),
        ("~other:* +@all", "stickystore:"),
    ] {
        let mut acl = redis::cmd("ACL");
        acl.arg("SETUSER").arg("app").arg("reset").arg("on").arg(">pw");
        for right in rights.split(' ') {
            acl.arg(right);
        }
        acl.exec_async(&mut behind).await.unwrap();
        let store = store(&format!("redis://app:pw@127.0.0.1:{}", server.port()));
        let subject = user("ann");
        let error = store.put(call(), &subject, key("k"), entry("v")).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.effect()),
            (ErrorKind::Denied, Effect::NotApplied),
            "{rights}: {error}"
        );
        assert!(error.context().contains(expected), "{rights}: {error}");
    }
}

#[tokio::test]
async fn a_right_that_ends_in_the_middle_of_a_script_is_an_unknown_outcome() {
    let Some(server) = server(&[]) else { return };
    let mut behind = behind(&server.url()).await;
    let rights = ["SETUSER", "app", "on", ">pw", "~*", "+@all", "-pexpire"];
    redis::cmd("ACL").arg(&rights).exec_async(&mut behind).await.unwrap();
    let store = store(&format!("redis://app:pw@127.0.0.1:{}", server.port()));
    let expiry = Expiry::after(SystemClock.now(), Ttl::new(Duration::from_secs(60)).unwrap()).unwrap();
    let entry = Entry::new(Value::string("v"), expiry);
    let error = store.put(call(), &user("ann"), key("k"), entry).await.unwrap_err();
    assert_eq!(error.effect(), Effect::Unknown, "{error}");
}

#[tokio::test]
async fn an_unmet_wait_is_an_unknown_outcome_and_a_met_one_is_not() {
    let (Some(primary), Some(mut replica)) = (server(&[]), server(&[])) else { return };
    let waiting = store(&format!("{}?wait=1", primary.url()));
    let subject = user("ann");
    let put = async |name: &str| waiting.put(call(), &subject, key(name), entry("v")).await;
    let error = put("a").await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::Unknown));
    assert!(error.context().contains("0 of 1"), "{error}");
    assert!(waiting.load(call(), &subject).await.unwrap().get("a").is_some(), "it was written all the same");
    let mut behind = behind(&replica.url()).await;
    let of = ["127.0.0.1".to_owned(), primary.port().to_string()];
    redis::cmd("REPLICAOF").arg(&of).exec_async(&mut behind).await.unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while put("b").await.is_err() {
        assert!(Instant::now() < until, "the replica follows in the end");
    }
    assert!(waiting.erase_one(call(), Erase::new(subject.clone(), SystemClock.now())).await.unwrap());
    replica.kill();
    let error = waiting.erase_one(call(), Erase::new(subject.clone(), SystemClock.now())).await.unwrap_err();
    assert_eq!(error.effect(), Effect::Unknown);
}

#[tokio::test]
async fn a_replica_takes_no_writes_and_says_so() {
    let (Some(primary), Some(replica)) = (server(&[]), server(&[])) else { return };
    let mut behind = behind(&replica.url()).await;
    let of = ["127.0.0.1".to_owned(), primary.port().to_string()];
    redis::cmd("REPLICAOF").arg(&of).exec_async(&mut behind).await.unwrap();
    let error = store(&replica.url()).put(call(), &user("ann"), key("k"), entry("v")).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::NotApplied), "{error}");
}

#[tokio::test]
async fn a_full_server_that_may_not_evict_is_full_and_keeps_what_it_has() {
    let Some(server) = server(&[]) else { return };
    let (store, subject) = (store(&server.url()), user("ann"));
    store.put(call(), &subject, key("old"), entry("v")).await.unwrap();
    let mut behind = behind(&server.url()).await;
    redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg("1").exec_async(&mut behind).await.unwrap();
    let error = store.put(call(), &subject, key("new"), entry("v")).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Full, Effect::NotApplied), "{error}");
    assert_eq!(store.load(call(), &subject).await.unwrap().len(), 1);
    assert_eq!(store.remove(call(), &subject, key("old")).await.unwrap(), Outcome::Removed);
}

#[tokio::test]
async fn what_an_evicting_server_forgets_is_absent_and_the_rest_is_whole() {
    let Some(server) = server(&["--maxmemory", "4mb", "--maxmemory-policy", "allkeys-lru"]) else { return };
    let store = store(&server.url());
    let filler = "x".repeat(2_000);
    let subjects: Vec<_> = (0..3_000).map(|i| user(&i.to_string())).collect();
    for chunk in subjects.chunks(500) {
        let write = |subject: &stickystore_core::Subject| {
            let changes = ["a", "b"].map(|name| Change::Insert(key(name), entry(&filler)));
            Write::new(subject.clone(), EpochCheck::Is(None), changes.into()).unwrap()
        };
        let writes: Vec<_> = chunk.iter().map(write).collect();
        for answer in store.write(call(), &writes).await.into_iter().flatten() {
            assert_eq!(answer.unwrap(), Outcome::Inserted);
        }
    }
    let reads: Vec<_> = subjects.iter().cloned().map(Read::all).collect();
    let sizes: Vec<_> =
        store.read(call(), &reads).await.into_iter().map(|profile| profile.unwrap().len()).collect();
    assert!(sizes.iter().all(|size| [0, 2].contains(size)), "users go whole");
    assert!(sizes.contains(&0) && sizes.contains(&2), "some went, some stayed");
}

#[tokio::test]
async fn an_entry_with_a_short_life_never_shortens_the_others_in_real_time() {
    let Some(server) = server(&[]) else { return };
    let grace = Duration::from_millis(50);
    let store = RedisStore::new(&Config::from_url(&server.url()).unwrap().with_grace(grace)).unwrap();
    let subject = user("ann");
    let lives = |millis| {
        let ttl = Ttl::new(Duration::from_millis(millis)).unwrap();
        Entry::new(Value::string("v"), Expiry::after(SystemClock.now(), ttl).unwrap())
    };
    store.put(call(), &subject, key("long"), lives(60_000)).await.unwrap();
    store.put(call(), &subject, key("short"), lives(1)).await.unwrap();
    let fresh = user("bob");
    store.put(call(), &fresh, key("short"), lives(1)).await.unwrap();
    let mut behind = behind(&server.url()).await;
    let until = Instant::now() + Duration::from_secs(5);
    // The server sweeps the user that has nothing else.
    while redis::cmd("EXISTS")
        .arg(RedisStore::storage_key(&fresh))
        .query_async::<i64>(&mut behind)
        .await
        .unwrap()
        > 0
    {
        assert!(Instant::now() < until, "what ended is swept");
    }
    let profile = store.load(call(), &subject).await.unwrap();
    assert_eq!((profile.len(), profile.get("long").is_some()), (1, true));
    // Each new field sweeps some of what ended.
    for i in 0.. {
        store.put(call(), &subject, key(&i.to_string()), lives(60_000)).await.unwrap();
        let short: redis::RedisResult<bool> = redis::cmd("HEXISTS")
            .arg(RedisStore::storage_key(&subject))
            .arg("short")
            .query_async(&mut behind)
            .await;
        if !short.unwrap() {
            break;
        }
        assert!(Instant::now() < until, "what ended is swept from a user that lives on");
    }
    assert!(store.load(call(), &subject).await.unwrap().get("long").is_some());
}

#[tokio::test]
async fn sockets_users_and_databases_of_the_url_are_used() {
    let Some(server) = server(&[]) else { return };
    let subject = user("ann");
    let socket = store(&format!("redis+unix://{}?db=3", server.socket().display()));
    socket.put(call(), &subject, key("k"), entry("v")).await.unwrap();
    assert_eq!(store(&format!("{}/3", server.url())).load(call(), &subject).await.unwrap().len(), 1);
    assert!(store(&server.url()).load(call(), &subject).await.unwrap().is_empty());
    owned::large_values_cross(&socket).await;
    let error = store(&format!("{}/99", server.url())).load(call(), &subject).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Config, Effect::NotApplied), "{error}");
    let nowhere = store("redis+unix:///nowhere").load(call(), &subject).await.unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::Unavailable);
}

/// A server older than 6.0: its AUTH takes a password and nothing else.
struct Older;

#[async_trait]
impl Fault for Older {
    async fn exchange(&self, command: Command, server: &mut Server) -> io::Result<Vec<Reply>> {
        if matches!(command.as_slice(), [name, _, _] if name == b"AUTH") {
            return Ok(vec![Reply::Error("ERR wrong number of arguments for 'auth' command".into())]);
        }
        Ok(vec![server.ask(&command).await?])
    }
}

#[tokio::test]
async fn a_server_that_knows_no_users_is_told_the_password_alone() {
    let Some(server) = server(&["--requirepass", "right"]) else { return };
    let older = Meddler::start(server.port(), Arc::new(Older)).await;
    let url = |password: &str| format!("redis://somebody:{password}@127.0.0.1:{}", older.port());
    store(&url("right")).ping(call()).await.unwrap();
    let error = store(&url("wr0ng")).ping(call()).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Denied, Effect::NotApplied), "{error}");
}

#[tokio::test]
async fn a_server_with_as_many_clients_as_it_takes_is_unavailable_until_one_leaves() {
    let Some(server) = server(&["--maxclients", "1"]) else { return };
    let (store, first) = (store(&server.url()), behind(&server.url()).await);
    let error = store.put(call(), &user("ann"), key("k"), entry("v")).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::NotApplied), "{error}");
    assert!(error.context().contains("as many clients as it takes"), "{error}");
    drop(first);
    let until = Instant::now() + MACHINE;
    while store.ping(call()).await.is_err() {
        assert!(Instant::now() < until, "there is room");
    }
}

#[tokio::test]
async fn what_is_no_redis_is_told() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let error = through(port).put(call(), &user("ann"), key("k"), entry("v")).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unexpected, Effect::NotApplied), "{error}");
    assert!(error.context().contains("does not speak Redis' protocol"), "{error}");
}
