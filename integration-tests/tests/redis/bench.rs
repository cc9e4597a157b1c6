//! What the tests of this folder have at hand: a store on a server, and short words.

use std::time::Duration;

use stickystore_core::{Call, Entry, Expiry, Key, Namespace, Revision, Subject, SystemClock, UserId, Value};
use stickystore_integration_tests::server::Missing;
use stickystore_integration_tests::server::redis::Redis;
use stickystore_redis::{Config, RedisStore};

/// A server of the test's own; it says so and gives nothing where there is none.
pub(crate) fn server(options: &[&str]) -> Option<Redis> {
    match Redis::start(options) {
        Ok(server) => Some(server),
        Err(Missing(why)) => {
            println!("skipped: {why}");
            None
        }
    }
}

pub(crate) fn store(url: &str) -> RedisStore {
    RedisStore::new(&Config::from_url(url).unwrap()).unwrap()
}

pub(crate) fn through(port: u16) -> RedisStore {
    store(&format!("redis://127.0.0.1:{port}"))
}

pub(crate) fn within(millis: u64) -> Call {
    Call::within(&SystemClock, Duration::from_millis(millis))
}

/// A call that has all the time that a healthy server can need.
pub(crate) fn call() -> Call {
    within(60_000)
}

/// This user in a namespace that no other test has.
pub(crate) fn user(id: &str) -> Subject {
    Subject::new(Namespace::new(Revision::random().to_string()).unwrap(), UserId::new(id).unwrap())
}

pub(crate) fn key(key: &str) -> Key {
    Key::new(key).unwrap()
}

pub(crate) fn entry(value: &str) -> Entry {
    Entry::new(Value::string(value), Expiry::Never)
}

/// A connection behind the store's back.
pub(crate) async fn behind(url: &str) -> redis::aio::MultiplexedConnection {
    redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}
