#![doc = include_str!("lib.md")]

mod address;
mod async_sticky;
mod backends;
#[cfg(feature = "cache")]
pub mod cache;
#[cfg(not(feature = "cache"))]
#[path = "no_cache.rs"]
mod cache;
mod erasure;
mod export;
mod layered;
mod registry;
mod sticky;
#[cfg(feature = "write-behind")]
pub mod write_behind;

pub use async_sticky::AsyncSticky;
pub use erasure::Erasure;
pub use registry::Registry;
pub use sticky::Sticky;

pub use stickystore_core as core;
pub use stickystore_core::{
    Entry, Error, ErrorKind, Finding, Namespace, Profile, Result, Severity, StoreInfo, Value,
};
pub use stickystore_services as services;
pub use stickystore_services::Settings;
pub use stickystore_services::assign::{Assigned, How, IntoValue};

/// The store on a Cassandra or ScyllaDB cluster.
#[cfg(feature = "cassandra")]
pub use stickystore_cassandra as cassandra;
/// The store in one file.
#[cfg(feature = "embedded")]
pub use stickystore_embedded as embedded;
/// The layers around stores.
#[cfg(any(
    feature = "cache",
    feature = "coalesce",
    feature = "metrics",
    feature = "resilience",
    feature = "tracing",
    feature = "write-behind"
))]
pub use stickystore_layers as layers;
/// The store on Memcached servers.
#[cfg(feature = "memcached")]
pub use stickystore_memcached as memcached;
/// The store on a MongoDB replica set.
#[cfg(feature = "mongodb")]
pub use stickystore_mongodb as mongodb;
/// The store on a Redis server.
#[cfg(feature = "redis")]
pub use stickystore_redis as redis;

/// Opens the store that this URL names, with its blocking API; see the [crate's documentation](crate) for URLs.
///
/// # Errors
/// [`ErrorKind::Config`] for what the URL says wrong, and those of opening the store. No network store connects before it
/// is used: a server that is down is the first call's error.
pub fn open(url: &str) -> Result<Sticky> {
    Registry::new().open(url)
}

/// Opens the store that this URL names, with its async API; see [`open`].
///
/// # Errors
/// As there.
pub async fn open_async(url: &str) -> Result<AsyncSticky> {
    Registry::new().open_async(url).await
}
