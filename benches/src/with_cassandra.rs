//! Cassandra: beside the bare driver with prepared statements, on a table like the store's, at the same consistency.
//!
//! A load and a get stand beside plain selects, which judge neither expiry nor marks; the batch of loads is one select of as
//! many users as there are callers. What writes stands beside the conditional statements that the same promise needs, written
//! by hand; a save beside five of them one after the other, since five at once of one user cost each other many times that, and
//! its batch is the driver's own, of all five. An erase reads the user's mark first, as the store does.

use std::ops::Range;
use std::sync::Arc;

use futures::future::join_all;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::response::query_result::QueryResult;
use scylla::serialize::row::SerializeRow;
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::{Consistency, SerialConsistency};
use scylla::value::Row;
use stickystore_cassandra::{CassandraStore, Config};
use stickystore_core::{Call, Erase, Expiry, Subject, UnixMillis};
use tokio::runtime::Handle;

use crate::backend::{self, Rivals};
use crate::crowd::Crowd;
use crate::measure::{Contender, Effort};
use crate::operation::{ENTRIES, Operation};
use crate::options::Options;
use crate::report::Report;
use crate::words::{LIFE, VALUE, entry, key, subject, within};

/// How many times as long an operation takes as one of Redis, about.
const SLOWER: usize = 16;

/// How long a node keeps an entry, and a mark, in seconds.
const TTL: i32 = LIFE.as_secs() as i32 + 61;
const MARK_TTL: i32 = 15 * 60 + 61;

pub(crate) async fn report(options: &Options) -> Report {
    let config = Config::from_url(&options.url).expect("a URL of Cassandra");
    let open = || CassandraStore::new(&config).expect("a store");
    let options = Options { effort: Effort::divided(options.effort, SLOWER), ..options.clone() };
    backend::report(&options, "cassandra", open, &[], async || Bare::open(&options.url).await).await
}

/// The bare driver with its statements.
#[derive(Clone)]
struct Bare(Arc<Statements>);

struct Statements {
    session: Session,
    load: PreparedStatement,
    load_many: PreparedStatement,
    get: PreparedStatement,
    insert: PreparedStatement,
    put: PreparedStatement,
    mark: PreparedStatement,
    leave_mark: PreparedStatement,
    delete: PreparedStatement,
}

/// What is bound to a write, before what its condition names.
type Written = (i32, &'static str, String, i64, &'static str, String, String, String);

impl Rivals for Bare {
    async fn fill(&self, crowd: &Crowd) {
        for part in crowd.parts() {
            join_all(part.iter().map(|user| self.fill_one(user, crowd.filled))).await;
        }
    }

    async fn beside(&self, operation: Operation, callers: usize, crowd: &Crowd) -> Vec<Contender> {
        let mut beside = vec![self.one(operation, callers, crowd)];
        match operation {
            Operation::Load(_) => beside.push(self.batch(callers, crowd)),
            Operation::Save => beside.push(self.save_at_once(callers)),
            Operation::ReadMany => beside.push(self.many(callers, crowd)),
            _ => {}
        }
        beside
    }

    /// There is no blocking driver: threads that wait for the async one.
    fn blocking(&self, operation: Operation, threads: usize, crowd: &Crowd) -> Contender {
        let (bare, crowd, runtime) = (self.clone(), crowd.clone(), Handle::current());
        Contender::blocking("driver", threads, move |i, _| runtime.block_on(bare.run(operation, &crowd, i)))
    }
}

