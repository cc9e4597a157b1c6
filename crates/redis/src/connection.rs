//! Connections: making one, knowing whether it is alive, and sending commands over it by a deadline.
//!
//! The driver's `ConnectionManager` is not used: it gives the first caller after an outage the error of the last
//! attempt, keeps a refused login for ever, and does not say whether anything was sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Pipeline, RedisConnectionInfo, Value};
use stickystore_core::{Effect, Result};
use stickystore_transport::{Connect, Stream, Target};
use tokio::task::AbortHandle;

use crate::config::Config;
use crate::error;

/// One connection at a time, made when it is needed and made anew when it died.
pub(crate) type Lane = stickystore_transport::Lane<Connector>;

/// Sends the commands together and awaits all answers. Nothing is ever sent twice.
///
/// # Errors
/// By its effect it says whether anything can have been sent.
pub(crate) async fn send(lane: &Arc<Lane>, commands: &Pipeline, deadline: Instant) -> Result<Vec<Value>> {
    let connection = lane.connection(deadline).await?;
    connection.run(deadline, connection.link().send(commands)).await
}

/// How connections are made.
#[derive(Clone)]
pub(crate) struct Connector {
    target: Target,
    login: RedisConnectionInfo,
}

impl Connector {
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let target = Target::new(&config.address, &config.tls)?;
        let mut login = RedisConnectionInfo::default()
            .set_db(config.database)
            .set_lib_name(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        if let Some(user) = &config.user {
            login = login.set_username(user);
        }
        if let Some(password) = &config.password {
            login = login.set_password(password.reveal());
        }
        Ok(Self { target, login })
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
        let link = Link { connection, alive, task: task.abort_handle() };
        link.is_admitted().await?;
        Ok(link)
    }
}

impl Connect for Connector {
    type Link = Link;

    async fn connect(&self) -> Result<Link> {
        self.set_up(self.target.connect().await?).await
    }
}

/// One connection and the task that drives it.
pub(crate) struct Link {
    connection: MultiplexedConnection,
    alive: Arc<AtomicBool>,
    task: AbortHandle,
}

impl Link {
    async fn send(&self, commands: &Pipeline) -> Result<Vec<Value>> {
        let mut connection = self.connection.clone();
        let answers = connection.send_packed_commands(commands, 0, commands.len()).await;
        let answers = answers.map_err(error::sending)?;
        let has_moved_on = |answer: &Value| matches!(answer, Value::ServerError(e) if error::has_moved_on(e));
        if answers.iter().any(has_moved_on) {
            // Whoever comes next shall look where the server is now.
            self.alive.store(false, Ordering::Release);
        }
        Ok(answers)
    }

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
}

impl stickystore_transport::Link for Link {
    /// Whether its task still runs. What is sent over a dead one never leaves.
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
