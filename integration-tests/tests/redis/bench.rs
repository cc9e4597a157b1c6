//! What the tests of this folder have at hand: a store on a server, and short words.

use stickystore_integration_tests::server::Missing;
use stickystore_integration_tests::server::redis::Redis;
pub(crate) use stickystore_integration_tests::words::{call, entry, insert, key, user};
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

/// A connection behind the store's back.
pub(crate) async fn behind(url: &str) -> redis::aio::MultiplexedConnection {
    redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}
