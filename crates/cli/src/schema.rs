//! `schema`: the keyspace and the table that a Cassandra store needs, printed or made.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stickystore::Registry;
use stickystore::cassandra::{CassandraStore, Config, Replication};
use stickystore_core::{Call, SystemClock};

use crate::answer::{Answer, say};
use crate::opening::StoreOptions;

/// How long a cluster may take to make a table and agree about it.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    store: StoreOptions,
    /// How many copies there shall be: a number for every datacenter, or each with its own, as eu=3,us=3
    #[arg(long, value_name = "COPIES")]
    replication: String,
    /// Make them, if they are not there
    #[arg(long)]
    apply: bool,
}

pub(crate) fn run(options: &Options) -> Result<Answer, Box<dyn Error>> {
    let url = options.store.url();
    if !["cassandra://", "scylla://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(
            "only the stores of cassandra:// and scylla:// have a schema; name one with --store".into()
        );
    }
    let replication: Replication = options.replication.parse()?;
    let (apply, statements) = (options.apply, Arc::new(Mutex::new(Vec::new())));
    let kept = Arc::clone(&statements);
    // The registry knows which of the URL's options are the store's.
    let open = move |url: String| {
        let (replication, kept) = (replication.clone(), Arc::clone(&kept));
        async move {
            let config = Config::from_url(&url)?;
            kept.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(CassandraStore::schema(&config, &replication));
            if apply {
                let call = Call::within(&SystemClock, PATIENCE);
                CassandraStore::apply_schema(&config, &replication, call).await?;
            }
            CassandraStore::new(&config)
        }
    };
    Registry::new().with("cassandra", open.clone()).with("scylla", open).open(&url)?;
    for statement in statements.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        say(&format!("{statement};\n"))?;
    }
    Ok(Answer::Yes)
}
