//! A TCP proxy that misbehaves on demand: one rule for what goes to the server, one for what comes back.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// What happens to the bytes of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// They pass.
    Pass,
    /// Each takes so long.
    Delay(Duration),
    /// They wait until the rule is another.
    Hold,
    /// They vanish.
    Swallow,
    /// Each byte goes alone.
    Split,
    /// After so many of them, counted from when the rule was made, the connection ends.
    CutAfter(usize),
    /// The same, with a reset.
    ResetAfter(usize),
}

/// A running proxy; it and all its connections end with its handle.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    up: watch::Sender<Rule>,
    down: watch::Sender<Rule>,
    counts: Arc<Counts>,
    task: AbortHandle,
}

#[derive(Debug, Default)]
struct Counts {
    connections: AtomicUsize,
    ended: AtomicUsize,
    bytes_up: AtomicUsize,
    disturbed: AtomicUsize,
    round_trips: AtomicUsize,
    /// Whether a client sent something and nothing has come back since.
    is_asked: AtomicBool,
}

impl Proxy {
    /// A proxy to this port of this machine, through which everything passes.
    pub async fn start(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (up, down) = (watch::Sender::new(Rule::Pass), watch::Sender::new(Rule::Pass));
        let counts = Arc::new(Counts::default());
        let (ups, downs, counted) = (up.clone(), down.clone(), Arc::clone(&counts));
        let accept = async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                counted.connections.fetch_add(1, Ordering::SeqCst);
                // Those that have ended take no room any more.
                while connections.try_join_next().is_some() {}
                let (up, down, counts) = (ups.subscribe(), downs.subscribe(), Arc::clone(&counted));
                connections.spawn(async move {
                    connect(client, port, up, down, &counts).await;
                    counts.ended.fetch_add(1, Ordering::SeqCst);
                });
            }
        };
        let task = tokio::spawn(accept).abort_handle();
        Self { address, up, down, counts, task }
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The rule for what goes to the server, from now on.
    pub fn up(&self, rule: Rule) {
        self.up.send_replace(rule);
    }

    /// The rule for what comes back, from now on.
    pub fn down(&self, rule: Rule) {
        self.down.send_replace(rule);
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::SeqCst)
    }

    /// How many of them have not ended.
    pub fn open(&self) -> usize {
        let ended = self.counts.ended.load(Ordering::SeqCst);
        self.connections().saturating_sub(ended)
    }

    /// How often clients sent something for the first time after something had come back: of one caller, its round trips.
    pub fn round_trips(&self) -> usize {
        self.counts.round_trips.load(Ordering::SeqCst)
    }

    /// How many bytes clients have sent, whatever became of them.
    pub fn bytes_up(&self) -> usize {
        self.counts.bytes_up.load(Ordering::SeqCst)
    }

    /// How often bytes that came met another rule than to pass.
    pub fn disturbed(&self) -> usize {
        self.counts.disturbed.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connect(
    mut client: TcpStream,
    port: u16,
    up: watch::Receiver<Rule>,
    down: watch::Receiver<Rule>,
    counts: &Counts,
) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let end = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            end = carry(from_client, to_server, up, |bytes| counts.asked(bytes), &counts.disturbed) => end,
            end = carry(from_server, to_client, down, |_| counts.answered(), &counts.disturbed) => end,
        }
    };
    if matches!(end, Ok(End::Reset)) {
        client.set_zero_linger().unwrap();
    }
}

impl Counts {
    fn asked(&self, bytes: usize) {
        self.bytes_up.fetch_add(bytes, Ordering::SeqCst);
        if !self.is_asked.swap(true, Ordering::SeqCst) {
            self.round_trips.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn answered(&self) {
        self.is_asked.store(false, Ordering::SeqCst);
    }
}

enum End {
    Closed,
    Reset,
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut rule: watch::Receiver<Rule>,
    count: impl Fn(usize),
    disturbed: &AtomicUsize,
) -> io::Result<End> {
    let mut buffer = vec![0; 64 << 10];
    // How many bytes went since the rule was made.
    let mut gone = 0;
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(End::Closed);
        }
        count(read);
        let bytes = &buffer[..read];
        if rule.has_changed().unwrap_or(false) {
            gone = 0;
        }
        if *rule.borrow() != Rule::Pass {
            disturbed.fetch_add(1, Ordering::SeqCst);
        }
        let held = rule.wait_for(|rule| *rule != Rule::Hold).await.map(|rule| *rule);
        let Ok(now) = held else { return Ok(End::Closed) };
        match now {
            Rule::Pass | Rule::Hold => to.write_all(bytes).await?,
            Rule::Swallow => {}
            Rule::Delay(time) => {
                tokio::time::sleep(time).await;
                to.write_all(bytes).await?;
            }
            Rule::Split => {
                for byte in bytes.chunks(1) {
                    to.write_all(byte).await?;
                    tokio::task::yield_now().await;
                }
            }
            Rule::CutAfter(most) | Rule::ResetAfter(most) => {
                let left = bytes.len().min(most.saturating_sub(gone));
                to.write_all(&bytes[..left]).await?;
                gone += left;
                if gone >= most {
                    return Ok(if matches!(now, Rule::ResetAfter(_)) { End::Reset } else { End::Closed });
                }
            }
        }
    }
}
