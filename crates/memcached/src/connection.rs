//! Connections: making one, and sharing it between callers. The answers come in the order of the commands, each under the
//! command's number; one that is the answer to nothing ends the connection.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::{Buf as _, BytesMut};
use stickystore_core::{Result, UnixMillis};
use stickystore_transport::{Connect, Stream, Target};
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout_at;

use crate::config::{Config, Login};
use crate::error;
use crate::greeting::Greeting;
use crate::wire::{Command, Dialect, Form, Garbled, Refusal, Reply};

/// One connection to a server at a time, made when it is needed and made anew when it died.
pub(crate) type Lane = stickystore_transport::Lane<Connector>;

/// A connection of a lane, which stays the same one for as long as it is held.
pub(crate) type Connection = stickystore_transport::Connection<Connector>;

/// How many callers may stand in line before the connection takes their commands.
const LINE: usize = 1024;

/// The most commands that are on their way at once; more wait in line.
const ON_THEIR_WAY: usize = 4096;

/// The most bytes that wait to be written before the next command is taken out of the line.
const UNWRITTEN: usize = 1 << 20;

/// How much is read at once.
const READ: usize = 16 << 10;

/// How connections to one server are made.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    target: Target,
    login: Option<Login>,
    /// How long the server may take until it knows us and has said what it is.
    patience: Duration,
}

impl Connector {
    /// One for each server, in their order.
    pub(crate) fn all(config: &Config) -> Result<Vec<Self>> {
        let targets = Target::all(&config.addresses(), &config.tls)?;
        // Less than an attempt to connect, so that the reason for its end is told.
        let patience = config.connect_timeout.mul_f64(0.9);
        let one = |target| Self { target, login: config.login.clone(), patience };
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
        Greeting::ask(link).await
    }
}

impl Connect for Connector {
    type Link = Link;

