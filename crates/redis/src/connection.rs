//! Connections: making one, knowing whether it is alive, and sending commands over it by a deadline.
//!
//! The driver's `ConnectionManager` is not used: it gives the first caller after an outage the error of the last
//! attempt, keeps a refused login for ever, and does not say whether anything was sent.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Pipeline, RedisConnectionInfo, Value};
use stickystore_core::{Effect, Error, ErrorKind, Result};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::config::{Address, Config};
use crate::error;
use crate::tls;

/// A connection that gave no answer at all for so long, with a caller giving up, is taken for dead and replaced. Shorter
/// deadlines than this say nothing about a connection.
const PATIENCE: Duration = Duration::from_millis(250);

/// One connection at a time, made when it is needed and made anew when it died.
pub(crate) struct Lane {
    connector: Connector,
    state: Mutex<State>,
}

/// What one attempt to connect gave, for all who wait for it.
type Attempt = watch::Receiver<Option<Result<Arc<Link>>>>;

enum State {
    Idle,
    Connecting(Attempt),
    Ready(Arc<Link>),
}

impl Lane {
    pub(crate) fn new(connector: Connector) -> Arc<Self> {
        Arc::new(Self { connector, state: Mutex::new(State::Idle) })
    }

    /// Sends the commands together and awaits all answers. Nothing is ever sent twice.
    ///
    /// # Errors
    /// By its effect it says whether anything can have been sent.
    pub(crate) async fn send(self: &Arc<Self>, commands: &Pipeline, deadline: Instant) -> Result<Vec<Value>> {
        let link = match timeout_at(deadline.into(), self.link()).await {
            Ok(link) => link?,
            Err(_) => return Err(error::too_late_to_send()),
        };
        if Instant::now() >= deadline {
            return Err(error::too_late_to_send());
        }
        link.awaits();
        let mut connection = link.connection.clone();
        let answer = connection.send_packed_commands(commands, 0, commands.len());
        match timeout_at(deadline.into(), answer).await {
            Ok(Ok(answers)) => {
                link.answered();
                if answers
                    .iter()
                    .any(|answer| matches!(answer, Value::ServerError(e) if error::has_moved_on(e)))
                {
                    self.discard(&link);
                }
                Ok(answers)
            }
            Ok(Err(error)) => {
                self.discard(&link);
                Err(error::sending(error))
            }
            Err(_) => {
                if link.is_silent() {
                    self.discard(&link);
                }
                Err(error::no_answer())
            }
        }
    }

    /// Lets go of the connection; calls that are under way keep it until they end.
    pub(crate) fn disconnect(&self) {
        *self.state() = State::Idle;
    }

    /// The living connection, or the one that an attempt gives. However many wait, there is one attempt.
    async fn link(self: &Arc<Self>) -> Result<Arc<Link>> {
        let mut attempt = {
            let mut state = self.state();
            match &*state {
                State::Ready(link) if link.is_alive() => return Ok(Arc::clone(link)),
                // Its sender went away without a result if the runtime of the attempt ended.
                State::Connecting(attempt) if attempt.borrow().is_some() || attempt.has_changed().is_ok() => {
                    attempt.clone()
                }
                _ => {
                    let attempt = self.attempt();
                    *state = State::Connecting(attempt.clone());
                    attempt
                }
            }
        };
        let result = attempt.wait_for(Option::is_some).await.map(|result| result.clone());
        match result {
            Ok(Some(result)) => result,
            _ => Err(Error::new(ErrorKind::Unavailable, "the runtime ended while it connected")
                .with_effect(Effect::NotApplied)),
        }
    }

    /// Starts to connect, in a task of its own: a caller with a short deadline must not end what others wait for.
    fn attempt(self: &Arc<Self>) -> Attempt {
        let (sender, receiver) = watch::channel(None);
        let lane = Arc::downgrade(self);
        let connector = self.connector.clone();
        let own = receiver.clone();
        tokio::spawn(async move {
            let result = connector.connect().await.map(Arc::new);
            if let Some(lane) = lane.upgrade() {
                let mut state = lane.state();
                // Unless it was closed, or given up, in the meantime.
                if matches!(&*state, State::Connecting(attempt) if attempt.same_channel(&own)) {
                    *state = match &result {
                        Ok(link) => State::Ready(Arc::clone(link)),
                        Err(_) => State::Idle,
                    };
                }
            }
            // Nobody waits any more only if all have passed their deadlines.
            let _ = sender.send(Some(result));
        });
        receiver
    }

