//! Writes of several callers in one command: what that saves, and that one caller's trouble stays its own.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Change, Effect, EpochCheck, Erase, Error, ErrorKind, Subject, Write,
    async_trait,
};
use stickystore_integration_tests::meddler::{Fault, Meddler, Server};
use stickystore_integration_tests::resp::{Command, Reply};
use stickystore_redis::RedisStore;

use crate::bench::{behind, call, entry, key, server, store, through, user};

const CALLERS: usize = 32;

fn users() -> Vec<Subject> {
    (0..CALLERS).map(|i| user(&format!("u{i}"))).collect()
}

/// An entry for each of these, each by a caller of its own, at the same moment.
async fn put_at_once(store: &RedisStore, users: &[Subject]) -> Vec<Result<(), Error>> {
    let put = |user: &Subject| {
        let (store, user) = (store.clone(), user.clone());
        tokio::spawn(async move { store.put(call(), &user, key("k"), entry("v")).await.map(drop) })
    };
    let mut answers = Vec::new();
    for put in users.iter().map(put).collect::<Vec<_>>() {
        answers.push(put.await.unwrap());
    }
    answers
}

/// The same in one call.
async fn put_together(store: &RedisStore, users: &[Subject]) -> Vec<Result<(), Error>> {
    let put = |user: &Subject| {
        Write::new(user.clone(), EpochCheck::Ignore, vec![Change::Put(key("k"), entry("v"))]).unwrap()
    };
    let writes: Vec<_> = users.iter().map(put).collect();
    let answers = store.write(call(), &writes).await;
    answers.into_iter().map(|mut answers| answers.remove(0).map(drop)).collect()
}

async fn stand(store: &RedisStore, users: &[Subject]) {
    for user in users {
        assert!(store.load(call(), user).await.unwrap().get("k").is_some(), "{user:?}");
    }
}

/// How often the server was given this command.
async fn given(url: &str, command: &str) -> usize {
    let info: String =
        redis::cmd("INFO").arg("commandstats").query_async(&mut behind(url).await).await.unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.map_or(0, |line| line.split_once(',').unwrap().0.parse().unwrap())
}

#[tokio::test]
async fn writes_and_erases_of_callers_at_the_same_moment_are_few_commands() {
    let Some(server) = server(&[]) else { return };
    let (store, users) = (store(&server.url()), users());
    store.put(call(), &user("first"), key("k"), entry("v")).await.unwrap();
    store.erase_one(call(), Erase::new(user("first"), call().now)).await.unwrap();
    let before = given(&server.url(), "evalsha").await;
    put_at_once(&store, &users).await.into_iter().for_each(|put| put.unwrap());
    stand(&store, &users).await;
    let puts = given(&server.url(), "evalsha").await - before;
    assert!((2..=CALLERS / 8).contains(&puts), "{puts} commands");
    let erase = |user: Subject| {
        let store = store.clone();
        tokio::spawn(async move { store.erase_one(call(), Erase::new(user, call().now)).await.unwrap() })
    };
    for erase in users.into_iter().map(erase).collect::<Vec<_>>() {
        assert!(erase.await.unwrap(), "something stood");
    }
    let erases = given(&server.url(), "evalsha").await - before - puts;
    assert!((2..=CALLERS / 8).contains(&erases), "{erases} commands");
}

#[tokio::test]
async fn a_server_that_forgot_the_script_forgot_it_for_all_and_all_are_written() {
    let Some(server) = server(&[]) else { return };
    let (store, users) = (store(&server.url()), users());
    put_at_once(&store, &users[..1]).await.remove(0).unwrap();
    redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut behind(&server.url()).await).await.unwrap();
    put_at_once(&store, &users).await.into_iter().for_each(|put| put.unwrap());
    stand(&store, &users).await;
}

#[tokio::test]
async fn a_key_that_one_caller_may_not_use_is_refused_to_that_caller_only() {
    let Some(server) = server(&[]) else { return };
    let (users, mut behind) = (users(), behind(&server.url()).await);
    let (forbidden, allowed) = users.split_first().unwrap();
    let mut rights = redis::cmd("ACL");
    rights.arg("SETUSER").arg("app").arg("on").arg(">pw").arg("+@all");
    for user in allowed {
        rights.arg(format!("~{}", RedisStore::storage_key(user)));
    }
    rights.exec_async(&mut behind).await.unwrap();
    let store = store(&format!("redis://app:pw@127.0.0.1:{}", server.port()));
    put_at_once(&store, &allowed[..1]).await.remove(0).unwrap();
    let mut answers = put_at_once(&store, &users).await;
    let error = answers.remove(0).unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Denied, Effect::NotApplied), "{error}");
    answers.into_iter().for_each(|put| put.unwrap());
    stand(&store, allowed).await;
    let mut answers = put_together(&store, &users).await;
    let error = answers.remove(0).unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Denied, Effect::NotApplied), "{error}");
    answers.into_iter().for_each(|put| put.unwrap());
    let kept: bool =
        redis::cmd("EXISTS").arg(RedisStore::storage_key(forbidden)).query_async(&mut behind).await.unwrap();
    assert!(!kept);
}

/// A proxy to a cluster, which takes commands for one user only.
#[derive(Default)]
struct OneUser {
    refused: AtomicUsize,
}

#[async_trait]
impl Fault for OneUser {
    async fn exchange(&self, command: Command, server: &mut Server) -> io::Result<Vec<Reply>> {
        if let [name, _, users, ..] = &command[..]
            && name == b"EVALSHA"
            && users != b"1"
        {
            self.refused.fetch_add(1, Ordering::SeqCst);
            let text = "CROSSSLOT Keys in request don't hash to the same slot";
            return Ok(vec![Reply::Error(text.as_bytes().to_vec())]);
        }
        Ok(vec![server.ask(&command).await?])
    }
}

#[tokio::test]
async fn where_keys_live_apart_each_goes_by_itself() {
    let Some(server) = server(&[]) else { return };
    let fault = Arc::new(OneUser::default());
    let meddler = Meddler::start(server.port(), fault.clone()).await;
    let (store, users) = (through(meddler.port()), users());
    put_at_once(&store, &users[..1]).await.remove(0).unwrap();
    put_at_once(&store, &users).await.into_iter().for_each(|put| put.unwrap());
    assert!(fault.refused.swap(0, Ordering::SeqCst) > 0, "they were asked in one");
    stand(&store, &users).await;
    let others: Vec<_> = (0..CALLERS).map(|i| user(&format!("other {i}"))).collect();
    put_together(&store, &others).await.into_iter().for_each(|put| put.unwrap());
    assert!(fault.refused.load(Ordering::SeqCst) > 0, "they were asked in one");
    stand(&store, &others).await;
}