impl Bare {
    /// On the table `bare`, which whoever starts the node has made like the store's.
    async fn open(url: &str) -> Self {
        let rest = url.split_once("://").map_or("", |(_, rest)| rest);
        let profile = ExecutionProfile::builder()
            .consistency(Consistency::Quorum)
            .serial_consistency(Some(SerialConsistency::Serial))
            .build();
        let hosts = rest.split('/').next().unwrap_or_default().split(',');
        let session =
            SessionBuilder::new().known_nodes(hosts).default_execution_profile_handle(profile.into_handle());
        let session = session.build().await.expect("a session");
        session.use_keyspace("stickystore", false).await.expect("the keyspace");
        let prepare = async |text: &str| session.prepare(text).await.expect("a statement");
        const SET: &str = "UPDATE bare USING TTL ? SET value = ?, revision = ?, expiry = ?, extra = ? \
             WHERE namespace = ? AND user = ? AND key = ?";
        const USER: &str = "WHERE namespace = ? AND user = ?";
        Self(Arc::new(Statements {
            load: prepare(&format!("SELECT key, value, revision, expiry FROM bare {USER}")).await,
            load_many: prepare(
                "SELECT user, key, value, revision, expiry FROM bare WHERE namespace = ? AND user IN ?",
            )
            .await,
            get: prepare(&format!("SELECT value, revision, expiry FROM bare {USER} AND key = ?")).await,
            insert: prepare(&format!(
                "{SET} IF revision = null AND expiry = null AND value = null AND epoch = null"
            ))
            .await,
            put: prepare(&format!("{SET} IF revision != ?")).await,
            mark: prepare(&format!("SELECT key, revision, expiry, epoch, epoch_until FROM bare {USER}"))
                .await,
            leave_mark: prepare(&format!(
                "UPDATE bare USING TTL ? SET epoch = ?, epoch_until = ? {USER} IF epoch = ?"
            ))
            .await,
            delete: prepare(&format!("DELETE FROM bare {USER}")).await,
            session,
        }))
    }

    /// Puts all entries of a user in one batch.
    async fn fill_one(&self, user: &Subject, entries: usize) {
        let mut batch = Batch::new(BatchType::Unlogged);
        (0..entries).for_each(|_| batch.append_statement(self.0.put.clone()));
        let values: Vec<_> = (0..entries).map(|place| put(written(user, place, within()))).collect();
        assert!(is_applied(self.0.session.batch(&batch, values).await.expect("a batch")));
    }

    fn one(&self, operation: Operation, callers: usize, crowd: &Crowd) -> Contender {
        let (bare, crowd) = (self.clone(), crowd.clone());
        Contender::new("driver", callers, move |i| {
            let (bare, crowd) = (bare.clone(), crowd.clone());
            async move { bare.run(operation, &crowd, i).await }
        })
    }

    async fn run(&self, operation: Operation, crowd: &Crowd, i: usize) {
        let (user, place) = (crowd.nth(i), i % crowd.filled);
        match operation {
            Operation::Load(entries) => self.load(user, entries).await,
            Operation::ReadMany => {
                join_all(crowd.many(i).map(|user| self.load(user, ENTRIES))).await;
            }
            Operation::Get => {
                let key = key(place);
                let found =
                    self.execute(&self.0.get, (user.namespace.as_str(), user.user.as_str(), key.as_str()));
                let found = found.await.into_rows_result().expect("rows");
                let (value, ..) = found.first_row::<(&str, &str, i64)>().expect("a row");
                assert_eq!(value, VALUE);
            }
            Operation::AssignNew => self.insert(&subject(), 0..1, true).await,
            Operation::AssignExisting => self.insert(user, place..place + 1, false).await,
            Operation::Put => {
                let told = self.execute(&self.0.put, put(written(user, place, within()))).await;
                assert!(is_applied(told));
            }
            Operation::Save => self.insert(&subject(), 0..ENTRIES, true).await,
            Operation::Erase => self.erase(user).await,
        }
    }

    async fn execute(&self, statement: &PreparedStatement, values: impl SerializeRow) -> QueryResult {
        self.0.session.execute_unpaged(statement, values).await.expect("an answer")
    }

    async fn load(&self, user: &Subject, entries: usize) {
        let found = self.execute(&self.0.load, (user.namespace.as_str(), user.user.as_str())).await;
        let found = found.into_rows_result().expect("rows");
        let rows = found.rows::<(&str, &str, &str, i64)>().expect("four columns");
        assert_eq!(
            rows.filter(|row| row.as_ref().is_ok_and(|(_, value, ..)| *value == VALUE)).count(),
            entries
        );
    }

    /// One after the other.
    async fn insert(&self, user: &Subject, places: Range<usize>, is_new: bool) {
        for place in places {
            let told = self.execute(&self.0.insert, written(user, place, within())).await;
            assert_eq!(is_applied(told), is_new);
        }
    }

