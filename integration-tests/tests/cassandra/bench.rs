//! What the tests of this folder have at hand: a store on a node, and short words.

use std::sync::Arc;

use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use stickystore_cassandra::{CassandraStore, Config};
use stickystore_integration_tests::server::Missing;
use stickystore_integration_tests::server::cassandra::{Cassandra, Setup, Shared, make_table};
pub(crate) use stickystore_integration_tests::words::{call, entry, insert, key, user, within};

/// The node that tests share, with its table.
pub(crate) fn shared() -> Result<Arc<Shared>, Missing> {
    Shared::get()
}

/// The same; it says so and gives nothing where there is none.
pub(crate) fn shared_node() -> Option<Arc<Shared>> {
    said(shared())
}

/// A node of the test's own, with its table.
pub(crate) fn node() -> Option<Cassandra> {
    let node = said(Cassandra::start(&Setup::default()))?;
    make_table(&url(&node), "1");
    Some(node)
}

/// What there is, or nothing, which is said.
pub(crate) fn said<T>(there: Result<T, Missing>) -> Option<T> {
    there.inspect_err(|Missing(why)| println!("skipped: {why}")).ok()
}

pub(crate) fn url(node: &Cassandra) -> String {
    node.url("stickystore")
}

pub(crate) fn store(url: &str) -> CassandraStore {
    CassandraStore::new(&Config::from_url(url).unwrap()).unwrap()
}

pub(crate) fn through(port: u16) -> CassandraStore {
    store(&format!("cassandra://127.0.0.1:{port}/stickystore"))
}

/// A session behind the store's back, to the first host of this URL.
pub(crate) async fn behind(url: &str) -> Session {
    let rest = url.split_once("://").unwrap().1;
    let hosts = rest.split(['/', '?']).next().unwrap();
    let (login, hosts) = hosts.rsplit_once('@').unwrap_or(("", hosts));
    let mut builder = SessionBuilder::new().known_node(hosts.split(',').next().unwrap());
    if let Some((user, password)) = login.split_once(':') {
        builder = builder.user(user, password);
    }
    let session = builder.build().await.unwrap();
    session.use_keyspace("stickystore", false).await.unwrap();
    session
}
