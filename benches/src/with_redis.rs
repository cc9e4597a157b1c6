//! Redis: beside one multiplexed connection of the bare driver, as applications use it, with TCP_NODELAY.
//!
//! A load stands beside HGETALL into a map, which judges neither expiry nor marks. A put and a new assignment stand beside
//! the same Lua, called by hand; the batch is a pipeline of as many as there are callers.

use std::collections::HashMap;
use std::sync::Arc;

use redis::aio::ConnectionManager;
use redis::io::tcp::TcpSettings;
use redis::{Cmd, Pipeline};
use stickystore_core::{AsyncStore, AsyncStoreExt as _, EpochCheck, Expiry, Outcome, Subject};
use stickystore_layers::coalesce::{Bounds, Coalesced};
use stickystore_redis::{Config, RedisStore};

use crate::Options;
use crate::measure::{Contender, take_turns};
use crate::rows::{Row, Situation};
use crate::words::{VALUE, entry, filling, key, nth, subject, users, within};

/// The store's own script.
const WRITE: &str = concat!(
    include_str!("../../crates/redis/src/script/head.lua"),
    include_str!("../../crates/redis/src/script/write.lua")
);

const ENTRIES: usize = 5;

pub(crate) async fn rows(options: &Options) -> Vec<Row> {
    let store = RedisStore::new(&Config::from_url(&options.url).expect("a URL of Redis")).expect("a store");
    let bare = Bare::open(&options.url).await;
    let users = users(options.users);
    for part in users.chunks(100) {
        let writes: Vec<_> = part.iter().map(|user| filling(user, ENTRIES)).collect();
        store
            .write(within(), &writes)
            .await
            .into_iter()
            .flatten()
            .for_each(|answer| drop(answer.expect("a put")));
        bare.fill(part).await;
    }
    let mut rows = Vec::new();
    for operation in ["load", "assign new", "put with TTL"] {
        if options.only.as_ref().is_some_and(|only| only != operation) {
            continue;
        }
        for &callers in &options.callers {
            let mut contenders = vec![ours("plain".to_owned(), operation, callers, store.clone(), &users)];
            for &in_flight in &options.in_flight {
                let coalesced = Coalesced::with(store.clone(), Bounds::default().with_in_flight(in_flight));
                contenders.push(ours(
                    format!("coalesced {in_flight}"),
                    operation,
                    callers,
                    coalesced,
                    &users,
                ));
            }
            contenders.extend([bare.one(operation, callers, &users), bare.batch(operation, callers, &users)]);
            contenders.retain(|one| options.who.as_ref().is_none_or(|who| *who == one.name));
            let samples = take_turns(&contenders, options.effort, options.server).await;
            let situation = Situation {
                backend: "redis",
                operation,
                entries: if operation == "load" { ENTRIES } else { 1 },
                api: "async",
                callers,
                users: options.users,
                added_ms: options.added_ms,
            };
            let measured = Row::all(&situation, &contenders, &samples);
            measured.iter().for_each(|row| println!("{row}"));
            rows.extend(measured);
        }
    }
    rows
}

fn ours<S: AsyncStore + Clone>(
    name: String,
    operation: &'static str,
    callers: usize,
    store: S,
    users: &Arc<Vec<Subject>>,
) -> Contender {
    let users = Arc::clone(users);
    Contender::new(name, callers, move |i| {
        let (store, user) = (store.clone(), nth(&users, i).clone());
        async move {
            let call = within();
            match operation {
                "load" => assert_eq!(store.load(call, &user).await.expect("a load").len(), ENTRIES),
                "assign new" => {
                    let told =
                        store.insert(call, &subject(), EpochCheck::Is(None), key(0), entry(call)).await;
                    assert_eq!(told.expect("an insert"), Outcome::Inserted);
                }
                _ => {
                    let told = store.put(call, &user, key(i % ENTRIES), entry(call)).await;
                    assert_eq!(told.expect("a put"), Outcome::Written);
                }
            }
        }
    })
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
