//! What goes wrong between a store and its server, each as somebody's driver, pool or proxy really does it.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use stickystore_core::async_trait;
use stickystore_integration_tests::meddler::{Fault, Server};
use stickystore_integration_tests::resp::{Command, Reply};

use super::asked::{self, Asked};

/// Out of so many writes, one is lost: the others go well, as on a network that mostly works.
const ONE_OF: usize = 3;

/// Nothing goes wrong.
pub(super) struct Sound;

impl Fault for Sound {}

/// After a call was given up, its answer stays on the connection: the next command gets it, and each one after that the
/// answer of the one before.
#[derive(Default)]
pub(super) struct StaleReply {
    given_up: AtomicBool,
    /// By connection: the answers that are owed.
    owed: Mutex<HashMap<usize, VecDeque<Reply>>>,
}

#[async_trait]
impl Fault for StaleReply {
    async fn exchange(&self, command: Command, server: &mut Server) -> io::Result<Vec<Reply>> {
        let reply = server.ask(&command).await?;
        let mut owed = self.owed.lock().unwrap();
        let owed = owed.entry(server.connection).or_default();
        // The last one is kept after it was given.
        if !owed.is_empty() && !self.given_up.swap(false, Ordering::SeqCst) {
            owed.pop_front();
        }
        owed.push_back(reply);
        Ok(vec![owed[0].clone()])
    }

    fn given_up(&self) {
        self.given_up.store(true, Ordering::SeqCst);
    }
}

/// Sends what it may a second time at once, and gives the second answer: a driver that retries.
pub(super) struct SecondSend(pub(super) fn(&Asked) -> bool);

#[async_trait]
impl Fault for SecondSend {
    async fn exchange(&self, command: Command, server: &mut Server) -> io::Result<Vec<Reply>> {
        if self.0(&Asked::of(&command)) {
            server.ask(&command).await?;
        }
        Ok(vec![server.ask(&command).await?])
    }
}

/// Sends what it may a second time after the next command of its connection: a retry that lands late.
pub(super) struct LateSend {
    of: fn(&Asked) -> bool,
    /// By connection: what is still to come.
    late: Mutex<HashMap<usize, Command>>,
}

impl LateSend {
    pub(super) fn new(of: fn(&Asked) -> bool) -> Self {
        Self { of, late: Mutex::default() }
    }
}

#[async_trait]
impl Fault for LateSend {
    async fn exchange(&self, command: Command, server: &mut Server) -> io::Result<Vec<Reply>> {
        let reply = server.ask(&command).await?;
        let late = self.late.lock().unwrap().remove(&server.connection);
        if let Some(late) = late {
            server.ask(&late).await?;
        }
        if (self.of)(&Asked::of(&command)) {
            self.late.lock().unwrap().insert(server.connection, command);
        }
        Ok(vec![reply])
    }
}

/// Some writes never arrive, and the connection's end is kept from the client: it is told that all went well.
#[derive(Default)]
pub(super) struct SwallowedReset(AtomicUsize);

#[async_trait]
impl Fault for SwallowedReset {
    async fn exchange(&self, command: Command, server: &mut Server) -> io::Result<Vec<Reply>> {
        let asked = Asked::of(&command);
        if asked.is_write() && self.0.fetch_add(1, Ordering::SeqCst) % ONE_OF == ONE_OF - 1 {
            return Ok(vec![asked.success()]);
        }
        Ok(vec![server.ask(&command).await?])
    }
}

/// Some writes never arrive, and are answered with what the connection's write before was.
#[derive(Default)]
pub(super) struct AnswerOfAnother {
    writes: AtomicUsize,
    last: Mutex<HashMap<usize, Reply>>,
}

#[async_trait]
impl Fault for AnswerOfAnother {
    async fn exchange(&self, command: Command, server: &mut Server) -> io::Result<Vec<Reply>> {
        if !Asked::of(&command).is_write() {
            return Ok(vec![server.ask(&command).await?]);
        }
        let last = self.last.lock().unwrap().get(&server.connection).cloned();
        if let Some(last) = last
            && self.writes.fetch_add(1, Ordering::SeqCst) % ONE_OF == ONE_OF - 1
        {
            return Ok(vec![last]);
        }
        let reply = server.ask(&command).await?;
        self.last.lock().unwrap().insert(server.connection, reply.clone());
        Ok(vec![reply])
    }
}

/// The server's own sweep of a user is set by what was written last, whatever else the user has.
pub(super) struct LoweredSweep;

#[async_trait]
impl Fault for LoweredSweep {
    async fn exchange(&self, command: Command, server: &mut Server) -> io::Result<Vec<Reply>> {
        let reply = server.ask(&command).await?;
        if let Some(life) = asked::life_of_last(&command) {
            let command = vec![b"PEXPIRE".to_vec(), command[3].clone(), life.to_string().into_bytes()];
            server.ask(&command).await?;
        }
        Ok(vec![reply])
    }
}

/// The grace of a sweep gets lost on the way.
pub(super) struct LostGrace;

#[async_trait]
impl Fault for LostGrace {
    async fn exchange(&self, mut command: Command, server: &mut Server) -> io::Result<Vec<Reply>> {
        if Asked::of(&command).is_write() {
            command[asked::GRACE] = b"0".to_vec();
        }
        Ok(vec![server.ask(&command).await?])
    }
}

