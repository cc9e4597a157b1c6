//! The index by which the server sweeps: what it is, and making it.

use std::sync::Arc;
use std::time::Duration;

use mongodb::IndexModel;
use mongodb::bson::doc;
use mongodb::error::ErrorKind as Theirs;
use mongodb::options::IndexOptions;
use stickystore_core::{Call, Error, ErrorKind, Result};

use crate::config::Config;
use crate::connection::Live;
use crate::store::MongodbStore;

/// The index's name.
pub(crate) const INDEX: &str = "stickystore_sweep";

/// What the server answers where an index of the same members, or the same name, is different.
const CONFLICTS: [i32; 2] = [85, 86];

/// Makes the index, and with it the collection, if they are not there.
pub(crate) async fn apply(store: &MongodbStore, call: Call) -> Result<()> {
    store.admit(call)?;
    let make = |live: Arc<Live>| async move {
        let options =
            IndexOptions::builder().name(INDEX.to_owned()).expire_after(Some(Duration::ZERO)).build();
        let index = IndexModel::builder().keys(doc! { "sweep": 1 }).options(options).build();
        match live.collection().create_index(index).await {
            Ok(_) => Ok(true),
            Err(error) => match error.kind.as_ref() {
                Theirs::Command(refusal) if CONFLICTS.contains(&refusal.code) => Ok(false),
                _ => Err(error),
            },
        }
    };
    if store.connection().run(call.deadline, make).await? {
        return Ok(());
    }
    let context = format!("there is another index named {INDEX}, or of the member sweep: drop it first");
    Err(Error::new(ErrorKind::Config, context))
}

/// The same as a line for `mongosh`.
pub(crate) fn line(config: &Config) -> String {
    // JSON's strings are JavaScript's.
    let quoted = stickystore_core::json::quoted;
    let (database, collection) = (quoted(&config.database), quoted(&config.collection));
    format!(
        "db.getSiblingDB({database}).getCollection({collection}).createIndex({{sweep: 1}}, {{name: \"{INDEX}\", \
         expireAfterSeconds: 0}})"
    )
}
