//! The session: making one, knowing whether it is of use, and sending requests over it by a deadline.
//!
//! The driver's session looks after its connections by itself, but waits longer and longer between attempts while a cluster
//! is down, and lives only as long as the runtime that it was made on: so it is made anew.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use scylla::DeserializeRow;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::{Session, TlsContext};
use scylla::client::session_builder::SessionBuilder;
use scylla::deserialize::row::ColumnIterator;
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::response::query_result::{QueryResult, QueryRowsResult};
use scylla::response::{PagingState, PagingStateResponse};
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::{Consistency, SerialConsistency};
use stickystore_core::{Effect, Error, ErrorKind, Result};
use stickystore_transport::{Connect, Lane, TlsSettings};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::config::{Config, Serial};
use crate::error::{self, Failure};
use crate::pages::{PageSize, RowSizes};
use crate::prepared::Prepared;
use crate::schema::{self, Found};
use crate::statement::{Ready, Statement};

/// How often a silent connection is asked whether it lives, and how long it may take to say so: longer than a node's
/// ordinary pauses.
const ASKED_EVERY: Duration = Duration::from_secs(2);
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// One session at a time, made when it is needed and made anew when it is of no use.
pub(crate) struct Sessions {
    lane: Arc<Lane<Connector>>,
    row_sizes: RowSizes,
}

/// At which consistency something is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// What was acknowledged.
    Plain,
    /// What is decided: whatever is under way is finished or shut out first.
    Serial,
}

/// What is sent.
#[derive(Debug)]
pub(crate) enum Request<'a> {
    Page {
        ready: &'a Ready<'a>,
        level: Level,
        size: PageSize,
        from: &'a PagingState,
    },
    /// One statement, or several as one unlogged batch of one partition.
    Attempt(&'a [Ready<'a>]),
    /// A question that is asked once and not prepared.
    Ask {
        text: &'a str,
        values: &'a [&'a str],
    },
}

impl<'a> Request<'a> {
    /// A page of rows that are small whatever the entries are.
    pub(crate) fn page(ready: &'a Ready<'a>, level: Level, from: &'a PagingState) -> Self {
        Self::Page { ready, level, size: PageSize::MOST, from }
    }
}

/// What became of an attempt.
#[derive(Debug)]
pub(crate) enum Attempted {
    Applied,
    /// Nothing of it was written; this stood in the way.
    Refused(Box<QueryRowsResult>),
}

/// An answer, and where the next page begins if there is one.
pub(crate) type Answer = (QueryResult, Option<PagingState>);

impl Sessions {
    pub(crate) fn new(connector: Connector) -> Self {
        let limit = connector.limit();
        Self { lane: Lane::new(connector, limit), row_sizes: RowSizes::unknown() }
    }

    /// Sends a request and awaits the answer. It is sent a second time only if there was no connection to send it over.
    pub(crate) async fn run(&self, request: &Request<'_>, deadline: Instant) -> Result<Answer, Failure> {
        let mut is_second = false;
        loop {
            let session = self.lane.connection(deadline).await.map_err(Failure::Final)?;
            let mut is_nowhere = false;
            // Only a session that has no connection at all is of no use: what a node refuses, it answers.
            let answered = {
                // In its place: what the driver has under way is thousands of bytes.
                let exchange = pin!(async {
                    match session.link().run(request).await {
                        Ok(answer) => Ok(Ok(answer)),
                        Err(Failure::Nowhere(error)) => {
                            is_nowhere = true;
                            Err(error)
                        }
                        Err(failure) => Ok(Err(failure)),
                    }
                });
                session.run(deadline, exchange).await
            };
            match answered {
                Ok(answered) => return answered,
                Err(_) if is_nowhere && !is_second => is_second = true,
                Err(error) => return Err(Failure::Final(error)),
            }
        }
    }

    /// How large the rows of users are.
    pub(crate) fn row_sizes(&self) -> &RowSizes {
        &self.row_sizes
    }

