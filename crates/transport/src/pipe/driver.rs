//! What moves bytes between the callers of a pipe and its server.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Buf as _, BytesMut};
use stickystore_core::{Error, Result};
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};

use super::{Garbled, Heard, Pace, Parts, Question};
use crate::error::{ended, garbled, not_sent};
use crate::stream::Stream;

/// The most commands that are on their way at once; more wait in line.
const ON_THEIR_WAY: usize = 4096;

/// The most that are looked at together for what can be asked in one.
const JOINING: usize = 64;

/// The most bytes that wait to be written before the next question is taken out of the line.
const UNWRITTEN: usize = 1 << 20;

/// How much is read at once.
const READ: usize = 16 << 10;

/// A question of one caller, and where its answer goes.
pub(super) struct Ask<Q: Question> {
    pub(super) parts: Parts,
    pub(super) question: Q,
    pub(super) answer: oneshot::Sender<Result<Q::Answer>>,
}

/// What stands in line.
pub(super) enum Order<Q: Question> {
    Ask(Ask<Q>),
    /// The stream itself is wanted: this ends the pipe, if nothing is under way.
    GiveBack(oneshot::Sender<Stream>),
}

/// What moves bytes between callers and the server.
pub(super) struct Driver<Q: Question> {
    line: mpsc::Receiver<Order<Q>>,
    /// What may be asked in one with what else stands in line.
    joining: VecDeque<Ask<Q>>,
    unwritten: Unwritten,
    arrived: BytesMut,
    /// Whose answers are awaited, in order.
    waiting: VecDeque<Waiting<Q>>,
    /// How many commands they are, and how many callers.
    commands: usize,
    callers: usize,
    /// Whether more has arrived than was given, and who was given it may ask again first.
    is_halfway: bool,
    /// Whether the last answers were more than one caller's.
    is_crowded: bool,
    ended: EndsWith,
}

/// What is to be written and has not gone yet.
struct Unwritten {
    bytes: BytesMut,
    /// What is left of each part of them, where the pace asks for it.
    parts: VecDeque<usize>,
    pace: Pace,
}

impl Unwritten {
    fn push(&mut self, parts: &Parts) {
        self.bytes.extend_from_slice(parts.bytes());
        if self.pace == Pace::ByPart {
            self.parts.extend(parts.lengths());
        }
    }

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

struct Waiting<Q: Question> {
    question: Q,
    commands: usize,
    answer: oneshot::Sender<Result<Q::Answer>>,
    /// Those who were asked in one with the first.
    others: Vec<oneshot::Sender<Result<Q::Answer>>>,
}

impl<Q: Question> Waiting<Q> {
    fn fail(self, error: &Error) {
        // Whoever does not wait any more needs no answer.
        for answer in self.others.into_iter().chain([self.answer]) {
            let _ = answer.send(Err(error.clone()));
        }
    }

    /// Whether it was an answer to all of them.
    fn give(self, answer: Q::Answer) -> bool {
        if self.others.is_empty() {
            // The same.
            let _ = self.answer.send(Ok(answer));
            return true;
        }
        let askers = 1 + self.others.len();
        let answers = Q::share(answer, askers);
        if answers.len() != askers {
            self.fail(&garbled());
            return false;
        }
        for (asker, answer) in std::iter::once(self.answer).chain(self.others).zip(answers) {
            let _ = asker.send(Ok(answer));
        }
        true
    }
}

/// Why a pipe ended.
#[derive(Debug)]
enum End {
    /// Nobody needs it any more, or the server went away.
    Gone(Option<io::Error>),
    /// It answered what nobody asked.
    Garbled,
}

impl<Q: Question> Driver<Q> {
    pub(super) fn new(line: mpsc::Receiver<Order<Q>>, pace: Pace, ended: EndsWith) -> Self {
        let unwritten = Unwritten { bytes: BytesMut::new(), parts: VecDeque::new(), pace };
        let (arrived, waiting, joining) = (BytesMut::new(), VecDeque::new(), VecDeque::new());
        Self {
            line,
            joining,
            unwritten,
            arrived,
            waiting,
            commands: 0,
            callers: 0,
            is_halfway: false,
            is_crowded: false,
            ended,
        }
    }

    pub(super) async fn drive(mut self, stream: Stream) {
        let end = self.carry(stream).await;
        // Before anybody is told: whoever comes next shall not take this connection.
        self.ended.end();
        self.line.close();
        let mut waiting = self.waiting.into_iter();
        if matches!(end, End::Garbled)
            && let Some(first) = waiting.next()
        {
            first.fail(&garbled());
        }
        let error = match end {
            End::Gone(error) => ended(error),
            End::Garbled => ended(None),
        };
        waiting.for_each(|waiting| waiting.fail(&error));
        while let Some(order) = self.line.recv().await {
            if let Order::Ask(ask) = order {
                let _ = ask.answer.send(Err(not_sent()));
            }
        }
    }

