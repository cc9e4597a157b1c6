//! What the tests of this folder have at hand: a cluster, one at a time, and what is decided there.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use scylla::client::session_builder::SessionBuilder;
use scylla::policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy};
use scylla::response::query_result::QueryRowsResult;
use scylla::statement::{Consistency, Statement};
use stickystore_cassandra::{CassandraStore, Config, Replication};
use stickystore_core::Subject;
use stickystore_integration_tests::server::Missing;
use stickystore_integration_tests::server::cassandra::{Cassandra, Setup};
pub(crate) use stickystore_integration_tests::words::{entry, key, user, within};

/// Three nodes, and the turn to have some: machines have no room for more.
pub(crate) struct Three {
    pub(crate) nodes: Cassandra,
    _turn: MutexGuard<'static, ()>,
}

impl Three {
    /// Three nodes that know each other, with a table that is kept three times.
    pub(crate) async fn start() -> Option<Self> {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let nodes = match Cassandra::cluster(3, &Setup::default()) {
            Ok(nodes) => nodes,
            Err(Missing(why)) => {
                println!("skipped: {why}");
                return None;
            }
        };
        let three = Self { nodes, _turn: turn };
        three.until_all_know_all().await;
        let thrice: Replication = "3".parse().unwrap();
        let config = Config::from_url(&three.url()).unwrap();
        CassandraStore::apply_schema(&config, &thrice, within(60_000)).await.unwrap();
        three.until_all_know_the_table().await;
        Some(three)
    }

    pub(crate) fn url(&self) -> String {
        self.nodes.url("stickystore")
    }

    /// A store, as a process of its own would have it.
    pub(crate) fn store(&self) -> CassandraStore {
        CassandraStore::new(&Config::from_url(&self.url()).unwrap()).unwrap()
    }

    /// Waits until every node takes the other two for members.
    pub(crate) async fn until_all_know_all(&self) {
        let until = Instant::now() + Duration::from_secs(120);
        for node in 1..=3 {
            while self.members(node).await != Some(3) {
                assert!(Instant::now() < until, "the nodes find each other");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }

    /// How many members this node knows, itself included.
    async fn members(&self, node: u8) -> Option<usize> {
        let gossip = self.ask(node, "SELECT status_with_port FROM system_views.gossip_info").await?;
        let normal = gossip.rows::<(Option<String>,)>().ok()?;
        let normal = normal.filter_map(Result::ok).filter_map(|(status,)| status);
        let normal = normal.filter(|status| status.starts_with("NORMAL")).count();
        let peers = self.ask(node, "SELECT peer FROM system.peers_v2").await?.rows_num();
        (normal == peers + 1).then_some(normal)
    }

    /// Waits until every node knows the table: the driver waits for those only to whom it is connected.
    async fn until_all_know_the_table(&self) {
        let until = Instant::now() + Duration::from_secs(120);
        let text = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = 'stickystore'";
        for node in 1..=3 {
            while self.ask(node, text).await.is_none_or(|tables| tables.rows_num() == 0) {
                assert!(Instant::now() < until, "the nodes agree about the schema");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }

    /// What this very node answers, if it does.
    async fn ask(&self, node: u8, text: &str) -> Option<QueryRowsResult> {
        let address = SocketAddr::from(([127, 0, 0, node], self.nodes.port()));
        let session = SessionBuilder::new().known_node_addr(address).build().await.ok()?;
        let mut statement = Statement::new(text);
        let itself = SingleTargetLoadBalancingPolicy::new(NodeIdentifier::NodeAddress(address), None);
        statement.set_load_balancing_policy(Some(itself));
        session.query_unpaged(statement, ()).await.ok()?.into_rows_result().ok()
    }

    /// What is decided of a user, by key: the revisions that stand there.
    pub(crate) async fn decided(&self, subject: &Subject) -> Vec<(String, String)> {
        let address = format!("127.0.0.1:{}", self.nodes.port());
        let session = SessionBuilder::new().known_node(address).build().await.unwrap();
        let text = "SELECT key, revision FROM stickystore.assignments WHERE namespace = ? AND user = ?";
        let mut statement = Statement::new(text);
        statement.set_consistency(Consistency::Serial);
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let names = (subject.namespace.as_str(), subject.user.as_str());
            if let Ok(answer) = session.query_unpaged(statement.clone(), names).await {
                let rows = answer.into_rows_result().unwrap();
                return rows.rows().unwrap().map(Result::unwrap).collect();
            }
            assert!(Instant::now() < until, "a serial reading is answered in the end");
        }
    }
}