    /// Runs a conditional statement, or a batch of them.
    pub(crate) async fn attempt(&self, ready: &[Ready<'_>], deadline: Instant) -> Result<Attempted, Failure> {
        let (answer, _) = self.run(&Request::Attempt(ready), deadline).await?;
        let odd = || Failure::Final(error::odd_answer());
        let answer = answer.into_rows_result().map_err(|_| odd())?;
        let (place, _) = answer.column_specs().get_by_name("[applied]").ok_or_else(odd)?;
        let mut rows = answer.rows::<ColumnIterator<'_, '_>>().map_err(|_| odd())?;
        let mut row = rows.next().and_then(Result::ok).ok_or_else(odd)?;
        let applied = row.nth(place).and_then(Result::ok).and_then(|column| column.slice).ok_or_else(odd)?;
        let is_applied = applied.as_slice() == [1];
        Ok(if is_applied { Attempted::Applied } else { Attempted::Refused(Box::new(answer)) })
    }

    /// Sees that there is a session.
    pub(crate) async fn connect(&self, deadline: Instant) -> Result<()> {
        self.lane.connection(deadline).await.map(drop)
    }

    /// Lets go of the session; calls that are under way keep it until they end.
    pub(crate) fn disconnect(&self) {
        self.lane.disconnect();
    }
}

/// How sessions are made.
pub(crate) struct Connector {
    config: Config,
    tls: Option<TlsContext>,
}

impl Connector {
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let tls = config.tls.as_ref().map(TlsSettings::client_config).transpose()?;
        Ok(Self { config: config.clone(), tls: tls.map(TlsContext::from) })
    }

    /// A session that need not know the table.
    pub(crate) async fn bare(&self) -> Result<Session> {
        let limit = self.limit();
        let late = |_| Error::new(ErrorKind::Unavailable, format!("no connection within {limit:?}"));
        timeout(limit, self.session()).await.map_err(|error| late(error).with_effect(Effect::NotApplied))?
    }

    /// What an attempt may take in all: the driver tries one contact point after the other.
    fn limit(&self) -> Duration {
        let contacts = u32::try_from(self.config.hosts.len()).unwrap_or(u32::MAX);
        self.config.connect_timeout.saturating_mul(contacts.saturating_add(1))
    }

    async fn session(&self) -> Result<Session> {
        let config = &self.config;
        let (consistency, serial) = match config.serial {
            Serial::Global => (Consistency::Quorum, SerialConsistency::Serial),
            Serial::Local => (Consistency::LocalQuorum, SerialConsistency::LocalSerial),
        };
        let mut nodes = DefaultPolicy::builder().token_aware(true);
        if let Some(datacenter) = &config.datacenter {
            nodes = nodes.prefer_datacenter(datacenter.clone());
        }
        let profile = ExecutionProfile::builder()
            .consistency(consistency)
            .serial_consistency(Some(serial))
            // Deadlines and retries are ours.
            .request_timeout(None)
            .retry_policy(Arc::new(FallthroughRetryPolicy::new()))
            .speculative_execution_policy(None)
            .load_balancing_policy(nodes.permit_dc_failover(config.serial == Serial::Global).build())
            .build();
        let mut builder = SessionBuilder::new()
            .known_nodes(&config.hosts)
            .default_execution_profile_handle(profile.into_handle())
            .keyspaces_to_fetch([config.keyspace.clone()])
            .fetch_full_schema_metadata(false)
            .connection_timeout(config.connect_timeout)
            .metadata_request_clientside_timeout(config.connect_timeout)
            .hostname_resolution_timeout(Some(config.connect_timeout))
            .keepalive_interval(ASKED_EVERY)
            .keepalive_timeout(ANSWERS_WITHIN)
            .driver_config_reporting(false)
            .tls_context(self.tls.clone());
        if let Some((user, password)) = &config.login {
            builder = builder.user(user, password.reveal());
        }
        builder.build().await.map_err(error::connecting)
    }

    async fn prepare(&self, session: &Session) -> Result<Prepared> {
        schema::check(&self.config, &find_table(session, &self.config).await?)?;
        Prepared::new(session, &schema::table_name(&self.config), self.config.serial).await
    }
}