    fn discard(&self, link: &Arc<Link>) {
        let mut state = self.state();
        if matches!(&*state, State::Ready(ready) if Arc::ptr_eq(ready, link)) {
            *state = State::Idle;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How connections are made.
#[derive(Clone)]
pub(crate) struct Connector {
    target: Target,
    login: RedisConnectionInfo,
    timeout: Duration,
}

#[derive(Clone)]
enum Target {
    Tcp { host: String, port: u16 },
    Tls { host: String, port: u16, name: ServerName<'static>, config: Arc<ClientConfig> },
    Unix(PathBuf),
}

impl Connector {
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let target = match config.address.clone() {
            Address::Tcp { host, port } => Target::Tcp { host, port },
            Address::Tls { host, port } => {
                let name = ServerName::try_from(host.clone()).map_err(|_| {
                    Error::new(ErrorKind::Config, "the host is no name that a certificate can have")
                })?;
                Target::Tls { host, port, name, config: tls::client_config(config)? }
            }
            Address::Unix(path) => Target::Unix(path),
        };
        let mut login = RedisConnectionInfo::default()
            .set_db(config.database)
            .set_lib_name(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        if let Some(user) = &config.user {
            login = login.set_username(user);
        }
        if let Some(password) = &config.password {
            login = login.set_password(&password.0);
        }
        Ok(Self { target, login, timeout: config.connect_timeout })
    }

    async fn connect(&self) -> Result<Link> {
        let late = |_| {
            Error::new(ErrorKind::Unavailable, format!("no connection within {:?}", self.timeout))
                .with_effect(Effect::NotApplied)
        };
        timeout(self.timeout, async { self.set_up(self.stream().await?).await }).await.map_err(late)?
    }

    async fn stream(&self) -> Result<Stream> {
        let stream: Stream = match &self.target {
            Target::Tcp { host, port } => Box::new(tcp(host, *port).await?),
            Target::Tls { host, port, name, config } => {
                let stream = tcp(host, *port).await?;
                let tls = TlsConnector::from(Arc::clone(config)).connect(name.clone(), stream).await;
                Box::new(tls.map_err(error::streaming)?)
            }
            Target::Unix(path) => Box::new(UnixStream::connect(path).await.map_err(error::streaming)?),
        };
        Ok(stream)
    }

    async fn set_up(&self, stream: Stream) -> Result<Link> {
        // Deadlines are ours.
        let config = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
        let connecting = MultiplexedConnection::new_with_config(&self.login, stream, config);
        let (connection, driver) = connecting.await.map_err(error::connecting)?;
        let alive = Arc::new(AtomicBool::new(true));
        // Set also when the task is dropped with its runtime.
        let ended = EndsWith(Arc::clone(&alive));
        let task = tokio::spawn(async move {
            let _ended = ended;
            driver.await;
        });
        let (opened, silent_since) = (Instant::now(), AtomicU64::new(0));
        let link = Link { connection, alive, task: task.abort_handle(), opened, silent_since };
        link.is_admitted().await?;
        Ok(link)
    }
}

async fn tcp(host: &str, port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await.map_err(error::streaming)?;
    // Small commands would wait for the answers to earlier ones.
    stream.set_nodelay(true).map_err(error::streaming)?;
    Ok(stream)
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}
type Stream = Box<dyn Duplex>;

/// One connection and the task that drives it.
struct Link {
    connection: MultiplexedConnection,
    alive: Arc<AtomicBool>,
    task: AbortHandle,
    opened: Instant,
    /// Since when answers are awaited and none has come: milliseconds after `opened`, plus one; 0 is not.
    silent_since: AtomicU64,
}

impl Link {
    /// Sees that the server takes commands from us, before a write depends on it.
    async fn is_admitted(&self) -> Result<()> {
        let mut connection = self.connection.clone();
        match connection.send_packed_command(&redis::cmd("PING")).await {
            // Who may not ping may still write.
            Ok(Value::ServerError(refusal)) if refusal.code() != "NOPERM" => {
                Err(error::refused(&refusal).with_effect(Effect::NotApplied))
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error::sending(error).with_effect(Effect::NotApplied)),
        }
    }

    /// Whether its task still runs. What is sent over a dead one never leaves.
    fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    fn awaits(&self) {
        let now = self.now();
        // It fails if something was awaited already.
        let _ = self.silent_since.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn answered(&self) {
        self.silent_since.store(0, Ordering::Relaxed);
    }

    fn is_silent(&self) -> bool {
        let since = self.silent_since.load(Ordering::Relaxed);
        since > 0 && u128::from(self.now().saturating_sub(since)) >= PATIENCE.as_millis()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
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

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").finish_non_exhaustive()
    }
}
