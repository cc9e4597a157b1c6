//! What the store costs beside the bare driver's same statements, in the same run: `STICKYSTORE_CASSANDRA_URL=.. cargo run
//! --release -p stickystore-cassandra --example cassandra_figures`.
//!
//! One caller, then sixteen. Each figure is the median time of a call in microseconds, ours and the driver's, and how ours
//! compares.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "an example that stops says why")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::{Consistency, SerialConsistency};
use stickystore_cassandra::{CassandraStore, Config};
use stickystore_core::{
    AsyncStoreExt as _, Call, Change, Entry, EpochCheck, Expiry, Key, Namespace, Revision, Subject,
    SystemClock, UserId, Value, Write,
};

const CALLS: usize = 400;
const VALUE: &str = "\"a variation of some experiment\"";

struct Bare {
    session: Session,
    load: PreparedStatement,
    insert: PreparedStatement,
    put: PreparedStatement,
}

#[tokio::main]
async fn main() {
    let url =
        std::env::var("STICKYSTORE_CASSANDRA_URL").unwrap_or_else(|_| "cassandra://127.0.0.1".to_owned());
    let config = Config::from_url(&url).unwrap();
    let once = "1".parse().unwrap();
    CassandraStore::apply_schema(&config, &once, within()).await.unwrap();
    let store = CassandraStore::connect(&config, within()).await.unwrap();
    let bare = Arc::new(bare(&url).await);
    for callers in [1, 16] {
        println!("{callers} callers: microseconds, ours / bare = ratio");
        let new: Vec<_> = (0..CALLS).map(|_| subject()).collect();
        // Both load the same users.
        let laden: Vec<_> = (0..CALLS).map(|_| subject()).collect();
        for subject in &laden {
            our("save of 5", store.clone(), subject.clone()).await;
        }
        for what in ["insert", "load of 5", "put", "save of 5"] {
            let subjects = if what == "load of 5" { &laden } else { &new };
            // In turn, so that what the machine does besides meets both.
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for part in 0..4 {
                ours.extend(time(callers, part, |i| our(what, store.clone(), subjects[i].clone())).await);
                theirs.extend(
                    time(callers, part, |i| their(what, Arc::clone(&bare), subjects[i].clone())).await,
                );
            }
            let (ours, theirs) = (median(ours), median(theirs));
            println!(
                "{what:>12} {:>8} / {:>8} = {:.2}",
                ours.as_micros(),
                theirs.as_micros(),
                ratio(ours, theirs)
            );
        }
    }
}

/// How long each of a quarter of the calls takes.
async fn time<F: Future<Output = ()> + Send + 'static>(
    callers: usize,
    part: usize,
    call: impl Fn(usize) -> F,
) -> Vec<Duration> {
    let mut times = Vec::new();
    let all: Vec<_> = (part * CALLS / 4..(part + 1) * CALLS / 4).collect();
    for group in all.chunks(callers) {
        let calls = group.iter().map(|i| {
            let call = call(*i);
            tokio::spawn(async move {
                let began = Instant::now();
                call.await;
                began.elapsed()
            })
        });
        for call in calls.collect::<Vec<_>>() {
            times.push(call.await.unwrap());
        }
    }
    times
}

async fn our(what: &'static str, store: CassandraStore, subject: Subject) {
    let entry = || Entry::new(Value::new(VALUE).unwrap(), Expiry::Never);
    match what {
        "insert" => {
            drop(store.insert(within(), &subject, EpochCheck::Is(None), key("a"), entry()).await.unwrap());
        }
        "put" => drop(store.put(within(), &subject, key("a"), entry()).await.unwrap()),
        "load of 5" => assert_eq!(store.load(within(), &subject).await.unwrap().len(), 5),
        _ => {
            let changes = (0..5).map(|i| Change::Insert(key(&format!("ours {i}")), entry())).collect();
            let write = Write::new(subject, EpochCheck::Is(None), changes).unwrap();
            store.write_one(within(), write).await.into_iter().for_each(|answer| drop(answer.unwrap()));
        }
    }
}

async fn their(what: &'static str, bare: Arc<Bare>, subject: Subject) {
    let (namespace, user) = (subject.namespace.as_str(), subject.user.as_str());
    let insert = |key: String| (VALUE, Revision::random().to_string(), i64::MAX, "", namespace, user, key);
    match what {
        "insert" => {
            let answer = bare.session.execute_unpaged(&bare.insert, insert("bare".to_owned())).await.unwrap();
            drop(answer.into_rows_result().unwrap());
        }
        "put" => {
            let revision = Revision::random().to_string();
            let put = (VALUE, revision.as_str(), i64::MAX, "", namespace, user, "bare", revision.as_str());
            drop(bare.session.execute_unpaged(&bare.put, put).await.unwrap().into_rows_result().unwrap());
        }
        "load of 5" => {
            let answer = bare.session.execute_unpaged(&bare.load, (namespace, user)).await.unwrap();
            let answer = answer.into_rows_result().unwrap();
            let rows = answer.rows::<(&str, Option<&str>, Option<&str>, Option<i64>)>().unwrap();
            assert_eq!(rows.map(Result::unwrap).filter(|(key, ..)| !key.is_empty()).count(), 5);
        }
        _ => {
            let mut batch = Batch::new(BatchType::Unlogged);
            let values: Vec<_> = (0..5).map(|i| insert(format!("bare {i}"))).collect();
            values.iter().for_each(|_| batch.append_statement(bare.insert.clone()));
            drop(bare.session.batch(&batch, values).await.unwrap().into_rows_result().unwrap());
        }
    }
}

async fn bare(url: &str) -> Bare {
    let hosts = url.split_once("://").unwrap().1.split(['/', '?']).next().unwrap();
    let profile = ExecutionProfile::builder()
        .consistency(Consistency::Quorum)
        .serial_consistency(Some(SerialConsistency::Serial))
        .build();
    let session = SessionBuilder::new()
        .known_nodes(hosts.split(','))
        .default_execution_profile_handle(profile.into_handle())
        .build()
        .await
        .unwrap();
    let table = "stickystore.assignments";
    let set =
        "SET value = ?, revision = ?, expiry = ?, extra = ? WHERE namespace = ? AND user = ? AND key = ?";
    let prepare = async |text: String| session.prepare(text).await.unwrap();
    let load =
        prepare(format!("SELECT key, value, revision, expiry FROM {table} WHERE namespace = ? AND user = ?"))
            .await;
    let insert = prepare(format!("UPDATE {table} {set} IF revision = null AND epoch = null")).await;
    let put = prepare(format!("UPDATE {table} {set} IF revision != ? AND epoch = null")).await;
    Bare { session, load, insert, put }
}

fn subject() -> Subject {
    let namespace = Namespace::new("figures").unwrap();
    Subject::new(namespace, UserId::new(Revision::random().to_string()).unwrap())
}

fn key(key: &str) -> Key {
    Key::new(key).unwrap()
}

fn within() -> Call {
    Call::within(&SystemClock, Duration::from_secs(20))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn ratio(ours: Duration, theirs: Duration) -> f64 {
    ours.as_secs_f64() / theirs.as_secs_f64()
}