impl Connect for Connector {
    type Link = Link;

    async fn connect(&self) -> Result<Link> {
        // The lane limits the time: the driver may take a minute to find out that nobody answers.
        let session = self.session().await?;
        let prepared = self.prepare(&session).await?;
        Ok(Link::new(session, prepared))
    }
}

/// The table as the cluster has it.
async fn find_table(session: &Session, config: &Config) -> Result<Found> {
    let names = (&config.keyspace, &config.table);
    let ask = async |text: &str| {
        let answer =
            session.query_unpaged(text, names).await.map_err(|error| error::request(error).told())?;
        answer.into_rows_result().map_err(|_| error::odd_answer())
    };
    let columns = ask(
        "SELECT column_name, type, kind FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?",
    );
    let columns = columns.await?;
    let tables =
        ask("SELECT comment FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?").await?;
    let columns = columns.rows::<ColumnRow>().map_err(|_| error::odd_answer())?;
    let columns: std::result::Result<Vec<_>, _> =
        columns.map(|row| row.map(|row| (row.column_name, row.r#type, row.kind))).collect();
    let comment = tables.maybe_first_row::<CommentRow>().map_err(|_| error::odd_answer())?;
    Ok(Found {
        columns: columns.map_err(|_| error::odd_answer())?,
        comment: comment.and_then(|row| row.comment).unwrap_or_default(),
    })
}

#[derive(DeserializeRow)]
struct ColumnRow {
    column_name: String,
    r#type: String,
    kind: String,
}

#[derive(DeserializeRow)]
struct CommentRow {
    comment: Option<String>,
}

/// One session, its statements, and whether its runtime runs.
pub(crate) struct Link {
    session: Session,
    prepared: Prepared,
    alive: Arc<AtomicBool>,
    task: AbortHandle,
}

impl Link {
    fn new(session: Session, prepared: Prepared) -> Self {
        let alive = Arc::new(AtomicBool::new(true));
        let ended = EndsWith(Arc::clone(&alive));
        // The session's own tasks end with the runtime, and tell nobody.
        let task = tokio::spawn(async move {
            let _ended = ended;
            std::future::pending::<()>().await;
        });
        Self { session, prepared, alive, task: task.abort_handle() }
    }

    async fn run(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        let whole = |answer| (answer, None);
        let answer = match request {
            Request::Page { ready, level, size, from } => {
                let statement = self.statement(ready.statement, *level, *size)?;
                let page = self.session.execute_single_page(statement, &ready.values, (*from).clone()).await;
                page.map(|(answer, next)| match next {
                    PagingStateResponse::HasMorePages { state } => (answer, Some(state)),
                    PagingStateResponse::NoMorePages => (answer, None),
                })
            }
            Request::Attempt([ready]) => {
                let statement = self.writing(ready.statement)?;
                self.session.execute_unpaged(statement, &ready.values).await.map(whole)
            }
            Request::Attempt(several) => {
                let mut batch = Batch::new(BatchType::Unlogged);
                for ready in *several {
                    batch.append_statement(self.writing(ready.statement)?.clone());
                }
                let values: Vec<_> = several.iter().map(|ready| &ready.values).collect();
                self.session.batch(&batch, values).await.map(whole)
            }
            Request::Ask { text, values } => self.session.query_unpaged(*text, *values).await.map(whole),
        };
        answer.map_err(match request {
            Request::Attempt(_) => error::writing,
            Request::Page { .. } | Request::Ask { .. } => error::request,
        })
    }

    fn writing(&self, statement: Statement) -> Result<&PreparedStatement, Failure> {
        self.statement(statement, Level::Plain, PageSize::LEAST)
    }

    fn statement(
        &self,
        statement: Statement,
        level: Level,
        size: PageSize,
    ) -> Result<&PreparedStatement, Failure> {
        // All are prepared.
        self.prepared.get(statement, level, size).ok_or_else(|| Failure::Final(error::odd_answer()))
    }
}

impl stickystore_transport::Link for Link {
    fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct EndsWith(Arc<AtomicBool>);

impl Drop for EndsWith {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
