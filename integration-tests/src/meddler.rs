//! A proxy that speaks Redis' protocol and meddles: what goes to the server for each command, and what comes back, is up
//! to a [`Fault`]. One that only cuts, holds and delays bytes is in `proxy`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::resp::{Command, Reply, put_command, take_command};

/// How much is read at once.
const READ: usize = 64 << 10;

/// What happens between a client and its server.
#[async_trait]
pub trait Fault: Send + Sync + 'static {
    /// Answers one command; by itself, the server does.
    ///
    /// # Errors
    /// Those of the server's connection; the client's ends with it.
    async fn exchange(&self, command: Command, server: &mut Server) -> io::Result<Vec<Reply>> {
        Ok(vec![server.ask(&command).await?])
    }

    /// The answers to commands that came together, as they go back.
    fn deliver(&self, replies: Vec<Reply>) -> Vec<Reply> {
        replies
    }

    /// Whoever uses the connection has dropped a call that may have been sent, or its deadline has passed. Nobody can see
    /// that on the wire: who drops it has to tell.
    fn given_up(&self) {}
}

/// The server's side of one connection.
#[derive(Debug)]
pub struct Server {
    stream: Messages,
    /// The number of the connection.
    pub connection: usize,
}

impl Server {
    /// Sends one command and waits for its answer.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn ask(&mut self, command: &Command) -> io::Result<Reply> {
        let mut bytes = Vec::new();
        put_command(command, &mut bytes);
        self.stream.socket.write_all(&bytes).await?;
        self.stream.next(Reply::take).await
    }
}

/// A running proxy; it and all its connections end with its handle.
#[derive(Debug)]
pub struct Meddler {
    address: SocketAddr,
    task: AbortHandle,
}

impl Meddler {
    /// A proxy to this port of this machine, with this fault.
    pub async fn start(port: u16, fault: Arc<dyn Fault>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accept = async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                // Those that have ended take no room any more.
                while connections.try_join_next().is_some() {}
                connections.spawn(serve(client, port, Arc::clone(&fault)));
            }
        };
        Self { address, task: tokio::spawn(accept).abort_handle() }
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for Meddler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(client: TcpStream, port: u16, fault: Arc<dyn Fault>) -> io::Result<()> {
    let connection = usize::from(client.peer_addr()?.port());
    let mut server =
        Server { stream: Messages::new(TcpStream::connect(("127.0.0.1", port)).await?)?, connection };
    let mut client = Messages::new(client)?;
    loop {
        let first = client.next(take_command).await?;
        let mut replies = fault.exchange(first, &mut server).await?;
        while let Some(next) = take_command(&mut client.buffer) {
            replies.extend(fault.exchange(next, &mut server).await?);
        }
        let mut bytes = Vec::new();
        for reply in fault.deliver(replies) {
            reply.put(&mut bytes);
        }
        client.socket.write_all(&bytes).await?;
    }
}

/// A socket, and what came over it and is not yet looked at.
#[derive(Debug)]
struct Messages {
    socket: TcpStream,
    buffer: Vec<u8>,
}

impl Messages {
    fn new(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        Ok(Self { socket, buffer: Vec::new() })
    }

    /// Waits for the next whole message.
    async fn next<T>(&mut self, take: impl Fn(&mut Vec<u8>) -> Option<T>) -> io::Result<T> {
        loop {
            if let Some(message) = take(&mut self.buffer) {
                return Ok(message);
            }
            self.buffer.reserve(READ);
            if self.socket.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}