    async fn erase(&self, user: &Subject) {
        let (namespace, id) = (user.namespace.as_str(), user.user.as_str());
        let found = self.execute(&self.0.mark, (namespace, id)).await.into_rows_result().expect("rows");
        let (.., epoch, _) = found
            .first_row::<(Option<&str>, Option<&str>, Option<i64>, Option<&str>, Option<i64>)>()
            .expect("five columns");
        let erase = Erase::new(user.clone(), within().now);
        let mut batch = Batch::new(BatchType::Unlogged);
        batch.append_statement(self.0.leave_mark.clone());
        batch.append_statement(self.0.delete.clone());
        let mark = (MARK_TTL, erase.epoch.to_string(), millis(erase.mark_until), namespace, id, epoch);
        let told = self.0.session.batch(&batch, (mark, (namespace, id))).await;
        assert!(is_applied(told.expect("a batch")));
    }

    fn batch(&self, size: usize, crowd: &Crowd) -> Contender {
        let (bare, crowd) = (self.clone(), crowd.clone());
        Contender::batch(size, move |call| {
            let (bare, crowd) = (bare.clone(), crowd.clone());
            async move {
                let users = (call * size..(call + 1) * size).map(|i| crowd.nth(i));
                bare.select(users, crowd.filled).await;
            }
        })
    }

    /// One select for each caller.
    fn many(&self, callers: usize, crowd: &Crowd) -> Contender {
        let (bare, crowd) = (self.clone(), crowd.clone());
        Contender::new("batch", callers, move |i| {
            let (bare, crowd) = (bare.clone(), crowd.clone());
            async move { bare.select(crowd.many(i), crowd.filled).await }
        })
    }

    async fn select(&self, users: impl Iterator<Item = &Subject>, entries: usize) {
        let users: Vec<_> = users.collect();
        let namespace = users.first().map_or("", |user| user.namespace.as_str());
        let mut ids: Vec<_> = users.iter().map(|user| user.user.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        let found = self.execute(&self.0.load_many, (namespace, &ids)).await;
        let found = found.into_rows_result().expect("rows");
        let rows = found.rows::<(&str, &str, &str, &str, i64)>().expect("five columns");
        assert_eq!(rows.filter(|row| row.is_ok()).count(), ids.len() * entries);
    }

    fn save_at_once(&self, callers: usize) -> Contender {
        let bare = self.clone();
        Contender::new("batch", callers, move |_| {
            let bare = bare.clone();
            async move {
                let (user, call) = (subject(), within());
                let mut batch = Batch::new(BatchType::Unlogged);
                (0..ENTRIES).for_each(|_| batch.append_statement(bare.0.insert.clone()));
                let values: Vec<_> = (0..ENTRIES).map(|place| written(&user, place, call)).collect();
                assert!(is_applied(bare.0.session.batch(&batch, values).await.expect("a batch")));
            }
        })
    }
}

fn written(user: &Subject, place: usize, call: Call) -> Written {
    let entry = entry(call);
    let Expiry::At(end) = entry.expiry else { unreachable!("entries of benches end") };
    let (namespace, id) = (user.namespace.to_string(), user.user.to_string());
    (TTL, VALUE, entry.revision.to_string(), millis(end), "", namespace, id, key(place).to_string())
}

/// The same, with a condition that always holds: so that it is decided with the others.
fn put(written: Written) -> (i32, &'static str, String, i64, &'static str, String, String, String, String) {
    let (ttl, value, revision, expiry, extra, namespace, user, key) = written;
    (ttl, value, revision.clone(), expiry, extra, namespace, user, key, revision)
}

fn is_applied(told: QueryResult) -> bool {
    let told = told.into_rows_result().expect("rows");
    let row = told.first_row::<Row>().expect("a row");
    row.columns.first().and_then(Option::as_ref).and_then(scylla::value::CqlValue::as_boolean) == Some(true)
}

fn millis(at: UnixMillis) -> i64 {
    i64::try_from(at.get()).expect("times are below 2^53")
}
