//! The store: calls in, users in their queues, answers back.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, stream};
use stickystore_core::{
    AsyncScan, AsyncStore, Call, Effect, Erase, Error, ErrorKind, Finding, Limits, Loss, Operation, Outcome,
    Profile, Read, Result, Scope, Sharing, StoreInfo, Subject, Write, async_trait,
};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout_at;

use crate::config::{Config, Serial};
use crate::connection::{Connector, Request, Sessions};
use crate::error::{self, Failure, SCHEME, at};
use crate::schema::{self, Replication};
use crate::{diagnose, erase, read, write};

/// How many users of one call are read or written at the same time.
const IN_FLIGHT: usize = 128;

/// How many queues there are for users: users share them by chance, and many more than are ever written at once rarely do.
const QUEUES: usize = 4096;

/// Keeps entries in Cassandra or ScyllaDB. Clones share the connections.
///
/// It connects when it is first used and again whenever it has to. It makes no tables: [`schema`](Self::schema) says how, and
/// [`apply_schema`](Self::apply_schema) does it. It needs a tokio runtime with I/O and time.
#[derive(Clone)]
pub struct CassandraStore(Arc<Shared>);

struct Shared {
    info: StoreInfo,
    config: Config,
    sessions: Sessions,
    /// Conditional writes of one partition that meet cost each other many times what they cost in turn.
    queues: Box<[Mutex<()>]>,
    hasher: RandomState,
    closed: AtomicBool,
    process: u32,
}

impl CassandraStore {
    /// A store that connects when it is first used.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if certificates are not usable.
    pub fn new(config: &Config) -> Result<Self> {
        let connector = Connector::new(config).map_err(at(Operation::Open))?;
        let (scope, nodes) = match config.serial {
            Serial::Global => (Scope::Cluster, "of the cluster"),
            Serial::Local => (Scope::Datacenter, "of the datacenter"),
        };
        let note = format!(
            "with three copies or more, a majority {nodes}; with fewer, what a node's commit log keeps"
        );
        let info = StoreInfo::new(SCHEME)
            .survives(&[Loss::ProcessExit, Loss::ServerRestart, Loss::NodeLoss], note)
            .winner(scope)
            .sharing(Sharing::Network)
            .limits(config.limits);
        Ok(Self(Arc::new(Shared {
            info,
            config: config.clone(),
            sessions: Sessions::new(connector),
            queues: (0..QUEUES).map(|_| Mutex::new(())).collect(),
            hasher: RandomState::new(),
            closed: AtomicBool::new(false),
            process: std::process::id(),
        })))
    }

    /// A store that has reached its cluster once, and has seen its table there.
    ///
    /// # Errors
    /// As [`new`](Self::new), and those of a `ping`.
    pub async fn connect(config: &Config, call: Call) -> Result<Self> {
        let store = Self::new(config)?;
        let connected = match store.admit(call) {
            Ok(()) => store.0.sessions.connect(call.deadline).await,
            Err(error) => Err(error),
        };
        connected.map_err(at(Operation::Open))?;
        Ok(store)
    }

    /// The statements that make the keyspace and the table, with so many copies of the data.
    ///
    /// ```
    /// use stickystore_cassandra::{CassandraStore, Config};
    ///
    /// let config = Config::from_url("cassandra://10.0.0.1/shop")?;
    /// let [keyspace, table] = CassandraStore::schema(&config, &"eu=3".parse()?);
    /// assert!(keyspace.contains("'eu': 3") && table.contains("\"assignments\""));
    /// # Ok::<(), stickystore_core::Error>(())
    /// ```
    pub fn schema(config: &Config, replication: &Replication) -> [String; 2] {
        schema::statements(config, replication)
    }

    /// Makes the keyspace and the table, if they are not there; the user needs the right to. What is there stays as it is.
    ///
    /// # Errors
    /// Those of connecting and of the cluster; [`ErrorKind::Timeout`] by the deadline, when some of it may be made.
    pub async fn apply_schema(config: &Config, replication: &Replication, call: Call) -> Result<()> {
        let make = async {
            let session = Connector::new(config)?.bare().await?;
            for statement in schema::statements(config, replication) {
                let made = session.query_unpaged(statement, ()).await;
                made.map_err(error::making)?;
            }
            Ok(())
        };
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(at(Operation::Open)(no_runtime()));
        }
        let made = timeout_at(call.deadline.into(), make).await;
        made.unwrap_or_else(|_| Err(stickystore_transport::no_answer())).map_err(at(Operation::Open))
    }

    /// The checks that come before every call.
    pub(crate) fn admit(&self, call: Call) -> Result<()> {
        let fail = |kind, context: &str| Err(Error::new(kind, context).with_effect(Effect::NotApplied));
        if self.0.closed.load(Ordering::Acquire) {
            return fail(ErrorKind::Closed, "this store was closed");
        }
        if self.0.process != std::process::id() {
            // The sockets are the parent's: what is read here would be missing there.
            return fail(
                ErrorKind::Forked,
                "this handle belongs to the parent process; open the store again",
            );
        }
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(no_runtime());
        }
        if call.remaining().is_zero() {
            return fail(ErrorKind::Timeout, "the deadline had passed before the call");
        }
        Ok(())
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    fn grace(&self) -> Duration {
        self.0.config.grace
    }

    fn limits(&self) -> Limits {
        self.0.config.limits
    }

    /// The turn of this user among the writers of this process.
    async fn turn(&self, subject: &Subject, deadline: Instant) -> Result<MutexGuard<'_, ()>> {
        let hash = self.0.hasher.hash_one(subject);
        let place = usize::try_from(hash % (QUEUES as u64)).unwrap_or_default();
        let queue = self.0.queues.get(place).ok_or_else(error::odd_answer)?;
        timeout_at(deadline.into(), queue.lock()).await.map_err(|_| error::contended())
    }

    async fn write_user(&self, call: Call, write: &Write) -> Vec<Result<Outcome>> {
        let turn = match self.turn(write.subject(), call.deadline).await {
            Ok(turn) => turn,
            Err(error) => return vec![Err(error); write.changes().len()],
        };
        let answers = write::write(&self.0.sessions, call, write, self.grace(), self.limits()).await;
        drop(turn);
        answers
    }

    async fn erase_user(&self, call: Call, erase: &Erase) -> Result<bool> {
        let _turn = self.turn(&erase.subject, call.deadline).await?;
        erase::erase(&self.0.sessions, call, erase, self.grace()).await
    }
}

