//! The suite, through both APIs.

use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::{Bson, doc};
use stickystore_conformance::{Api, Harness, Opened, Plant, conformance_tests};
use stickystore_core::{Blocking, Key, Result, Subject, async_trait};
use stickystore_integration_tests::server::Missing;
use stickystore_integration_tests::server::mongodb::Shared;
use stickystore_layers::coalesce::{Bounds, Coalesced};
use stickystore_mongodb::{Config, MongodbStore};

use crate::bench::{behind, call};

/// Small, because the cases about sweeping wait for it; and three of it are more than the second after which the server
/// looks again for what to sweep.
const GRACE: Duration = Duration::from_millis(500);

/// More than ten thousand users take on a busy machine: the layer is what is tried here.
const UNHURRIED: Duration = Duration::from_secs(60);

struct Behind(Arc<Shared>);

#[async_trait]
impl Plant for Behind {
    async fn damaged_entry(&self, subject: &Subject, key: &Key) {
        let written = doc! { "$setField": {
            "field": { "$literal": key.as_str().replace('%', "%25").replace('\0', "%00") },
            "input": { "$ifNull": ["$entries", {}] },
            "value": "written by another program",
        } };
        // With all that a document of ours has, where there was none.
        let stage = doc! { "$set": { "v": { "$ifNull": ["$v", 1] }, "entries": written } };
        let id = doc! { "_id": MongodbStore::document_id(subject) };
        behind(self.0.url()).await.update_one(id, vec![stage]).upsert(true).await.unwrap();
    }

    async fn foreign_user(&self, subject: &Subject) {
        let id = Bson::from(MongodbStore::document_id(subject));
        let foreign = doc! { "_id": &id, "written": "by another program" };
        behind(self.0.url()).await.replace_one(doc! { "_id": id }, foreign).upsert(true).await.unwrap();
    }
}

pub(crate) fn shared() -> Result<Arc<Shared>, Missing> {
    Shared::get(|url| {
        let config = Config::from_url(url).unwrap();
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let apply = move || runtime().block_on(MongodbStore::apply_schema(&config, call()));
        std::thread::spawn(apply).join().unwrap().unwrap();
    })
}

fn open(server: &Shared) -> Result<MongodbStore> {
    MongodbStore::new(&Config::from_url(server.url())?.with_grace(GRACE))
}

fn asynchronous() -> Harness {
    let server = match shared() {
        Ok(server) => server,
        Err(Missing(why)) => return Harness::missing("mongodb", Api::Async, why),
    };
    let open = move || {
        let server = Arc::clone(&server);
        async move { Ok(Opened::asynchronous(open(&server)?).with_plant(Behind(server))) }
    };
    Harness::asynchronous("mongodb", open).with_grace(GRACE).with_deadline(UNHURRIED)
}

fn blocking() -> Harness {
    let server = match shared() {
        Ok(server) => server,
        Err(Missing(why)) => return Harness::missing("mongodb", Api::Blocking, why),
    };
    let open = move || {
        let opened = Arc::clone(&server);
        let store = Blocking::open(move || async move { open(&opened) })?;
        Ok(Opened::blocking(store).with_plant(Behind(Arc::clone(&server))))
    };
    Harness::blocking("mongodb", open).with_grace(GRACE).with_deadline(UNHURRIED)
}

/// One in flight, so that whatever is asked at the same time has to go together.
fn coalesced() -> Harness {
    let server = match shared() {
        Ok(server) => server,
        Err(Missing(why)) => return Harness::missing("mongodb, coalesced", Api::Async, why),
    };
    let open = move || {
        let server = Arc::clone(&server);
        async move {
            let store = Coalesced::with(open(&server)?, Bounds::default().with_in_flight(1));
            Ok(Opened::asynchronous(store).with_plant(Behind(server)))
        }
    };
    Harness::asynchronous("mongodb, coalesced", open).with_grace(GRACE).with_deadline(UNHURRIED)
}

conformance_tests!(mongodb_async, asynchronous);
conformance_tests!(mongodb_coalesced, coalesced);
conformance_tests!(mongodb_blocking, blocking);
