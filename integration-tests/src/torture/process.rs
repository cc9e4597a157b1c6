//! One process of the run, seen from the one that ordered it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use super::callers::{acts_before, generations};
use super::child::{AUDITED, AUDITS, DONE, OLDEST, Order};

/// A running process; it ends with its handle.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// As long as it is held, the process goes on.
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    /// What it was ordered.
    pub(super) order: Order,
    /// How far it is.
    pub(super) acts: u64,
    /// The oldest generation that it serves yet.
    pub(super) oldest: u64,
    /// The oldest generation at which it has not looked yet after all.
    pub(super) audited: u64,
    pub(super) state: State,
}

/// How far a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Acts,
    Audits,
    Done,
}

impl Process {
    /// Starts it.
    pub(super) fn start(program: &str, order: Order) -> Self {
        let mut command = Command::new(program);
        command.arg(CHILD).arg(serde_json::to_string(&order).unwrap());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        let (say, lines) = channel();
        // It reads ahead, so that nobody waits for whoever is slow to listen.
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if say.send(line).is_err() {
                    return;
                }
            }
        });
        let (acts, audited) = (order.from, order.judged);
        let oldest = generations(acts).0;
        Self { child, input, lines, order, acts, oldest, audited, state: State::Acts }
    }

    /// Takes what it has said.
    ///
    /// # Panics
    /// If it ended before it was done; it has said why.
    pub(super) fn listen(&mut self) {
        loop {
            match self.lines.try_recv() {
                Ok(line) if line == AUDITS => self.state = State::Audits,
                Ok(line) if line == DONE => self.state = State::Done,
                Ok(line) => self.hear(&line),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    assert_eq!(self.state, State::Done, "process {} ended too soon", self.order.process);
                    return;
                }
            }
        }
    }

    fn hear(&mut self, line: &str) {
        if let Some(oldest) = line.strip_prefix(OLDEST) {
            self.oldest = self.oldest.max(oldest.parse().unwrap());
            self.acts = self.acts.max(acts_before(self.oldest));
        } else if let Some(audited) = line.strip_prefix(AUDITED) {
            self.audited = audited.parse().unwrap();
        } else {
            self.acts = self.acts.max(line.parse().unwrap());
        }
    }

    /// Tells it that nobody serves this generation any more.
    pub(super) fn audit(&mut self, generation: u64) {
        if let Some(input) = &mut self.input {
            // Whether it has ended, `listen` says.
            let _ = writeln!(input, "{generation}");
        }
    }

    /// Tells it that it is enough.
    pub(super) fn stop(&mut self) {
        self.input = None;
    }

    /// Kills it as `kill -9` does, and gives the order for the one in its place.
    pub(super) fn kill(mut self) -> Order {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        Order { from: self.acts, life: self.order.life + 1, ..self.order.clone() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first argument of a process that is ordered.
pub(super) const CHILD: &str = "child";
