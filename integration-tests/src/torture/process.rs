//! One process of the run, seen from the one that ordered it.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread::JoinHandle;

use super::callers::generations;
use super::child::{AUDITED, AUDITS, DONE, OLDEST, Order, PACE};

/// How many lines are told of what a process complains of that ends too soon.
const COMPLAINTS: usize = 60;

/// A running process; it ends with its handle.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// As long as it is held, the process goes on.
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    /// Gives the last of what it has complained of, when it has ended.
    complaints: Option<JoinHandle<Vec<String>>>,
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
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        let errors = BufReader::new(child.stderr.take().unwrap());
        let complaints = Some(std::thread::spawn(move || {
            let mut last = VecDeque::new();
            for line in errors.lines().map_while(Result::ok) {
                eprintln!("{line}");
                last.truncate(COMPLAINTS - 1);
                last.push_front(line);
            }
            last.into_iter().rev().collect()
        }));
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
        let oldest = generations(order.pace).0;
        Self { child, input, lines, complaints, order, acts, oldest, audited, state: State::Acts }
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
                    if self.state != State::Done {
                        panic!(
                            "process {} ended too soon, {}",
                            self.order.process,
                            last_words(&mut self.child, self.complaints.take())
                        );
                    }
                    return;
                }
            }
        }
    }

    /// How far it is, in words.
    pub(super) fn progress(&self) -> String {
        let Self { order, acts, oldest, audited, state, .. } = self;
        format!("process {}: {acts} acts, {state:?}, oldest {oldest}, audited {audited}; ", order.process)
    }

    fn hear(&mut self, line: &str) {
        if let Some(oldest) = line.strip_prefix(OLDEST) {
            self.oldest = self.oldest.max(oldest.parse().unwrap());
        } else if let Some(audited) = line.strip_prefix(AUDITED) {
            self.audited = audited.parse().unwrap();
        } else {
            self.acts = self.acts.max(line.parse().unwrap());
        }
    }

    /// Tells it that nobody serves this generation any more.
    pub(super) fn audit(&mut self, generation: u64) {
        self.tell(&generation.to_string());
    }

    /// Tells it how far all processes are on average, by which it knows whom to serve.
    pub(super) fn keep_pace(&mut self, pace: u64) {
        self.tell(&format!("{PACE}{pace}"));
    }

    fn tell(&mut self, line: &str) {
        if let Some(input) = &mut self.input {
            // Whether it has ended, `listen` says.
            let _ = input.write_all(format!("{line}\n").as_bytes());
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

/// How a process ended, and the last of what it has complained of.
fn last_words(child: &mut Child, complaints: Option<JoinHandle<Vec<String>>>) -> String {
    let status = child.wait().unwrap();
    let complaints = complaints.map(|reading| reading.join().unwrap()).unwrap_or_default();
    format!("by {status}:\n{}", complaints.join("\n"))
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
