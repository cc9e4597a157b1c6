//! The driver's client: making one, knowing whether it lives, and running operations over it by a deadline.
//!
//! The driver has no deadline for an operation, and does not like its futures to be dropped: each operation is a task that
//! its caller waits for until the deadline, and that ends by itself soon after it. How many there are is bounded.

use std::fmt;
use std::future::{Future, pending};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mongodb::bson::{RawDocumentBuf, doc};
use mongodb::event::EventHandler;
use mongodb::event::cmap::CmapEvent;
use mongodb::event::sdam::SdamEvent;
use mongodb::options::{ClientOptions, DriverInfo, ServerAddress, WriteConcern};
use mongodb::{Client, Collection, Database, ServerType};
use stickystore_core::{Error, Result};
use stickystore_transport::too_late_to_send;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::{timeout, timeout_at};

use crate::config::{CONNECT_TIMEOUT, Config};
use crate::error::{self, Sent};

/// How many connections there are at most, unless the URL says otherwise: the driver's own 10 keep many callers waiting.
const POOL: u32 = 64;

/// How often a server tells that it is there, unless the URL says otherwise. The driver knows no other way to notice that one
/// has gone silent: it waits so long, and as long as for a connection, and 10 seconds are a long time without answers.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// A client that has a primary, and for so long had no answer from it while callers gave up, is replaced: the driver waits
/// for ever for what a new connection is told first, and makes two at a time. Longer than what it needs to notice a server
/// that has gone silent.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long after its deadline an operation may go on, so that the driver ends it in order if an answer is near.
const AFTERLIFE: Duration = Duration::from_secs(1);

/// How often an upsert is sent again that another one overtook: the second time it finds the document.
const OVERTAKEN_AT_MOST: usize = 10;

/// The way to the servers. It connects when it is first used, and again if its runtime has ended.
pub(crate) struct Connection {
    config: Config,
    live: Mutex<Option<Arc<Live>>>,
    /// Who makes a client, while others wait for it.
    making: tokio::sync::Mutex<()>,
    permits: Arc<Semaphore>,
    repeated: Arc<AtomicU64>,
}

/// A client, and the runtime that it lives on.
pub(crate) struct Live {
    client: Client,
    database: Database,
    collection: Collection<RawDocumentBuf>,
    topology: Arc<Topology>,
    /// Which primary's knowledge has been seen to be whole; see [`Live::settle`].
    settled: AtomicU64,
    /// When it last had an answer: milliseconds after `opened`.
    heard: AtomicU64,
    opened: Instant,
    alive: Arc<AtomicBool>,
    home: AbortHandle,
}

/// How often one operation had a connection.
#[derive(Default)]
struct Attempts {
    made: AtomicU32,
    /// From then on, more is not a repetition.
    answered: AtomicBool,
}

tokio::task_local! {
    static ATTEMPTS: Arc<Attempts>;
}

