//! Redis: beside one multiplexed connection of the bare driver, as applications use it, with TCP_NODELAY.
//!
//! A load stands beside HGETALL into a map and a get beside HGET, which judge neither expiry nor marks. Whatever writes stands
//! beside the store's own Lua, called by hand. The batch is a pipeline of as many as there are callers; of a read of many
//! users, which the driver does by as many commands at once, it is one pipeline for each caller.

use std::collections::HashMap;
use std::sync::Mutex;

use futures::future::join_all;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{Client, Cmd, FromRedisValue, Pipeline, Value};
use stickystore_core::{Erase, Expiry, Subject};
use stickystore_redis::{Config, RedisStore};

use crate::backend::{self, Rivals};
use crate::crowd::Crowd;
use crate::instead::Instead;
use crate::measure::Contender;
use crate::operation::{ENTRIES, Operation};
use crate::options::Options;
use crate::report::Report;
use crate::threads;
use crate::words::{LIFE, PATIENCE, VALUE, entry, key, subject, within};

/// The store's own scripts.
const WRITE: &str = concat!(
    include_str!("../../crates/redis/src/script/head.lua"),
    include_str!("../../crates/redis/src/script/write.lua")
);
const ERASE: &str = concat!(
    include_str!("../../crates/redis/src/script/head.lua"),
    include_str!("../../crates/redis/src/script/erase.lua")
);

/// How long the store lets what expired stay, in milliseconds.
const GRACE: u64 = 60_000;

pub(crate) async fn report(options: &Options) -> Report {
    let config = Config::from_url(&options.url).expect("a URL of Redis");
    let open = || RedisStore::new(&config).expect("a store");
    backend::report(options, "redis", open, threads::own(), async || Bare::open(&options.url).await).await
}

/// The bare driver, and the scripts by their hashes.
#[derive(Clone)]
struct Bare {
    client: Client,
    connection: ConnectionManager,
    write: String,
    erase: String,
    instead: Instead,
}

impl Rivals for Bare {
    async fn fill(&self, crowd: &Crowd) {
        for part in crowd.parts() {
            let mut pipeline = Pipeline::new();
            for user in part {
                pipeline.add_command(self.change(user, "*", "P", 0..crowd.filled)).ignore();
            }
            pipeline.exec_async(&mut self.connection()).await.expect("a pipeline");
        }
        self.instead.fill(crowd).await;
    }

    async fn beside(&self, operation: Operation, callers: usize, crowd: &Crowd) -> Vec<Contender> {
        vec![
            self.one(operation, callers, crowd),
            self.batch(operation, callers, crowd),
            self.instead.contender(operation, callers, crowd),
        ]
    }

    /// A connection for each thread.
    fn blocking(&self, operation: Operation, threads: usize, crowd: &Crowd) -> Contender {
        let connect = || Mutex::new(self.client.get_connection().expect("a connection"));
        let connections: Vec<_> = (0..threads).map(|_| connect()).collect();
        let (bare, crowd) = (self.clone(), crowd.clone());
        Contender::blocking("driver", threads, move |i, thread| {
            let connection = connections.get(thread).expect("one for each thread");
            let connection = &mut *connection.lock().expect("nobody panics with it");
            check(operation, bare.command(operation, &crowd, i).query(connection).expect("an answer"));
        })
    }
}

impl Bare {
    async fn open(url: &str) -> Self {
        let client = Client::open(url).expect("a URL of Redis");
        let info =
            client.get_connection_info().clone().set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let client = Client::open(info).expect("the same");
        let patient = ConnectionManagerConfig::new()
            .set_response_timeout(Some(PATIENCE))
            .set_connection_timeout(Some(PATIENCE));
        let mut connection = client.get_connection_manager_with_config(patient).await.expect("a connection");
        let mut load = async |script: &str| {
            let loaded = redis::cmd("SCRIPT").arg("LOAD").arg(script).query_async(&mut connection).await;
            loaded.expect("a script")
        };
        let (write, erase) = (load(WRITE).await, load(ERASE).await);
        let instead = opendal::services::Redis::default().endpoint(url).default_ttl(LIFE);
        Self { client, connection, write, erase, instead: Instead::new(instead) }
    }