#[async_trait]
impl AsyncStore for CassandraStore {
    fn info(&self) -> &StoreInfo {
        &self.0.info
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        let at = at(Operation::Read);
        if let Err(error) = self.admit(call) {
            return vec![Err(at(error)); reads.len()];
        }
        if let [read] = reads {
            return vec![read::profile(&self.0.sessions, call, read).await.map_err(at)];
        }
        let work = reads.iter().map(|read| read::profile(&self.0.sessions, call, read).boxed());
        let profiles = some_at_once(work.collect()).await;
        profiles.into_iter().map(|profile| profile.map_err(&at)).collect()
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let at = at(Operation::Write);
        if let Err(error) = self.admit(call) {
            let error = at(error);
            return writes.iter().map(|write| vec![Err(error.clone()); write.changes().len()]).collect();
        }
        if let [write] = writes {
            let answers = self.write_user(call, write).await.into_iter();
            return vec![answers.map(|answer| answer.map_err(&at)).collect()];
        }
        let work = by_user(writes, Write::subject).into_iter().map(|user| {
            let work = async move {
                let mut answers = Vec::with_capacity(user.len());
                for (place, write) in user {
                    answers.push((place, self.write_user(call, write).await));
                }
                answers
            };
            work.boxed()
        });
        let answers = in_order(some_at_once(work.collect()).await).into_iter();
        answers.map(|answers| answers.into_iter().map(|answer| answer.map_err(&at)).collect()).collect()
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        let at = at(Operation::Erase);
        if let Err(error) = self.admit(call) {
            return vec![Err(at(error)); erases.len()];
        }
        if let [erase] = erases {
            return vec![self.erase_user(call, erase).await.map_err(at)];
        }
        let work = by_user(erases, |erase| &erase.subject).into_iter().map(|user| {
            let work = async move {
                let mut answers = Vec::with_capacity(user.len());
                for (place, erase) in user {
                    answers.push((place, self.erase_user(call, erase).await));
                }
                answers
            };
            work.boxed()
        });
        let answers = in_order(some_at_once(work.collect()).await).into_iter();
        answers.map(|answer| answer.map_err(&at)).collect()
    }

    async fn ping(&self, call: Call) -> Result<()> {
        let ping = async {
            self.admit(call)?;
            let ask = Request::Ask { text: "SELECT key FROM system.local", values: &[] };
            self.0.sessions.run(&ask, call.deadline).await.map_err(Failure::told)?;
            Ok(())
        };
        ping.await.map_err(at(Operation::Ping))
    }

    async fn close(&self, _call: Call) -> Result<()> {
        self.0.closed.store(true, Ordering::Release);
        self.0.sessions.disconnect();
        Ok(())
    }

    async fn diagnose(&self, call: Call) -> Vec<Finding> {
        diagnose::diagnose(self, call).await
    }

    fn scan(&self) -> Option<&dyn AsyncScan> {
        Some(self)
    }
}

impl fmt::Debug for CassandraStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CassandraStore").finish_non_exhaustive()
    }
}

fn no_runtime() -> Error {
    Error::new(ErrorKind::Config, "this store works only inside a tokio runtime")
}

/// Items of each user, with their places, in their order.
fn by_user<'a, T>(items: &'a [T], subject: impl Fn(&'a T) -> &'a Subject) -> Vec<Vec<(usize, &'a T)>> {
    let mut places: HashMap<&Subject, usize> = HashMap::new();
    let mut users: Vec<Vec<(usize, &T)>> = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let place = *places.entry(subject(item)).or_insert(users.len());
        match users.get_mut(place) {
            Some(user) => user.push((i, item)),
            None => users.push(vec![(i, item)]),
        }
    }
    users
}

/// Runs these, so many at a time; what they give, in their order.
pub(crate) async fn some_at_once<A: Send>(work: Vec<BoxFuture<'_, A>>) -> Vec<A> {
    stream::iter(work).buffered(IN_FLIGHT).collect().await
}

/// Answers in the order of their places.
fn in_order<A>(answers: Vec<Vec<(usize, A)>>) -> Vec<A> {
    let mut answers: Vec<_> = answers.into_iter().flatten().collect();
    answers.sort_by_key(|(place, _)| *place);
    answers.into_iter().map(|(_, answer)| answer).collect()
}
