//! Streams to a server: plain, TLS, or through a Unix socket.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::{net, os::unix};

use stickystore_core::{Error, ErrorKind, Result};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::error::streaming;
use crate::tls::TlsSettings;

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A plain port.
    Tcp {
        /// Its name, or its IP address without brackets.
        host: String,
        /// Its port.
        port: u16,
    },
    /// A port that speaks TLS.
    Tls {
        /// Its name, or its IP address without brackets: what its certificate has to be for.
        host: String,
        /// Its port.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

/// How a stream to a server is made. Clones share the settings of TLS.
#[derive(Clone)]
pub struct Target(Way);

#[derive(Clone)]
enum Way {
    Tcp { host: String, port: u16 },
    Tls { host: String, port: u16, name: ServerName<'static>, config: Arc<ClientConfig> },
    Unix(PathBuf),
}

/// A stream to a server; whatever is below it.
pub type Stream = Box<dyn Duplex>;

/// Both directions of a stream.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {
    /// The same stream for threads that wait on it themselves; nothing may be under way. Not every stream can be that.
    ///
    /// # Errors
    /// What the operating system says.
    fn into_waiting(self: Box<Self>) -> io::Result<Box<dyn Waiting>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Both directions of a stream on which the thread itself waits.
pub trait Waiting: Read + Write + Send {
    /// How long a read or a write may take; not zero.
    ///
    /// # Errors
    /// What the operating system says.
    fn wait_at_most(&self, time: Duration) -> io::Result<()>;

    /// Whether reads and writes wait at all.
    ///
    /// # Errors
    /// What the operating system says.
    fn wait(&self, waits: bool) -> io::Result<()>;
}

impl Duplex for TcpStream {
    fn into_waiting(self: Box<Self>) -> io::Result<Box<dyn Waiting>> {
        let stream = self.into_std()?;
        stream.wait(true)?;
        Ok(Box::new(stream))
    }
}

impl Duplex for UnixStream {
    fn into_waiting(self: Box<Self>) -> io::Result<Box<dyn Waiting>> {
        let stream = self.into_std()?;
        stream.wait(true)?;
        Ok(Box::new(stream))
    }
}

impl Duplex for TlsStream<TcpStream> {
    fn into_waiting(self: Box<Self>) -> io::Result<Box<dyn Waiting>> {
        let (stream, tls) = self.into_inner();
        let stream = stream.into_std()?;
        stream.wait(true)?;
        Ok(Box::new(StreamOwned::new(tls, stream)))
    }
}

impl Waiting for net::TcpStream {
    fn wait_at_most(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time))?;
        self.set_write_timeout(Some(time))
    }

    fn wait(&self, waits: bool) -> io::Result<()> {
        self.set_nonblocking(!waits)
    }
}

impl Waiting for unix::net::UnixStream {
    fn wait_at_most(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time))?;
        self.set_write_timeout(Some(time))
    }

    fn wait(&self, waits: bool) -> io::Result<()> {
        self.set_nonblocking(!waits)
    }
}

impl Waiting for StreamOwned<ClientConnection, net::TcpStream> {
    fn wait_at_most(&self, time: Duration) -> io::Result<()> {
        self.sock.wait_at_most(time)
    }

    fn wait(&self, waits: bool) -> io::Result<()> {
        self.sock.wait(waits)
    }
}

impl Target {
    /// A server at this address.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the settings of TLS are not usable, or no certificate can be for this host.
    pub fn new(address: &Address, tls: &TlsSettings) -> Result<Self> {
        Self::with(address, &mut None, tls)
    }

    /// Servers at these addresses, which share the settings of TLS.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn all(addresses: &[Address], tls: &TlsSettings) -> Result<Vec<Self>> {
        let mut config = None;
        addresses.iter().map(|address| Self::with(address, &mut config, tls)).collect()
    }

    fn with(address: &Address, shared: &mut Option<Arc<ClientConfig>>, tls: &TlsSettings) -> Result<Self> {
        let way = match address.clone() {
            Address::Tcp { host, port } => Way::Tcp { host, port },
            Address::Tls { host, port } => {
                let name = ServerName::try_from(host.clone()).map_err(|_| {
                    Error::new(ErrorKind::Config, "the host is no name that a certificate can have")
                })?;
                let config = match shared {
                    Some(config) => Arc::clone(config),
                    None => Arc::clone(shared.insert(tls.client_config()?)),
                };
                Way::Tls { host, port, name, config }
            }
            Address::Unix(path) => Way::Unix(path),
        };
        Ok(Self(way))
    }

    /// Whether its streams are TLS, where what is written at once arrives in records of its own.
    pub fn is_tls(&self) -> bool {
        matches!(self.0, Way::Tls { .. })
    }

    /// A new stream; the TLS handshake is done.
    ///
    /// # Errors
    /// Those of [`streaming`].
    pub async fn connect(&self) -> Result<Stream> {
        let stream: Stream = match &self.0 {
            Way::Tcp { host, port } => Box::new(tcp(host, *port).await?),
            Way::Tls { host, port, name, config } => {
                let stream = tcp(host, *port).await?;
                let tls = TlsConnector::from(Arc::clone(config)).connect(name.clone(), stream).await;
                Box::new(tls.map_err(streaming)?)
            }
            Way::Unix(path) => Box::new(UnixStream::connect(path).await.map_err(streaming)?),
        };
        Ok(stream)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").finish_non_exhaustive()
    }
}

async fn tcp(host: &str, port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await.map_err(streaming)?;
    // Small commands would wait for the answers to earlier ones.
    stream.set_nodelay(true).map_err(streaming)?;
    Ok(stream)
}
