//! A pipe: one stream, whose server answers in the order in which it is asked. Many callers share it, or it is one caller's own.
//!
//! What a question is and when its answer has arrived is the protocol's; this moves bytes. Nothing is sent twice.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::BytesMut;
use stickystore_core::Result;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use crate::error::{ended, not_sent, streaming};
use crate::stream::Stream;

mod driver;
mod own;

use driver::{Ask, Driver, EndsWith, Order};
use own::Own;

/// How many callers may stand in line before the pipe takes their questions.
const LINE: usize = 1024;

/// What a caller asked, and what has arrived of the answer.
pub trait Question: Send + 'static {
    /// What it is answered.
    type Answer: Send + 'static;

    /// When so many callers or more, at least a quarter of those who wait, are given their answers, they may ask again before the
    /// others are given theirs: client and server then work at the same time, at the price of more and smaller writes. Those who were
    /// asked in one may in any case.
    const PORTION: usize = usize::MAX;

    /// How many commands it is.
    fn commands(&self) -> usize;

    /// Takes what belongs to its answer out of what has arrived.
    ///
    /// # Errors
    /// [`Garbled`] if that is no answer to it: the pipe ends.
    fn hear(&mut self, arrived: &mut BytesMut) -> Result<Heard<Self::Answer>, Garbled>;

    /// Whether the server can be asked this in one with what others ask at the same moment.
    fn is_joinable(&self) -> bool {
        false
    }

    /// What asks several, [each of which can be](Self::is_joinable), in one: how many of them, from the first, and what is sent for
    /// these. Where it is only one, that goes as it is.
    fn join<'a>(asked: impl Iterator<Item = (&'a Self, &'a Parts)>) -> (usize, Parts)
    where
        Self: 'a,
    {
        drop(asked);
        (1, Parts::default())
    }

    /// The answers of so many who were asked in one, in their order: what the first of them heard. Another number of answers is an
    /// answer to none of them.
    fn share(answer: Self::Answer, askers: usize) -> Vec<Self::Answer> {
        let _ = askers;
        vec![answer]
    }
}

/// How much of an answer has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard<A> {
    /// Not all of it.
    Part,
    /// All of it.
    All(A),
    /// All of it, but what follows cannot be trusted to be the next one: the pipe ends.
    Last(A),
}

/// What arrived is not the protocol, or the answer to something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Garbled;

/// How much is written at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Whatever there is.
    AllAtOnce,
    /// A TLS record has nothing of the next part in it. For Memcached: behind a value, it does not look for the rest of a
    /// record before something else arrives (tried with 1.6.18).
    ByPart,
}

/// What is to be sent, in parts that the server takes in one piece each.
#[derive(Debug, Default)]
pub struct Parts {
    bytes: Vec<u8>,
    /// How long each of them is.
    lengths: Vec<usize>,
    /// How long they are together.
    ended: usize,
}

impl Parts {
    /// Empty, with room for so many bytes and parts.
    pub fn with_capacity(bytes: usize, parts: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), lengths: Vec::with_capacity(parts), ended: 0 }
    }

    /// Appends to the part that has not ended.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends to the part that has not ended.
    pub fn push_text(&mut self, text: fmt::Arguments<'_>) {
        // There is nothing that could fail.
        let _ = std::io::Write::write_fmt(&mut self.bytes, text);
    }

    /// Ends a part: what follows is for the server to take after it.
    pub fn end_part(&mut self) {
        self.lengths.push(self.bytes.len() - self.ended);
        self.ended = self.bytes.len();
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How long each part is.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }
}

/// One stream, and what drives it: a task for all callers, which ends with the pipe, or the thread of its one caller.
#[derive(Debug)]
pub struct Pipe<Q: Question> {
    way: Way<Q>,
    alive: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Way<Q: Question> {
    Shared { line: mpsc::Sender<Order<Q>>, pace: Pace, _task: EndsTask },
    Own(Mutex<Own>),
}

/// Ends the task when it is dropped.
#[derive(Debug)]
struct EndsTask(AbortHandle);

impl Drop for EndsTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<Q: Question> Pipe<Q> {
    /// A pipe over this stream, on the runtime of its caller.
    pub fn over(stream: Stream, pace: Pace) -> Self {
        let (line, orders) = mpsc::channel(LINE);
        let alive = Arc::new(AtomicBool::new(true));
        // Set also when the task is dropped with its runtime.
        let ended = EndsWith::new(Arc::clone(&alive));
        let task = tokio::spawn(async move { Driver::new(orders, pace, ended).drive(stream).await });
        Self { way: Way::Shared { line, pace, _task: EndsTask(task.abort_handle()) }, alive }
    }

    /// The same stream for one caller at a time, whose thread waits on it: what is asked is answered when it is first polled, on
    /// any thread, inside a runtime or outside. Nothing may be under way.
    ///
    /// # Errors
    /// The stream has ended, or cannot be waited on.
    pub async fn own(self) -> Result<Self> {
        let Way::Shared { line, pace, _task } = self.way else { return Ok(self) };
        let (wants, stream) = oneshot::channel();
        line.send(Order::GiveBack(wants)).await.map_err(|_| not_sent())?;
        let stream = stream.await.map_err(|_| not_sent())?;
        let stream = stream.into_waiting().map_err(streaming)?;
        Ok(Self {
            way: Way::Own(Mutex::new(Own::over(stream, pace))),
            alive: Arc::new(AtomicBool::new(true)),
        })
    }

    /// Sends this together and awaits the answer.
    ///
    /// # Errors
    /// By its effect it says whether anything can have been sent.
    pub async fn ask(&self, parts: Parts, mut question: Q) -> Result<Q::Answer> {
        match &self.way {
            Way::Shared { line, .. } => {
                let (answer, answered) = oneshot::channel();
                let ask = Ask { parts, question, answer };
                line.send(Order::Ask(ask)).await.map_err(|_| not_sent())?;
                answered.await.unwrap_or_else(|_| Err(ended(None)))
            }
            Way::Own(own) => {
                let mut own = lock(own);
                if !self.is_alive() {
                    return Err(not_sent());
                }
                // Unless it is known to be in order when it has answered, nobody shall ask again.
                self.retire();
                let (answer, is_last) = own.ask(&parts, &mut question)?;
                self.alive.store(!is_last, Ordering::Release);
                Ok(answer)
            }
        }
    }

    /// Until when a thread may wait for what is asked next; of a pipe that is shared, each caller sees to that.
    pub fn until(&self, deadline: Instant) {
        if let Way::Own(own) = &self.way {
            lock(own).until(deadline);
        }
    }

    /// Whether what is sent over it can still be answered. What is sent over a dead one never leaves.
    pub fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    /// The same, and of a pipe that is a thread's own, which nobody listens to between its calls, whether nothing has come in
    /// the meantime: neither the end nor what was not asked for.
    pub fn is_ready(&self) -> bool {
        if let Way::Own(own) = &self.way
            && self.is_alive()
            && !lock(own).is_quiet()
        {
            self.retire();
        }
        self.is_alive()
    }

    /// Takes it for dead, so that whoever comes next takes another; what is under way is answered.
    pub fn retire(&self) {
        self.alive.store(false, Ordering::Release);
    }
}

fn lock(own: &Mutex<Own>) -> MutexGuard<'_, Own> {
    // Should a question panic, the pipe is not alive.
    own.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