impl Connection {
    pub(crate) fn new(config: Config) -> Self {
        let most = config.connection.max_pool_size.filter(|most| *most > 0).unwrap_or(POOL);
        Self {
            config,
            live: Mutex::new(None),
            making: tokio::sync::Mutex::new(()),
            permits: Arc::new(Semaphore::new(usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS))),
            repeated: Arc::new(AtomicU64::new(0)),
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// How often the driver has sent an operation a second time.
    pub(crate) fn repeated(&self) -> u64 {
        self.repeated.load(Ordering::Relaxed)
    }

    /// Runs an operation; it ends by the deadline, whatever becomes of it.
    pub(crate) async fn run<T, F>(
        &self,
        deadline: Instant,
        operation: impl Fn(Arc<Live>) -> F + Send + Sync + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = mongodb::error::Result<T>> + Send + 'static,
    {
        let until = tokio::time::Instant::from_std(deadline);
        let permit = timeout_at(until, Arc::clone(&self.permits).acquire_owned());
        // It is never closed.
        let Ok(Ok(permit)) = permit.await else { return Err(too_late_to_send()) };
        let live = timeout_at(until, self.live()).await.map_err(|_| too_late_to_send())??;
        let (attempts, asked) = (Arc::new(Attempts::default()), Arc::clone(&live));
        let repeated = Arc::clone(&self.repeated);
        let counted = Arc::clone(&attempts);
        let mut task = tokio::spawn(async move {
            let _permit = permit;
            let work = ATTEMPTS.scope(Arc::clone(&counted), repeatedly(live, operation));
            let done = timeout_at(until + AFTERLIFE, work).await;
            let more = counted.made.load(Ordering::Relaxed).saturating_sub(1);
            repeated.fetch_add(more.into(), Ordering::Relaxed);
            done.unwrap_or_else(|_| Err(error::late(counted.sent(), None)))
        });
        match timeout_at(until, &mut task).await {
            Ok(Ok(done)) => {
                asked.hears();
                done
            }
            Ok(Err(_)) => Err(error::lost()),
            Err(_) => {
                if asked.is_silent() {
                    self.discard(&asked);
                }
                if attempts.sent() == Sent::Nothing {
                    // What is said not to be applied must not be sent after it was said. It ends at its next wait.
                    task.abort();
                    if let Ok(done) = task.await {
                        return done;
                    }
                }
                Err(error::late(attempts.sent(), asked.topology.missing()))
            }
        }
    }

    /// Lets the next call make another client; this one ends with its operations.
    fn discard(&self, silent: &Arc<Live>) {
        let mut state = self.state();
        if state.as_ref().is_some_and(|live| Arc::ptr_eq(live, silent)) {
            *state = None;
            let client = silent.client.clone();
            tokio::spawn(async move {
                let _ = timeout(CONNECT_TIMEOUT, client.shutdown().immediate(true).into_future()).await;
            });
        }
    }

    /// Says goodbye to the servers, if it ever met them.
    pub(crate) async fn disconnect(&self, within: Duration) {
        let live = self.state().take();
        if let Some(live) = live {
            // What does not end in time ends with its runtime.
            let _ = timeout(within, live.client.clone().shutdown().immediate(true).into_future()).await;
        }
    }

    async fn live(&self) -> Result<Arc<Live>> {
        if let Some(live) = self.ready() {
            return Ok(live);
        }
        let _making = self.making.lock().await;
        if let Some(live) = self.ready() {
            return Ok(live);
        }
        let live = Arc::new(Live::new(&self.config).await?);
        *self.state() = Some(Arc::clone(&live));
        Ok(live)
    }

    fn ready(&self) -> Option<Arc<Live>> {
        self.state().as_ref().filter(|live| live.alive.load(Ordering::Acquire)).cloned()
    }

    fn state(&self) -> MutexGuard<'_, Option<Arc<Live>>> {
        // Nothing panics while it is held.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    async fn new(config: &Config) -> Result<Self> {
        let wrong = |error: mongodb::error::Error| error::failed(&error, Sent::Nothing);
        let topology = Arc::new(Topology::default());
        let mut options = ClientOptions::parse(config.connection.clone()).await.map_err(wrong)?;
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
                // Monitors have connections too.
                let _ = ATTEMPTS.try_with(|attempts| attempts.begun());
            }
        }));
        let seen = Arc::clone(&topology);
        options.sdam_event_handler = Some(EventHandler::callback(move |event| seen.hear(&event)));
        let client = Client::with_options(options).map_err(wrong)?;
        let database = client.database(&config.database);
        let collection = database.collection(&config.collection);
        let alive = Arc::new(AtomicBool::new(true));
        let ended = EndsWith(Arc::clone(&alive));
        let home = tokio::spawn(async move {
            let _ended = ended;
            pending::<()>().await;
        });
        let (settled, heard) = (AtomicU64::new(0), AtomicU64::new(0));
        let (opened, home) = (Instant::now(), home.abort_handle());
        Ok(Self { client, database, collection, topology, settled, heard, opened, alive, home })
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

    fn hears(&self) {
        self.heard.store(self.now(), Ordering::Relaxed);
    }

    /// Whether nothing is answered although there is somebody to answer.
    fn is_silent(&self) -> bool {
        let silence = Duration::from_millis(self.now().saturating_sub(self.heard.load(Ordering::Relaxed)));
        silence > PATIENCE && self.topology.missing().is_none()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
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
    }
}

