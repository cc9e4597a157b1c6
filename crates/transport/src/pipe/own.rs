//! A stream on which the thread of its one caller waits: no task, no runtime, two system calls for a question and its answer.

use std::fmt;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use stickystore_core::Result;

use super::{Garbled, Heard, Pace, Parts, Question};
use crate::error::{ended, garbled, no_answer, too_late_to_send};
use crate::stream::Waiting;

/// How much is read at once.
const READ: usize = 16 << 10;

/// So much longer than the deadline a thread may wait: to say anew how long would be two system calls for each question.
const LATE: Duration = Duration::from_millis(25);

/// The longest that the operating system is told to wait at a time.
const LONGEST: Duration = Duration::from_secs(3600);

/// A stream that nobody listened to for so long may have ended in the meantime.
const UNSEEN: Duration = Duration::from_micros(100);

/// One stream, and how it was left.
pub(super) struct Own {
    stream: Box<dyn Waiting>,
    pace: Pace,
    /// What has arrived and is not understood yet.
    arrived: BytesMut,
    room: Box<[u8]>,
    deadline: Instant,
    /// How long the operating system was told to wait.
    waits: Duration,
    /// When the last answer came.
    heard: Instant,
}

impl Own {
    pub(super) fn over(stream: Box<dyn Waiting>, pace: Pace) -> Self {
        let now = Instant::now();
        let (arrived, room) = (BytesMut::new(), vec![0; READ].into());
        Self { stream, pace, arrived, room, deadline: now, waits: Duration::ZERO, heard: now }
    }

    pub(super) fn until(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Sends this and waits for the answer; and whether it is the last. After an error nothing may be asked any more.
    pub(super) fn ask<Q: Question>(&mut self, parts: &Parts, question: &mut Q) -> Result<(Q::Answer, bool)> {
        if Instant::now() >= self.deadline {
            return Err(too_late_to_send());
        }
        self.send(parts)?;
        loop {
            match question.hear(&mut self.arrived) {
                Ok(Heard::Part) => self.listen()?,
                // What is left over is the answer to nothing.
                Ok(Heard::All(answer)) => return Ok((answer, !self.arrived.is_empty())),
                Ok(Heard::Last(answer)) => return Ok((answer, true)),
                Err(Garbled) => return Err(garbled()),
            }
        }
    }

    /// Whether nothing came since the last answer, if nobody knows.
    pub(super) fn is_quiet(&mut self) -> bool {
        if self.heard.elapsed() < UNSEEN {
            return true;
        }
        let looks = |own: &mut Self| {
            own.stream.wait(false)?;
            let looked = own.stream.read(&mut own.room);
            own.stream.wait(true)?;
            looked
        };
        looks(self).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    fn send(&mut self, parts: &Parts) -> Result<()> {
        let mut rest = parts.bytes();
        match self.pace {
            Pace::AllAtOnce => self.write(rest),
            Pace::ByPart => {
                for length in parts.lengths() {
                    let (part, others) = rest.split_at_checked(*length).unwrap_or((rest, &[]));
                    self.write(part)?;
                    rest = others;
                }
                Ok(())
            }
        }
    }

    /// Writes all of this, and sees that it leaves.
    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let written = self.in_time(|own| own.stream.write(bytes))?;
            bytes = bytes.get(written..).unwrap_or_default();
        }
        self.in_time(|own| own.stream.flush().map(|()| 1)).map(drop)
    }

    fn listen(&mut self) -> Result<()> {
        let read = self.in_time(|own| own.stream.read(&mut own.room))?;
        self.arrived.extend_from_slice(self.room.get(..read).unwrap_or_default());
        self.heard = Instant::now();
        Ok(())
    }

    /// Does something that waits, again where it waited less long than it may; zero is the end.
    fn in_time(&mut self, mut wait: impl FnMut(&mut Self) -> io::Result<usize>) -> Result<usize> {
        loop {
            if !self.sees_to_time().map_err(|error| ended(Some(error)))? {
                return Err(no_answer());
            }
            match wait(self) {
                Ok(0) => return Err(ended(None)),
                Ok(moved) => return Ok(moved),
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut => {}
                    _ => return Err(ended(Some(error))),
                },
            }
        }
    }

    /// Sees that the next wait ends by the deadline, or little later; false if that has passed.
    fn sees_to_time(&mut self) -> io::Result<bool> {
        let left = self.deadline.saturating_duration_since(Instant::now()).min(LONGEST);
        if left.is_zero() {
            return Ok(false);
        }
        // Much less than there is would be woken for nothing, each time.
        if self.waits > left + LATE || self.waits < left / 2 {
            self.waits = left;
            self.stream.wait_at_most(left)?;
        }
        Ok(true)
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own").finish_non_exhaustive()
    }
}
