//! Connections: making one, and sharing it between callers. The answers come in the order of the commands, each under the
//! command's number; one that is the answer to nothing ends the connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use stickystore_core::{Result, UnixMillis};
use stickystore_transport::{Connect, Stream, Target};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout_at;

use crate::config::{Config, Login};
use crate::error;
use crate::greeting::Greeting;
use crate::wire::{Command, Dialect, Parts, Refusal, Reply};

mod driver;
use driver::{Ask, Driver, EndsWith, Pace};

/// One connection to a server at a time, made when it is needed and made anew when it died.
pub(crate) type Lane = stickystore_transport::Lane<Connector>;

/// A connection of a lane, which stays the same one for as long as it is held.
pub(crate) type Connection = stickystore_transport::Connection<Connector>;

/// How many callers may stand in line before the connection takes their commands.
const LINE: usize = 1024;

/// How connections to one server are made.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    target: Target,
    login: Option<Login>,
    dialect: Dialect,
    /// How long the server may take until it knows us and has said what it is.
    patience: Duration,
}

impl Connector {
    /// One for each server, in their order.
    pub(crate) fn all(config: &Config) -> Result<Vec<Self>> {
        let targets = Target::all(&config.addresses(), &config.tls)?;
        // Less than an attempt to connect, so that the reason for its end is told.
        let patience = config.connect_timeout.mul_f64(0.9);
        let one = |target| Self { target, login: config.login.clone(), dialect: config.dialect, patience };
        Ok(targets.into_iter().map(one).collect())
    }

    async fn set_up(&self, link: &Link) -> Result<Greeting> {
        if let Some(login) = &self.login {
            let command = Command::Login { user: &login.user, password: login.password.reveal() };
            match link.one(&command).await? {
                Reply::Done => {}
                Reply::Refused(_) => return Err(error::refused(Refusal::Denied)),
                _ => return Err(error::odd_answer()),
            }
        }
        let greeting = Greeting::ask(link).await?;
        greeting.speaks(self.dialect).map(|()| greeting)
    }
}

impl Connect for Connector {
    type Link = Link;

    async fn connect(&self) -> Result<Link> {
        let until = tokio::time::Instant::now() + self.patience;
        let stream = self.target.connect().await?;
        let pace = if self.target.is_tls() { Pace::ByPart } else { Pace::AllAtOnce };
        let mut link = Link::over(stream, self.dialect, pace);
        let greeting = timeout_at(until, self.set_up(&link)).await;
        link.greeting = greeting.unwrap_or_else(|_| Err(error::ended(None))).map_err(error::setting_up)?;
        Ok(link)
    }
}

/// One connection, and the task that drives it.
#[derive(Debug)]
pub(crate) struct Link {
    dialect: Dialect,
    line: mpsc::Sender<Ask>,
    next: AtomicU32,
    alive: Arc<AtomicBool>,
    task: AbortHandle,
    greeting: Greeting,
}

impl Link {
    fn over(stream: Stream, dialect: Dialect, pace: Pace) -> Self {
        let (line, asks) = mpsc::channel(LINE);
        let alive = Arc::new(AtomicBool::new(true));
        // Set also when the task is dropped with its runtime.
        let ended = EndsWith(Arc::clone(&alive));
        let task = tokio::spawn(async move { Driver::new(asks, dialect, pace, ended).drive(stream).await });
        let (next, greeting) = (AtomicU32::new(0), Greeting::default());
        Self { dialect, line, next, alive, task: task.abort_handle(), greeting }
    }

    /// Sends these together and awaits all answers.
    ///
    /// # Errors
    /// By its effect it says whether anything can have been sent.
    pub(crate) async fn send(&self, commands: &[Command<'_>]) -> Result<Vec<Reply>> {
        let mut parts = Parts::with_room_for(commands);
        let encode = |command: &Command<'_>| {
            let opaque = self.next.fetch_add(1, Ordering::Relaxed);
            self.dialect.encode(command, opaque, &mut parts);
            (opaque, command.form())
        };
        let expected = commands.iter().map(encode).collect();
        let (answers, answered) = oneshot::channel();
        let ask = Ask { commands: parts, expected, answers };
        self.line.send(ask).await.map_err(|_| error::not_sent())?;
        answered.await.unwrap_or_else(|_| Err(error::ended(None)))
    }

    /// Sends one and awaits its answer.
    pub(crate) async fn one(&self, command: &Command<'_>) -> Result<Reply> {
        let replies = self.send(std::slice::from_ref(command)).await?;
        replies.into_iter().next().ok_or_else(error::odd_answer)
    }

    /// What the server said of itself.
    pub(crate) fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// The server's time, if it said it.
    pub(crate) fn server_time(&self) -> Option<UnixMillis> {
        self.greeting.time(Instant::now())
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

/// Whether a command that has no answer of its own was done.
pub(crate) fn done(reply: &Reply) -> Result<()> {
    match reply {
        Reply::Done => Ok(()),
        Reply::Refused(refusal) => Err(error::refused(*refusal)),
        _ => Err(error::odd_answer()),
    }
}