/// From here on the operation has its first answer; what it asks for besides is no repetition.
pub(crate) fn answered() {
    let _ = ATTEMPTS.try_with(|attempts| attempts.answered.store(true, Ordering::Relaxed));
}

/// What was asked for until here was something else.
fn starts_over() {
    let _ = ATTEMPTS.try_with(|attempts| attempts.made.store(0, Ordering::Relaxed));
}

impl Attempts {
    fn begun(&self) {
        if !self.answered.load(Ordering::Relaxed) {
            self.made.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn sent(&self) -> Sent {
        match self.made.load(Ordering::Relaxed) {
            0 => Sent::Nothing,
            1 => Sent::Once,
            _ => Sent::Repeatedly,
        }
    }
}

/// Runs an operation, and again if an upsert was overtaken: that one has certainly done nothing.
async fn repeatedly<T, F>(live: Arc<Live>, operation: impl Fn(Arc<Live>) -> F) -> Result<T>
where
    F: Future<Output = mongodb::error::Result<T>>,
{
    for _ in 0..OVERTAKEN_AT_MOST {
        let attempts = ATTEMPTS.get();
        match operation(Arc::clone(&live)).await {
            Ok(done) => return Ok(done),
            Err(error) if error::is_overtaken(&error) && attempts.sent() != Sent::Repeatedly => {
                attempts.made.store(0, Ordering::Relaxed);
            }
            Err(error) => return Err(error::failed(&error, attempts.sent())),
        }
    }
    Err(error::never_found())
}

/// What the driver knows of the servers.
#[derive(Default)]
struct Topology(Mutex<Known>);

#[derive(Default)]
struct Known {
    primary: Option<ServerAddress>,
    /// How many primaries there were, one after the other.
    term: u64,
    /// Why a server could not be asked.
    reason: Option<Error>,
}

impl Topology {
    fn hear(&self, event: &SdamEvent) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            SdamEvent::TopologyDescriptionChanged(change) => {
                let takes_writes = |kind: ServerType| {
                    matches!(
                        kind,
                        ServerType::RsPrimary
                            | ServerType::Mongos
                            | ServerType::Standalone
                            | ServerType::LoadBalancer
                    )
                };
                let servers = change.new_description.servers();
                let primary = servers.iter().find(|(_, server)| takes_writes(server.server_type()));
                let primary = primary.map(|(address, _)| (*address).clone());
                if primary.is_some() && primary != known.primary {
                    known.term += 1;
                }
                known.primary = primary;
                let reason = servers.values().find_map(|server| server.error().map(error::unreachable));
                // Others have answered, and none of them is it.
                let has_others = servers.values().any(|server| server.server_type() != ServerType::Unknown);
                let others = || has_others.then(error::no_primary);
                known.reason = reason.or_else(others).or(known.reason.take());
            }
            SdamEvent::ServerHeartbeatFailed(failed) => {
                known.reason = Some(error::unreachable(&failed.failure));
            }
            _ => {}
        }
    }

    /// Why nothing takes writes, if that is known of nothing.
    fn missing(&self) -> Option<Error> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.reason.clone().filter(|_| known.primary.is_none())
    }

    /// Which primary it is that there is, or was last: the first, the second, and so on; 0 if there was none yet.
    fn term(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).term
    }
}

struct EndsWith(Arc<AtomicBool>);

impl Drop for EndsWith {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}
