//! What the tests of this folder have at hand: a store on a server, and short words.

use std::time::Duration;

use mongodb::bson::Document;
use mongodb::{Client, Collection};
use stickystore_core::{Call, Entry, Expiry, Key, Namespace, Revision, Subject, SystemClock, UserId, Value};
use stickystore_integration_tests::server::Missing;
use stickystore_integration_tests::server::mongodb::MongoDb;
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

pub(crate) fn within(millis: u64) -> Call {
    Call::within(&SystemClock, Duration::from_millis(millis))
}

/// A call that has all the time that a healthy server can need, also on a busy machine.
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

/// The store's collection, behind its back.
pub(crate) async fn behind(url: &str) -> Collection<Document> {
    let client = Client::with_uri_str(url).await.unwrap();
    client.database(DATABASE).collection(COLLECTION)
}
