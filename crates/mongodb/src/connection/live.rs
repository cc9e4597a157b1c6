//! A client of the driver: how it is made, whether it lives, and when what it reads is whole.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mongodb::bson::{RawDocumentBuf, doc};
use mongodb::event::EventHandler;
use mongodb::event::cmap::CmapEvent;
use mongodb::options::{ClientOptions, DriverInfo, WriteConcern};
use mongodb::{Client, Collection, Database};
use stickystore_core::Result;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::POOL;
use super::attempts::{begun, starts_over};
use super::topology::Topology;
use crate::config::{CONNECT_TIMEOUT, Config};
use crate::error;

/// How often a server tells that it is there, unless the URL says otherwise. The driver knows no other way to notice that one
/// has gone silent: it waits so long, and as long as for a connection, and 10 seconds are a long time without answers.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// A client that has a primary, and for so long had no answer from it to any question while callers gave up, is replaced: the
/// driver waits for ever for what a new connection is told first, and makes two at a time. Longer than what it needs to
/// notice a server that has gone silent.
const PATIENCE: Duration = Duration::from_secs(5);

/// A client, and the runtime that it lives on.
pub(crate) struct Live {
    client: Client,
    database: Database,
    collection: Collection<RawDocumentBuf>,
    pub(super) topology: Arc<Topology>,
    /// Which primary's knowledge has been seen to be whole; see [`Live::settle`].
    settled: AtomicU64,
    /// Since when there is a question and no answer to any: milliseconds after `opened`; 0 if there is none.
    unanswered: AtomicU64,
    opened: Instant,
    alive: Arc<AtomicBool>,
    /// Ends with its runtime.
    home: AbortHandle,
    runtime: Handle,
    is_replaced: AtomicBool,
}

impl Live {
    pub(super) async fn new(config: &Config) -> Result<Self> {
        let topology = Arc::new(Topology::default());
        let options = ClientOptions::parse(config.connection.clone()).await;
        let mut options = options.map_err(|error| error::unusable(&error))?;
        options.connect_timeout.get_or_insert(CONNECT_TIMEOUT);
        options.max_pool_size.get_or_insert(POOL);
        options.heartbeat_freq.get_or_insert(HEARTBEAT);
        options.app_name.get_or_insert_with(|| env!("CARGO_PKG_NAME").to_owned());
        let version = env!("CARGO_PKG_VERSION").to_owned();
        options.driver_info = Some(
            DriverInfo::builder().name(env!("CARGO_PKG_NAME").to_owned()).version(Some(version)).build(),
        );
        // The driver calls both where the operation runs, and waits for them.
        options.cmap_event_handler = Some(EventHandler::callback(|event| {
            if matches!(event, CmapEvent::ConnectionCheckedOut(_)) {
                begun();
            }
        }));
        let seen = Arc::clone(&topology);
        options.sdam_event_handler = Some(EventHandler::callback(move |event| seen.hear(&event)));
        let client = Client::with_options(options).map_err(|error| error::unusable(&error))?;
        let database = client.database(&config.database);
        let collection = database.collection(&config.collection);
        let alive = Arc::new(AtomicBool::new(true));
        let ended = EndsWith(Arc::clone(&alive));
        let home = tokio::spawn(async move {
            let _ended = ended;
            pending::<()>().await;
        });
        Ok(Self {
            client,
            database,
            collection,
            topology,
            settled: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            opened: Instant::now(),
            alive,
            home: home.abort_handle(),
            runtime: Handle::current(),
            is_replaced: AtomicBool::new(false),
        })
    }

    /// Whether its runtime is still there.
    pub(super) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    /// Runs a question so that its answer has all that was acknowledged before it was asked, by whichever primary.
    ///
    /// A member that has just become the primary has everything that a majority had confirmed, but does not know yet that a
    /// majority has it: until it does, it shows what it knew before. So the first question to each primary waits until
    /// everything that stands there is confirmed; and one during which the primary changes is asked again.
    pub(crate) async fn settled<T, F>(&self, ask: impl Fn() -> F) -> mongodb::error::Result<T>
    where
        F: Future<Output = mongodb::error::Result<T>>,
    {
        loop {
            let before = self.settle().await?;
            let answer = ask().await?;
            if self.topology.term() == before {
                return Ok(answer);
            }
        }
    }

    /// Waits until the primary knows that a majority has everything that it has; answers which primary it was.
    async fn settle(&self) -> mongodb::error::Result<u64> {
        loop {
            let before = self.topology.term();
            if before > 0 && self.settled.load(Ordering::Acquire) == before {
                return Ok(before);
            }
            // A write that finds nothing to write is confirmed as everything before it. No user has this id.
            let nothing =
                self.collection.find_one_and_update(doc! { "_id": "" }, doc! { "$set": { "v": 1 } });
            match nothing.write_concern(WriteConcern::majority()).await {
                Ok(_) => {}
                // Who may not write can still read.
                Err(error) if error::is_unauthorized(&error) => {}
                Err(error) => return Err(error),
            }
            starts_over();
            let after = self.topology.term();
            // The first one that is heard of is the one that has answered.
            if after == before || (before, after) == (0, 1) {
                self.settled.store(after, Ordering::Release);
            }
        }
    }

    /// It is asked something.
    pub(super) fn asks(&self) {
        let _ = self.unanswered.compare_exchange(0, self.now(), Ordering::Relaxed, Ordering::Relaxed);
    }

    /// It has answered something.
    pub(super) fn hears(&self) {
        self.unanswered.store(0, Ordering::Relaxed);
    }

    /// Whether nothing is answered although there is somebody to answer.
    pub(super) fn is_silent(&self) -> bool {
        let since = self.unanswered.load(Ordering::Relaxed);
        let silence = Duration::from_millis(self.now().saturating_sub(since));
        since > 0 && silence > PATIENCE && self.topology.missing().is_none()
    }

    /// Another one is used instead; it ends with its last operation.
    pub(super) fn is_replaced(&self) {
        self.is_replaced.store(true, Ordering::Release);
    }

    /// Says goodbye to the servers; what does not end in time ends with its runtime.
    pub(super) async fn disconnect(&self, within: Duration) {
        let _ = timeout(within, self.client.clone().shutdown().immediate(true).into_future()).await;
    }

    /// Milliseconds, from 1 on.
    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    pub(crate) fn collection(&self) -> &Collection<RawDocumentBuf> {
        &self.collection
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.home.abort();
        if *self.is_replaced.get_mut() {
            // The attempts to connect that nobody waits for any more.
            let client = self.client.clone();
            self.runtime.spawn(async move {
                let _ = timeout(CONNECT_TIMEOUT, client.shutdown().immediate(true).into_future()).await;
            });
        }
    }
}

struct EndsWith(Arc<AtomicBool>);

impl Drop for EndsWith {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
