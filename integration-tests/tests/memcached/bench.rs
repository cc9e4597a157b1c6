//! What the tests of this folder have at hand: a store on a server, and short words.

use stickystore_integration_tests::server::Missing;
use stickystore_integration_tests::server::memcached::Memcached;
pub(crate) use stickystore_integration_tests::words::{call, entry, insert, key, user, within};
use stickystore_memcached::{Config, MemcachedStore};

/// A server of the test's own; it says so and gives nothing where there is none.
pub(crate) fn server(options: &[&str]) -> Option<Memcached> {
    match Memcached::start(options) {
        Ok(server) => Some(server),
        Err(Missing(why)) => {
            println!("skipped: {why}");
            None
        }
    }
}

pub(crate) fn store(url: &str) -> MemcachedStore {
    MemcachedStore::new(&Config::from_url(url).unwrap()).unwrap()
}

pub(crate) fn through(port: u16) -> MemcachedStore {
    store(&format!("memcache://127.0.0.1:{port}"))
}
