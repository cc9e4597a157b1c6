//! `schema`: what a store needs in its database, printed or made: Cassandra's keyspace and table, MongoDB's index.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stickystore::Registry;
use stickystore_core::{AsyncStore, Call, Result, SystemClock};

use crate::answer::{Answer, say};
use crate::opening::StoreOptions;

/// How long a database may take to make it, over all that it keeps, and to agree about it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The stores that have one.
const SCHEMES: &[&str] = &[
    #[cfg(feature = "cassandra")]
    "cassandra",
    #[cfg(feature = "cassandra")]
    "scylla",
    #[cfg(feature = "mongodb")]
    "mongodb",
    #[cfg(feature = "mongodb")]
    "mongodb+srv",
];

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    store: StoreOptions,
    /// Of Cassandra, how many copies there shall be: a number for every datacenter, or each with its own, as eu=3,us=3
    #[cfg(feature = "cassandra")]
    #[arg(long, value_name = "COPIES")]
    replication: Option<String>,
    /// Make it, if it is not there
    #[arg(long)]
    apply: bool,
}

pub(crate) fn run(options: &Options) -> std::result::Result<Answer, Box<dyn Error>> {
    let url = options.store.url();
    let statements = match url.split_once("://").map_or("", |(scheme, _)| scheme) {
        #[cfg(feature = "cassandra")]
        "cassandra" | "scylla" => cassandra(options, &url)?,
        #[cfg(feature = "mongodb")]
        "mongodb" | "mongodb+srv" => mongodb(options, &url)?,
        _ => {
            let schemes: Vec<_> = SCHEMES.iter().map(|scheme| format!("{scheme}://")).collect();
            let schemes = schemes.join(", ");
            return Err(format!("only the stores of {schemes} have a schema; name one with --store").into());
        }
    };
    for statement in statements {
        say(&format!("{statement};\n"))?;
    }
    Ok(Answer::Yes)
}

#[cfg(feature = "cassandra")]
fn cassandra(options: &Options, url: &str) -> std::result::Result<Vec<String>, Box<dyn Error>> {
    use stickystore::cassandra::{CassandraStore, Config, Replication};

    let copies = options.replication.as_deref();
    let copies =
        copies.ok_or("how many copies shall there be? say it with --replication, as --replication 3")?;
    let (replication, apply): (Replication, _) = (copies.parse()?, options.apply);
    let statements = made(url, move |url| {
        let replication = replication.clone();
        async move {
            let config = Config::from_url(&url)?;
            if apply {
                let call = Call::within(&SystemClock, PATIENCE);
                CassandraStore::apply_schema(&config, &replication, call).await?;
            }
            let statements = CassandraStore::schema(&config, &replication);
            Ok((statements.into(), CassandraStore::new(&config)?))
        }
    });
    Ok(statements?)
}

#[cfg(feature = "mongodb")]
fn mongodb(options: &Options, url: &str) -> std::result::Result<Vec<String>, Box<dyn Error>> {
    use stickystore::mongodb::{Config, MongodbStore};

    #[cfg(feature = "cassandra")]
    if options.replication.is_some() {
        let wrong = "--replication is for Cassandra: every member of a replica set has a copy; leave it out";
        return Err(wrong.into());
    }
    let apply = options.apply;
    let statements = made(url, move |url| async move {
        let config = Config::from_url(&url)?;
        if apply {
            MongodbStore::apply_schema(&config, Call::within(&SystemClock, PATIENCE)).await?;
        }
        Ok((vec![MongodbStore::schema(&config)], MongodbStore::new(&config)?))
    });
    Ok(statements?)
}

/// What was made for the store of this URL, by the registry: it knows which of the URL's options are the store's.
fn made<F, Fut, S>(url: &str, make: F) -> Result<Vec<String>>
where
    F: Fn(String) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(Vec<String>, S)>> + Send + 'static,
    S: AsyncStore,
{
    let statements = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&statements);
    let open = move |url: String| {
        let (making, kept) = (make(url), Arc::clone(&kept));
        async move {
            let (statements, store) = making.await?;
            kept.lock().unwrap_or_else(PoisonError::into_inner).extend(statements);
            Ok(store)
        }
    };
    let registry = SCHEMES.iter().fold(Registry::new(), |all, scheme| all.with(*scheme, open.clone()));
    registry.open(url)?;
    let statements = statements.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
    Ok(statements)
}
