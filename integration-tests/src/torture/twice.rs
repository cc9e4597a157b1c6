//! A fault of Redis' wire: a script that was asked for runs a second time, late, as when a proxy or a driver sends it again.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::dice::Dice;
use crate::meddler::{Fault, Server};
use crate::resp::{Command, Reply, put_command};

/// Where a script's users are counted, and how many words stand between their names and what is done with them.
const USERS: usize = 2;
const TIMES: usize = 2;

/// What a removal is called: it is not sent again, as it takes away whatever stands there by then.
const REMOVAL: &[u8] = b"D";

/// How many in a thousand.
const RATE: u64 = 50;

/// How late at most, in milliseconds.
const LATE: u64 = 150;

/// Sends some scripts again.
#[derive(Debug)]
pub(super) struct Twice {
    port: u16,
    dice: Mutex<Dice>,
    /// How many landed.
    landed: Arc<AtomicU64>,
    is_off: AtomicBool,
}

impl Twice {
    pub(super) fn new(port: u16, seed: u64) -> Self {
        Self {
            port,
            dice: Mutex::new(Dice::new(seed, 2_000)),
            landed: Arc::default(),
            is_off: AtomicBool::new(false),
        }
    }

    /// Not any more.
    pub(super) fn stop(&self) {
        self.is_off.store(true, Ordering::SeqCst);
    }

    /// How many were run a second time.
    pub(super) fn landed(&self) -> u64 {
        self.landed.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Fault for Twice {
    async fn exchange(&self, command: Command, server: &mut Server) -> io::Result<Vec<Reply>> {
        let reply = server.ask(&command).await?;
        let is_answered = !matches!(reply, Reply::Error(_));
        let late = {
            let mut dice = self.dice.lock().unwrap();
            dice.happens(RATE).then(|| Duration::from_millis(dice.below(LATE)))
        };
        if let Some(late) = late
            && may_come_twice(&command)
            && is_answered
            && !self.is_off.load(Ordering::SeqCst)
        {
            let (port, landed) = (self.port, Arc::clone(&self.landed));
            tokio::spawn(async move {
                tokio::time::sleep(late).await;
                if again(port, &command).await.is_ok() {
                    landed.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        Ok(vec![reply])
    }
}

/// Whether it is a script that writes and removes nothing: an erasure that arrives after another one is a new erasure.
fn may_come_twice(command: &Command) -> bool {
    if command[0] != b"EVALSHA" {
        return false;
    }
    let users: usize = std::str::from_utf8(&command[USERS]).unwrap().parse().unwrap();
    let asked = &command[USERS + 1 + users + TIMES..];
    // An erasure's epoch is followed by a time, a write's check by the letter of a change.
    let is_write = asked.get(1).is_some_and(|word| word.len() == 1);
    is_write && !asked.iter().any(|word| word == REMOVAL)
}

/// Sends it on a connection of its own, and waits for an answer.
async fn again(port: u16, command: &Command) -> io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut bytes = Vec::new();
    put_command(command, &mut bytes);
    stream.write_all(&bytes).await?;
    if stream.read(&mut [0; 64]).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}