    async fn carry(&mut self, stream: Stream) -> End {
        let (mut from, mut to) = tokio::io::split(stream);
        let mut is_flushed = true;
        loop {
            self.arrived.reserve(READ);
            let mut hears = false;
            let moved = tokio::select! {
                order = self.line.recv(), if self.takes_more() => {
                    match order {
                        Some(Order::Ask(ask)) => self.take(ask),
                        Some(Order::GiveBack(wants)) if self.is_idle() => {
                            // Whoever does not want it any more lets it end.
                            let _ = wants.send(from.unsplit(to));
                            return End::Gone(None);
                        }
                        Some(Order::GiveBack(_)) | None => return End::Gone(None),
                    }
                    self.take_others().await;
                    is_flushed = false;
                    Ok(1)
                }
                written = push(&mut to, self.unwritten.next()), if !is_flushed => {
                    is_flushed = self.unwritten.bytes.is_empty();
                    written.inspect(|written| self.unwritten.advance(*written)).map(|_| 1)
                }
                read = from.read_buf(&mut self.arrived), if !self.is_halfway => {
                    hears = true;
                    read
                }
                () = tokio::task::yield_now(), if self.is_halfway => {
                    hears = true;
                    Ok(1)
                }
            };
            match moved {
                Ok(0) => return End::Gone(None),
                Ok(_) => {}
                Err(error) => return End::Gone(Some(error)),
            }
            if hears && let Err(end) = self.deliver() {
                return end;
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
            let Ok(Order::Ask(ask)) = self.line.try_recv() else { break };
            self.take(ask);
        }
        self.join();
    }

    /// What was written has left: it was answered.
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.arrived.is_empty() && self.unwritten.bytes.is_empty()
    }

    /// Takes a question out of the line.
    fn take(&mut self, ask: Ask<Q>) {
        // Nobody waits for it any more: nothing needs to be sent.
        if ask.answer.is_closed() {
            return;
        }
        if ask.question.is_joinable() {
            self.joining.push_back(ask);
            if self.joining.len() < JOINING {
                return;
            }
            self.join();
        } else {
            // What came before it leaves before it.
            self.join();
            self.leave(&ask.parts, ask.question, ask.answer, Vec::new());
        }
    }

    /// Asks in one what can be.
    fn join(&mut self) {
        while let Some(first) = self.joining.pop_front() {
            if self.joining.is_empty() {
                return self.leave(&first.parts, first.question, first.answer, Vec::new());
            }
            let most = (self.callers + 1 + self.joining.len()).div_ceil(2);
            let asked = std::iter::once(&first).chain(&self.joining).map(|ask| (&ask.question, &ask.parts));
            let (joined, parts) = Q::join(asked.take(most));
            let others = joined.saturating_sub(1).min(self.joining.len());
            let parts = if others > 0 { &parts } else { &first.parts };
            let others = self.joining.drain(..others).map(|ask| ask.answer).collect();
            self.leave(parts, first.question, first.answer, others);
        }
    }

    fn leave(
        &mut self,
        parts: &Parts,
        question: Q,
        answer: oneshot::Sender<Result<Q::Answer>>,
        others: Vec<oneshot::Sender<Result<Q::Answer>>>,
    ) {
        self.unwritten.push(parts);
        let commands = question.commands();
        self.commands += commands;
        self.callers += 1 + others.len();
        self.waiting.push_back(Waiting { question, commands, answer, others });
    }

    /// Gives what has arrived to those who wait for it; an error is the end. Where it is many's, not to all at once: those who have
    /// theirs may ask again, so that the server has something to do meanwhile.
    fn deliver(&mut self) -> Result<(), End> {
        let mut answered = 0;
        self.is_halfway = false;
        while !self.arrived.is_empty() {
            let first = self.waiting.front_mut().ok_or(End::Garbled)?;
            let (answer, is_last) = match first.question.hear(&mut self.arrived) {
                Ok(Heard::Part) => break,
                Ok(Heard::All(answer)) => (answer, false),
                Ok(Heard::Last(answer)) => (answer, true),
                Err(Garbled) => return Err(End::Garbled),
            };
            let Some(waiting) = self.waiting.pop_front() else { break };
            let callers = 1 + waiting.others.len();
            self.commands = self.commands.saturating_sub(waiting.commands);
            self.callers = self.callers.saturating_sub(callers);
            answered += callers;
            if !waiting.give(answer) || is_last {
                return Err(End::Gone(None));
            }
            let is_portion = callers > 1 || answered >= Q::PORTION;
            if is_portion && answered >= self.callers / 3 && !self.arrived.is_empty() {
                self.is_halfway = true;
                break;
            }
        }
        if answered > 0 {
            self.is_crowded = answered > 1;
        }
        Ok(())
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

/// Says that the pipe has ended, at the latest when it is dropped.
#[derive(Debug)]
pub(super) struct EndsWith(Arc<AtomicBool>);

impl EndsWith {
    pub(super) fn new(alive: Arc<AtomicBool>) -> Self {
        Self(alive)
    }

    fn end(&self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Drop for EndsWith {
    fn drop(&mut self) {
        self.end();
    }
}