    fn one(&self, operation: Operation, callers: usize, crowd: &Crowd) -> Contender {
        let (bare, crowd) = (self.clone(), crowd.clone());
        Contender::new("driver", callers, move |i| {
            let (bare, crowd) = (bare.clone(), crowd.clone());
            async move {
                if operation == Operation::ReadMany {
                    join_all(crowd.many(i).map(|user| bare.load(user))).await;
                } else {
                    let answer = bare.command(operation, &crowd, i).query_async(&mut bare.connection()).await;
                    check(operation, answer.expect("an answer"));
                }
            }
        })
    }

    async fn load(&self, user: &Subject) {
        let answer = load(user).query_async(&mut self.connection()).await;
        check(Operation::Load(ENTRIES), answer.expect("a load"));
    }

    fn batch(&self, operation: Operation, size: usize, crowd: &Crowd) -> Contender {
        let (bare, crowd) = (self.clone(), crowd.clone());
        if operation == Operation::ReadMany {
            return Contender::new("batch", size, move |i| {
                bare.clone().pipeline(Operation::Load(ENTRIES), crowd.many(i).map(load).collect())
            });
        }
        Contender::batch(size, move |call| {
            let commands = (call * size..(call + 1) * size).map(|i| bare.command(operation, &crowd, i));
            bare.clone().pipeline(operation, commands.collect())
        })
    }

    async fn pipeline(self, operation: Operation, commands: Vec<Cmd>) {
        let mut pipeline = Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command);
        }
        let answers: Vec<Value> = pipeline.query_async(&mut self.connection()).await.expect("answers");
        answers.into_iter().for_each(|answer| check(operation, answer));
    }

    fn connection(&self) -> ConnectionManager {
        self.connection.clone()
    }

    fn command(&self, operation: Operation, crowd: &Crowd, i: usize) -> Cmd {
        let (user, place) = (crowd.nth(i), i % crowd.filled);
        match operation {
            Operation::Load(_) | Operation::ReadMany => load(user),
            Operation::Get => {
                let mut command = redis::cmd("HGET");
                command.arg(name(user)).arg(key(place).as_str());
                command
            }
            Operation::AssignNew => self.change(&subject(), "", "I", 0..1),
            Operation::AssignExisting => self.change(user, "", "I", place..place + 1),
            Operation::Put => self.change(user, "*", "P", place..place + 1),
            Operation::Save => self.change(&subject(), "", "I", 0..ENTRIES),
            Operation::Erase => {
                let now = within().now;
                let erase = Erase::new(user.clone(), now);
                let mut command = redis::cmd("EVALSHA");
                command.arg(&self.erase).arg(1).arg(name(user)).arg(GRACE).arg(now.get());
                command.arg(erase.epoch.to_string()).arg(erase.mark_until.get());
                command
            }
        }
    }

    /// The same change of these entries of a user.
    fn change(&self, user: &Subject, check: &str, change: &str, places: std::ops::Range<usize>) -> Cmd {
        let call = within();
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.write).arg(1).arg(name(user)).arg(GRACE).arg(call.now.get()).arg(check);
        for place in places {
            let entry = entry(call);
            let Expiry::At(end) = entry.expiry else { unreachable!("entries of benches end") };
            command.arg(change).arg(key(place).as_str());
            command.arg(format!("1 {} {end} ", entry.revision)).arg(VALUE);
        }
        command
    }
}

/// What a caller does with an answer: takes it apart.
fn check(operation: Operation, answer: Value) {
    match operation {
        Operation::Load(entries) => {
            let fields = HashMap::<String, String>::from_redis_value(answer).expect("fields");
            assert_eq!(fields.len(), entries);
        }
        Operation::Get => assert!(String::from_redis_value(answer).expect("a field").ends_with(VALUE)),
        Operation::Erase => assert_eq!(answer, Value::Int(1)),
        _ => {
            let told = Vec::<Value>::from_redis_value(answer).expect("an outcome for each change");
            assert_eq!(told.len(), operation.entries());
            let is_kept = operation == Operation::AssignExisting;
            assert!(told.iter().all(|told| matches!(told, Value::BulkString(_)) == is_kept));
        }
    }
}

fn load(user: &Subject) -> Cmd {
    let mut command = redis::cmd("HGETALL");
    command.arg(name(user));
    command
}

fn name(user: &Subject) -> String {
    format!("bare:{}:{}", user.namespace, user.user)
}