/// A text protocol that lets CR LF through: a name ends there, and what follows is a command of its own.
pub(super) struct LineBreaks;

#[async_trait]
impl Fault for LineBreaks {
    async fn exchange(&self, mut command: Command, server: &mut Server) -> io::Result<Vec<Reply>> {
        let mut injected = Vec::new();
        if !matches!(Asked::of(&command), Asked::Other) {
            // Not the script itself, nor where it is written down that there is one key.
            for word in command.iter_mut().skip(3) {
                if let Some(end) = word.windows(2).position(|bytes| bytes == b"\r\n") {
                    let rest = word.split_off(end);
                    injected.extend(rest.split(u8::is_ascii_control).map(<[u8]>::to_vec));
                }
            }
        }
        let reply = server.ask(&command).await?;
        for line in injected {
            let words: Command = line.split(|byte| *byte == b' ').map(<[u8]>::to_vec).collect();
            if !words[0].is_empty() {
                server.ask(&words).await?;
            }
        }
        Ok(vec![reply])
    }
}

/// Whatever a read fails with, nothing is there.
pub(super) struct AbsentOnError;

#[async_trait]
impl Fault for AbsentOnError {
    async fn exchange(&self, command: Command, server: &mut Server) -> io::Result<Vec<Reply>> {
        let reply = server.ask(&command).await?;
        Ok(vec![match (Asked::of(&command), reply) {
            (Asked::Load, Reply::Error(_)) => Reply::List(Vec::new()),
            (Asked::Get(fields), Reply::Error(_)) => Reply::List(vec![Reply::Nil; fields]),
            (_, reply) => reply,
        }])
    }
}

/// Of a user with many entries, the last does not arrive.
pub(super) struct CutUser;

/// More than these entries are many.
const MANY: usize = 100;

#[async_trait]
impl Fault for CutUser {
    async fn exchange(&self, command: Command, server: &mut Server) -> io::Result<Vec<Reply>> {
        let mut reply = server.ask(&command).await?;
        if let (Asked::Load, Reply::List(fields)) = (Asked::of(&command), &mut reply)
            && fields.len() > 2 * MANY
        {
            fields.truncate(fields.len() - 2);
        }
        Ok(vec![reply])
    }
}

/// A name without its text at the end of a user.
pub(super) struct HalfPair;

#[async_trait]
impl Fault for HalfPair {
    async fn exchange(&self, command: Command, server: &mut Server) -> io::Result<Vec<Reply>> {
        let mut reply = server.ask(&command).await?;
        if let (Asked::Load, Reply::List(fields)) = (Asked::of(&command), &mut reply) {
            fields.pop();
        }
        Ok(vec![reply])
    }
}

/// What is longer than a buffer ends with it.
pub(super) struct FullBuffer;

/// How long the buffer is.
const BUFFER: usize = 64 << 10;

#[async_trait]
impl Fault for FullBuffer {
    async fn exchange(&self, mut command: Command, server: &mut Server) -> io::Result<Vec<Reply>> {
        for word in &mut command {
            word.truncate(BUFFER);
        }
        Ok(vec![server.ask(&command).await?])
    }
}

/// The answers to two commands that were sent together, or to two users of one command, come back in the other order.
pub(super) struct SwappedReplies;

impl Fault for SwappedReplies {
    fn deliver(&self, mut replies: Vec<Reply>) -> Vec<Reply> {
        let of_several = replies.iter_mut().find_map(|reply| match reply {
            Reply::List(users) if matches!(&users[..], [Reply::List(_), Reply::List(_), ..]) => Some(users),
            _ => None,
        });
        if let Some(users) = of_several {
            users.swap(0, 1);
            return replies;
        }
        let lists: Vec<_> = (0..replies.len()).filter(|at| matches!(replies[*at], Reply::List(_))).collect();
        if let [first, second, ..] = lists[..] {
            replies.swap(first, second);
        }
        replies
    }
}

/// A read on one connection gets the last answer of another: a pool that mixes its connections up.
#[derive(Default)]
pub(super) struct CrossedConnections(Mutex<HashMap<usize, Reply>>);

#[async_trait]
impl Fault for CrossedConnections {
    async fn exchange(&self, command: Command, server: &mut Server) -> io::Result<Vec<Reply>> {
        let reply = server.ask(&command).await?;
        if !matches!(Asked::of(&command), Asked::Load) {
            return Ok(vec![reply]);
        }
        let mut last = self.0.lock().unwrap();
        let of_another = last.iter().find(|(connection, _)| **connection != server.connection);
        let given = of_another.map_or_else(|| reply.clone(), |(_, reply)| reply.clone());
        last.insert(server.connection, reply);
        Ok(vec![given])
    }
}

/// A read goes to a copy that is one read behind.
#[derive(Default)]
pub(super) struct StaleCopy(Mutex<HashMap<Command, Reply>>);

#[async_trait]
impl Fault for StaleCopy {
    async fn exchange(&self, command: Command, server: &mut Server) -> io::Result<Vec<Reply>> {
        let reply = server.ask(&command).await?;
        if !matches!(Asked::of(&command), Asked::Load | Asked::Get(_)) {
            return Ok(vec![reply]);
        }
        let before = self.0.lock().unwrap().insert(command, reply.clone());
        Ok(vec![before.unwrap_or(reply)])
    }
}
