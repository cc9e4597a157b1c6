//! What moves bytes between the callers of a connection and its server.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Buf as _, BytesMut};
use stickystore_core::Result;
use stickystore_transport::Stream;
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};

use crate::error;
use crate::wire::{Dialect, Form, Garbled, Parts, Reply};

/// The most commands that are on their way at once; more wait in line.
const ON_THEIR_WAY: usize = 4096;

/// The most bytes that wait to be written before the next command is taken out of the line.
const UNWRITTEN: usize = 1 << 20;

/// How much is read at once.
const READ: usize = 16 << 10;

/// Commands of one caller, and where their answers go.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) commands: Parts,
    pub(super) expected: VecDeque<(u32, Form)>,
    pub(super) answers: oneshot::Sender<Result<Vec<Reply>>>,
}

/// How much is written at once.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pace {
    AllAtOnce,
    /// A TLS record has nothing of the next part in it: behind a value, the server does not look for the rest of a record
    /// before something else arrives (tried with 1.6.18).
    ByPart,
}

/// What moves bytes between callers and the server.
pub(super) struct Driver {
    asks: mpsc::Receiver<Ask>,
    dialect: Dialect,
    unwritten: Unwritten,
    arrived: BytesMut,
    /// Whose answers are awaited, in order.
    waiting: VecDeque<Waiting>,
    /// How many commands they are.
    commands: usize,
    /// Whether the last answers were more than one caller's.
    is_crowded: bool,
    ended: EndsWith,
}

/// What is to be written and has not gone yet.
struct Unwritten {
    bytes: BytesMut,
    /// What is left of each part of them.
    parts: VecDeque<usize>,
    pace: Pace,
}

impl Unwritten {
    /// What is written next.
    fn next(&self) -> &[u8] {
        let most = match self.pace {
            Pace::AllAtOnce => self.bytes.len(),
            Pace::ByPart => self.parts.front().copied().unwrap_or_default(),
        };
        self.bytes.get(..most).unwrap_or_default()
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes.advance(written);
        while let Some(part) = self.parts.front_mut() {
            if *part > written {
                *part -= written;
                break;
            }
            written -= *part;
            self.parts.pop_front();
        }
    }
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
    pub(super) fn new(asks: mpsc::Receiver<Ask>, dialect: Dialect, pace: Pace, ended: EndsWith) -> Self {
        let unwritten = Unwritten { bytes: BytesMut::new(), parts: VecDeque::new(), pace };
        let arrived = BytesMut::new();
        let waiting = VecDeque::new();
        Self { asks, dialect, unwritten, arrived, waiting, commands: 0, is_crowded: false, ended }
    }

    pub(super) async fn drive(mut self, stream: Stream) {
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
            let moved = tokio::select! {
                ask = self.asks.recv(), if self.takes_more() => {
                    let Some(ask) = ask else { return End::Gone(None) };
                    self.take(ask);
                    self.take_others().await;
                    is_flushed = false;
                    Ok(1)
                }
                written = push(&mut to, self.unwritten.next()), if !is_flushed => {
                    is_flushed = self.unwritten.bytes.is_empty();
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

    fn takes_more(&self) -> bool {
        self.unwritten.bytes.len() < UNWRITTEN && self.commands < ON_THEIR_WAY
    }

    /// Takes what else stands in line, so that all of it is written at once.
    async fn take_others(&mut self) {
        // Those who were answered together come back together: whoever has not run yet may do so first.
        if self.is_crowded {
            tokio::task::yield_now().await;
        }
        while self.takes_more() {
            let Ok(ask) = self.asks.try_recv() else { break };
            self.take(ask);
        }
    }

    /// Takes commands out of the line.
    fn take(&mut self, ask: Ask) {
        let Ask { commands, expected, answers } = ask;
        // Nobody waits for it any more: nothing needs to be sent.
        if answers.is_closed() {
            return;
        }
        self.unwritten.bytes.extend_from_slice(&commands.bytes);
        self.unwritten.parts.extend(commands.lengths);
        self.commands += expected.len();
        let replies = Vec::with_capacity(expected.len());
        self.waiting.push_back(Waiting { expected, replies, answers });
        self.settle();
    }

    /// Gives what has arrived to those who wait for it.
    fn deliver(&mut self) -> Result<(), Garbled> {
        let waited = self.waiting.len();
        while !self.arrived.is_empty() {
            let waiting = self.waiting.front_mut().ok_or(Garbled)?;
            let (opaque, form) = *waiting.expected.front().ok_or(Garbled)?;
            let Some(answer) = self.dialect.decode(&mut self.arrived, form)? else { break };
            waiting.expected.pop_front();
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
        if self.waiting.len() < waited {
            self.is_crowded = waited - self.waiting.len() > 1;
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
pub(super) struct EndsWith(pub(super) Arc<AtomicBool>);

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