    async fn connect(&self) -> Result<Link> {
        let dialect = self.login.as_ref().map_or(Dialect::Meta, |login| login.dialect);
        let until = tokio::time::Instant::now() + self.patience;
        let mut link = Link::over(self.target.connect().await?, dialect);
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

/// Commands of one caller, and where their answers go.
#[derive(Debug)]
struct Ask {
    commands: Vec<u8>,
    expected: VecDeque<(u32, Form)>,
    answers: oneshot::Sender<Result<Vec<Reply>>>,
}

impl Link {
    fn over(stream: Stream, dialect: Dialect) -> Self {
        let (line, asks) = mpsc::channel(LINE);
        let alive = Arc::new(AtomicBool::new(true));
        // Set also when the task is dropped with its runtime.
        let ended = EndsWith(Arc::clone(&alive));
        let task = tokio::spawn(async move { Driver::new(asks, dialect, ended).drive(stream).await });
        let (next, greeting) = (AtomicU32::new(0), Greeting::default());
        Self { dialect, line, next, alive, task: task.abort_handle(), greeting }
    }

    /// Sends these together and awaits all answers.
    ///
    /// # Errors
    /// By its effect it says whether anything can have been sent.
    pub(crate) async fn send(&self, commands: &[Command<'_>]) -> Result<Vec<Reply>> {
        let mut bytes = Vec::new();
        let encode = |command: &Command<'_>| {
            let opaque = self.next.fetch_add(1, Ordering::Relaxed);
            self.dialect.encode(command, opaque, &mut bytes);
            (opaque, command.form())
        };
        let expected = commands.iter().map(encode).collect();
        let (answers, answered) = oneshot::channel();
        let ask = Ask { commands: bytes, expected, answers };
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

/// What moves bytes between callers and the server.
struct Driver {
    asks: mpsc::Receiver<Ask>,
    dialect: Dialect,
    unwritten: BytesMut,
    arrived: BytesMut,
    /// Whose answers are awaited, in order.
    waiting: VecDeque<Waiting>,
    /// How many commands they are.
    commands: usize,
    ended: EndsWith,
}

struct Waiting {
    expected: VecDeque<(u32, Form)>,
    replies: Vec<Reply>,
    answers: oneshot::Sender<Result<Vec<Reply>>>,
}

/// Why a connection ended.
enum End {
    /// Nobody needs it any more, or the server went away.
    Gone(Option<io::Error>),
    /// It answered what nobody asked.
    Garbled,
}

impl Driver {
    fn new(asks: mpsc::Receiver<Ask>, dialect: Dialect, ended: EndsWith) -> Self {
        let (unwritten, arrived) = (BytesMut::new(), BytesMut::new());
        Self { asks, dialect, unwritten, arrived, waiting: VecDeque::new(), commands: 0, ended }
    }

    async fn drive(mut self, stream: Stream) {
        let end = self.carry(stream).await;
        // Before anybody is told: whoever comes next shall not take this connection.
        self.ended.end();
        self.asks.close();
        let mut waiting = self.waiting.into_iter();
        if matches!(end, End::Garbled)
            && let Some(first) = waiting.next()
        {
            // Whoever does not wait any more needs no answer.
            let _ = first.answers.send(Err(error::garbled()));
        }
        let error = match end {
            End::Gone(error) => error::ended(error),
            End::Garbled => error::ended(None),
        };
        for waiting in waiting {
            let _ = waiting.answers.send(Err(error.clone()));
        }
        while let Some(ask) = self.asks.recv().await {
            let _ = ask.answers.send(Err(error::not_sent()));
        }
    }

    async fn carry(&mut self, stream: Stream) -> End {
        let (mut from, mut to) = tokio::io::split(stream);
        let mut is_flushed = true;
        loop {
            self.arrived.reserve(READ);
            let takes_more = self.unwritten.len() < UNWRITTEN && self.commands < ON_THEIR_WAY;
            let moved = tokio::select! {
                ask = self.asks.recv(), if takes_more => {
                    let Some(ask) = ask else { return End::Gone(None) };
                    self.take(ask);
                    is_flushed = false;
                    Ok(1)
                }
                written = push(&mut to, &self.unwritten), if !is_flushed => {
                    is_flushed = self.unwritten.is_empty();
                    written.inspect(|written| self.unwritten.advance(*written)).map(|_| 1)
                }
                read = from.read_buf(&mut self.arrived) => read,
            };
            match moved {
                Ok(0) => return End::Gone(None),
                Ok(_) => {}
                Err(error) => return End::Gone(Some(error)),
            }
            if self.deliver().is_err() {
                return End::Garbled;
            }
        }
    }

    /// Takes commands out of the line.
    fn take(&mut self, ask: Ask) {
        let Ask { commands, expected, answers } = ask;
        // Nobody waits for it any more: nothing needs to be sent.
        if answers.is_closed() {
            return;
        }
        self.unwritten.extend_from_slice(&commands);
        self.commands += expected.len();
        let replies = Vec::with_capacity(expected.len());
        self.waiting.push_back(Waiting { expected, replies, answers });
        self.settle();
    }

    /// Gives what has arrived to those who wait for it.
    fn deliver(&mut self) -> Result<(), Garbled> {
        while !self.arrived.is_empty() {
            let Some(answer) = self.dialect.decode(&mut self.arrived)? else { break };
            let waiting = self.waiting.front_mut().ok_or(Garbled)?;
            let Some((opaque, form)) = waiting.expected.pop_front() else { return Err(Garbled) };
            if !answer.answers(opaque, form) {
                return Err(Garbled);
            }
            self.commands = self.commands.saturating_sub(1);
            let leaves_order = answer.leaves_order(form);
            waiting.replies.push(answer.reply);
            self.settle();
            if !leaves_order {
                return Err(Garbled);
            }
        }
        Ok(())
    }

    /// Answers those who have all their answers.
    fn settle(&mut self) {
        while self.waiting.front().is_some_and(|waiting| waiting.expected.is_empty()) {
            if let Some(Waiting { replies, answers, .. }) = self.waiting.pop_front() {
                // Whoever does not wait any more needs no answer.
                let _ = answers.send(Ok(replies));
            }
        }
    }
}

/// Writes some of this, or, where there is nothing, sees that all of it has left; how much was written.
async fn push(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() {
        return to.flush().await.map(|()| 0);
    }
    match to.write(bytes).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        written => Ok(written),
    }
}

#[derive(Debug)]
struct EndsWith(Arc<AtomicBool>);

impl EndsWith {
    fn end(&self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Drop for EndsWith {
    fn drop(&mut self) {
        self.end();
    }
}
