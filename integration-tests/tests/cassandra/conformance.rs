//! The suite, through both APIs.

use std::sync::Arc;
use std::time::Duration;

use stickystore_cassandra::{CassandraStore, Config};
use stickystore_conformance::{Api, Harness, Opened, Plant, conformance_tests};
use stickystore_core::{Blocking, Key, Result, Subject, async_trait};
use stickystore_integration_tests::server::Missing;
use stickystore_integration_tests::server::cassandra::Shared;

use crate::bench::{behind, shared};

/// Small, because the cases about sweeping wait for it; nodes count in seconds.
const GRACE: Duration = Duration::from_secs(1);

/// A write that met another one on its way takes its turn after it, and both sync their commit logs.
const DEADLINE: Duration = Duration::from_secs(20);

struct Behind(Arc<Shared>);

#[async_trait]
impl Plant for Behind {
    async fn damaged_entry(&self, subject: &Subject, key: &Key) {
        let text = "UPDATE assignments SET value = 'by another program' WHERE namespace = ? AND user = ? AND key = ? IF value != ''";
        let names = (subject.namespace.as_str(), subject.user.as_str(), key.as_str());
        behind(self.0.url()).await.query_unpaged(text, names).await.unwrap();
    }

    async fn foreign_user(&self, subject: &Subject) {
        let text = "UPDATE assignments SET epoch = 'by another program' WHERE namespace = ? AND user = ? IF epoch != ''";
        let names = (subject.namespace.as_str(), subject.user.as_str());
        behind(self.0.url()).await.query_unpaged(text, names).await.unwrap();
    }
}

fn open(server: &Shared) -> Result<CassandraStore> {
    CassandraStore::new(&Config::from_url(server.url())?.with_grace(GRACE))
}

fn asynchronous() -> Harness {
    let server = match shared() {
        Ok(server) => server,
        Err(Missing(why)) => return Harness::missing("cassandra", Api::Async, why),
    };
    let open = move || {
        let server = Arc::clone(&server);
        async move { Ok(Opened::asynchronous(open(&server)?).with_plant(Behind(server))) }
    };
    Harness::asynchronous("cassandra", open).with_grace(GRACE).with_deadline(DEADLINE)
}

fn blocking() -> Harness {
    let server = match shared() {
        Ok(server) => server,
        Err(Missing(why)) => return Harness::missing("cassandra", Api::Blocking, why),
    };
    let open = move || {
        let opened = Arc::clone(&server);
        let store = Blocking::open(move || async move { open(&opened) })?;
        Ok(Opened::blocking(store).with_plant(Behind(Arc::clone(&server))))
    };
    Harness::blocking("cassandra", open).with_grace(GRACE).with_deadline(DEADLINE)
}

conformance_tests!(cassandra_async, asynchronous);
conformance_tests!(cassandra_blocking, blocking);
