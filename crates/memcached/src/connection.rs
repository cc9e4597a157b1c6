//! Connections: making one, and sharing it between callers. The answers come in the order of the commands, each under the
//! command's number; one that is the answer to nothing ends the connection.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use stickystore_core::{Result, UnixMillis};
use stickystore_transport::{
    Connect, Detach, Garbled, Heard, Pace, Parts, Pipe, Question, Stream, Target, ended,
};
use tokio::time::timeout_at;

use crate::config::{Config, Login};
use crate::error;
use crate::greeting::Greeting;
use crate::wire::{Command, Dialect, Form, Refusal, Reply};

/// One connection to a server at a time, made when it is needed and made anew when it died.
pub(crate) type Lane = stickystore_transport::Lane<Connector>;

/// A connection of a lane, which stays the same one for as long as it is held.
pub(crate) type Connection = stickystore_transport::Connection<Connector>;

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
        link.greeting = greeting.unwrap_or_else(|_| Err(ended(None))).map_err(error::setting_up)?;
        Ok(link)
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Link {
    dialect: Dialect,
    pipe: Pipe<Asked>,
    next: AtomicU32,
    greeting: Greeting,
}

impl Link {
    fn over(stream: Stream, dialect: Dialect, pace: Pace) -> Self {
        let pipe = Pipe::over(stream, pace);
        Self { dialect, pipe, next: AtomicU32::new(0), greeting: Greeting::default() }
    }

    /// Sends these together and awaits all answers.
    ///
    /// # Errors
    /// By its effect it says whether anything can have been sent.
    pub(crate) async fn send(&self, commands: &[Command<'_>]) -> Result<Vec<Reply>> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let mut parts = Parts::with_capacity(commands.iter().map(Command::most_bytes).sum(), commands.len());
        let encode = |command: &Command<'_>| {
            let opaque = self.next.fetch_add(1, Ordering::Relaxed);
            self.dialect.encode(command, opaque, &mut parts);
            (opaque, command.form())
        };
        let expected = commands.iter().map(encode).collect();
        let replies = Vec::with_capacity(commands.len());
        self.pipe.ask(parts, Asked { dialect: self.dialect, expected, replies }).await
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
        self.pipe.is_alive()
    }
}

impl Detach for Link {
    type Question = Asked;

    fn pipe(&self) -> &Pipe<Asked> {
        &self.pipe
    }

    async fn detach(self) -> Result<Self> {
        Ok(Self { pipe: self.pipe.own().await?, ..self })
    }
}

/// Commands that were sent together, and the answers that have come.
#[derive(Debug)]
pub(crate) struct Asked {
    dialect: Dialect,
    expected: VecDeque<(u32, Form)>,
    replies: Vec<Reply>,
}

impl Question for Asked {
    type Answer = Vec<Reply>;

    const PORTION: usize = 8;

    fn commands(&self) -> usize {
        self.expected.len()
    }

    fn hear(&mut self, arrived: &mut BytesMut) -> Result<Heard<Vec<Reply>>, Garbled> {
        while let Some((opaque, form)) = self.expected.front().copied() {
            let Some(answer) = self.dialect.decode(arrived, form)? else { return Ok(Heard::Part) };
            if !answer.answers(opaque, form) {
                return Err(Garbled);
            }
            self.expected.pop_front();
            let leaves_order = answer.leaves_order(form);
            self.replies.push(answer.reply);
            if !leaves_order {
                let is_whole = self.expected.is_empty();
                return if is_whole {
                    Ok(Heard::Last(std::mem::take(&mut self.replies)))
                } else {
                    Err(Garbled)
                };
            }
        }
        Ok(Heard::All(std::mem::take(&mut self.replies)))
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
