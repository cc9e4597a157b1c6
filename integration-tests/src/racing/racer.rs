//! Another process in a race, seen from the one that started it: lines in, lines out.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use stickystore_core::Namespace;

use super::PATIENCE;
use super::child::{END, READY};

/// A process that runs `racer`; it ends with its handle.
#[derive(Debug)]
pub(super) struct Racer {
    process: Child,
    orders: ChildStdin,
    lines: Receiver<String>,
}

impl Racer {
    /// Starts it, and waits until it has reached its server.
    pub(super) fn start(program: &str, url: &str, namespace: &Namespace) -> Self {
        let mut command = Command::new(program);
        command.arg(url).arg(namespace.as_str()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let (orders, output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let (say, lines) = channel();
        // It reads ahead, so that nobody waits for whoever is slow to listen.
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                if say.send(String::from_utf8(line).unwrap()).is_err() {
                    return;
                }
            }
        });
        let racer = Self { process, orders, lines };
        assert_eq!(racer.next(), READY);
        racer
    }

    /// Gives it an order.
    pub(super) fn tell(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
        self.orders.flush().unwrap();
    }

    /// All answers to the last order.
    pub(super) fn answers(&mut self) -> Vec<String> {
        std::iter::from_fn(|| Some(self.next()).filter(|line| line != END)).collect()
    }

    /// So many answers of those that come.
    pub(super) fn some(&mut self, count: usize) -> Vec<String> {
        let some: Vec<_> = (0..count).map(|_| self.next()).collect();
        assert!(!some.iter().any(|line| line == END), "it goes on until it is told to stop");
        some
    }

    /// Kills it as `kill -9` does; gives what it had still said.
    pub(super) fn kill(mut self) -> Vec<String> {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        let said: Vec<_> = self.lines.iter().collect();
        assert!(!said.iter().any(|line| line == END), "it was in the middle of it");
        said
    }

    fn next(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("the other process answers; if it ended, it said why")
    }
}

impl Drop for Racer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
