//! What the tests of this folder have at hand: a store on a server, and short words.

use mongodb::bson::Document;
use mongodb::{Client, Collection};
use stickystore_integration_tests::server::Missing;
use stickystore_integration_tests::server::mongodb::MongoDb;
pub(crate) use stickystore_integration_tests::words::{call, entry, insert, key, user, within};
use stickystore_mongodb::{Config, MongodbStore};

/// Where the store keeps its users, unless told otherwise.
pub(crate) const DATABASE: &str = "stickystore";
pub(crate) const COLLECTION: &str = "assignments";

/// A server of the test's own; it says so and gives nothing where there is none.
pub(crate) fn server(options: &[&str]) -> Option<MongoDb> {
    or_skip(MongoDb::start(options))
}

/// The same for other ways to start one.
pub(crate) fn or_skip(started: Result<MongoDb, Missing>) -> Option<MongoDb> {
    match started {
        Ok(server) => Some(server),
        Err(Missing(why)) => {
            println!("skipped: {why}");
            None
        }
    }
}

pub(crate) fn store(url: &str) -> MongodbStore {
    MongodbStore::new(&Config::from_url(url).unwrap()).unwrap()
}

/// The store's collection, behind its back.
pub(crate) async fn behind(url: &str) -> Collection<Document> {
    let client = Client::with_uri_str(url).await.unwrap();
    client.database(DATABASE).collection(COLLECTION)
}
