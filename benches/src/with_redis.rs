//! Redis: beside one multiplexed connection of the bare driver, as applications use it, with TCP_NODELAY.
//!
//! A load stands beside HGETALL into a map, which judges neither expiry nor marks. A put and a new assignment stand beside
//! the same Lua, called by hand; the batch is a pipeline of as many as there are callers.

use std::collections::HashMap;
use std::sync::Arc;

use redis::aio::ConnectionManager;
use redis::io::tcp::TcpSettings;
use redis::{Cmd, Pipeline};
use stickystore_core::{Expiry, Subject};
use stickystore_redis::{Config, RedisStore};

use crate::Options;
use crate::measure::Contender;
use crate::ours::{self, ENTRIES};
use crate::rows::Row;
use crate::words::{VALUE, entry, key, nth, subject, users, within};

/// The store's own script.
const WRITE: &str = concat!(
    include_str!("../../crates/redis/src/script/head.lua"),
    include_str!("../../crates/redis/src/script/write.lua")
);

const OPERATIONS: [&str; 3] = ["load", "assign new", "put with TTL"];

pub(crate) async fn rows(options: &Options) -> Vec<Row> {
    let store = RedisStore::new(&Config::from_url(&options.url).expect("a URL of Redis")).expect("a store");
    let bare = Bare::open(&options.url).await;
    let users = users(options.users);
    ours::fill(&store, &users).await;
    for part in users.chunks(100) {
        bare.fill(part).await;
    }
    ours::rows(options, "redis", &OPERATIONS, &store, &users, async |operation, callers| {
        vec![bare.one(operation, callers, &users), bare.batch(operation, callers, &users)]
    })
    .await
}

#[derive(Clone)]
struct Bare {
    connection: ConnectionManager,
    script: String,
}

impl Bare {
    async fn open(url: &str) -> Self {
        let client = redis::Client::open(url).expect("a URL of Redis");
        let info =
            client.get_connection_info().clone().set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let client = redis::Client::open(info).expect("the same");
        let mut connection = client.get_connection_manager().await.expect("a connection");
        let script = redis::cmd("SCRIPT").arg("LOAD").arg(WRITE).query_async(&mut connection).await;
        Self { connection, script: script.expect("a script") }
    }

    async fn fill(&self, users: &[Subject]) {
        let mut pipeline = Pipeline::new();
        for user in users {
            let set = pipeline.cmd("HSET").arg(name(user));
            for place in 0..ENTRIES {
                set.arg(key(place).as_str()).arg(VALUE);
            }
        }
        pipeline.exec_async(&mut self.connection.clone()).await.expect("a pipeline");
    }

    fn one(&self, operation: &'static str, callers: usize, users: &Arc<Vec<Subject>>) -> Contender {
        let (bare, users) = (self.clone(), Arc::clone(users));
        Contender::new("driver", callers, move |i| {
            let (Bare { mut connection, script }, user) = (bare.clone(), nth(&users, i).clone());
            async move {
                let command = command(operation, &script, &user, i);
                if operation == "load" {
                    let fields: HashMap<String, String> =
                        command.query_async(&mut connection).await.expect("a load");
                    assert_eq!(fields.len(), ENTRIES);
                } else {
                    let told: Vec<redis::Value> =
                        command.query_async(&mut connection).await.expect("a script");
                    assert_eq!(told.len(), 1);
                }
            }
        })
    }

    fn batch(&self, operation: &'static str, size: usize, users: &Arc<Vec<Subject>>) -> Contender {
        let (bare, users) = (self.clone(), Arc::clone(users));
        Contender::batch(size, move |call| {
            let (Bare { mut connection, script }, users) = (bare.clone(), Arc::clone(&users));
            async move {
                let mut pipeline = Pipeline::with_capacity(size);
                for i in call * size..(call + 1) * size {
                    pipeline.add_command(command(operation, &script, nth(&users, i), i));
                }
                if operation == "load" {
                    let all: Vec<HashMap<String, String>> =
                        pipeline.query_async(&mut connection).await.expect("loads");
                    assert!(all.len() == size && all.iter().all(|fields| fields.len() == ENTRIES));
                } else {
                    let told: Vec<Vec<redis::Value>> =
                        pipeline.query_async(&mut connection).await.expect("scripts");
                    assert_eq!(told.len(), size);
                }
            }
        })
    }
}

fn command(operation: &str, script: &str, user: &Subject, i: usize) -> Cmd {
    if operation == "load" {
        let mut command = redis::cmd("HGETALL");
        command.arg(name(user));
        return command;
    }
    let call = within();
    let entry = entry(call);
    let Expiry::At(end) = entry.expiry else { unreachable!("entries of benches end") };
    let is_new = operation == "assign new";
    let mut command = redis::cmd("EVALSHA");
    command.arg(script).arg(1).arg(if is_new { name(&subject()) } else { name(user) });
    command.arg(call.now.get()).arg(60_000).arg(if is_new { "" } else { "*" });
    command.arg(if is_new { "I" } else { "P" }).arg(key(if is_new { 0 } else { i % ENTRIES }).as_str());
    command.arg(format!("1 {} {end} ", entry.revision)).arg(VALUE);
    command
}

fn name(user: &Subject) -> String {
    format!("bare:{}:{}", user.namespace, user.user)
}
