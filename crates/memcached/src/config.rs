//! What a Memcached store is opened with: a URL with options, or the same by methods.
//!
//! No I/O but reading the certificate files that the URL names.

use std::collections::HashSet;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use stickystore_core::options::Options;
use stickystore_core::{Error, ErrorKind, Limits, Operation, Result};
use stickystore_transport::{Address, Secret, TlsSettings};

use crate::error::{SCHEME, at};
use crate::layout::LONGEST_HEAD;
use crate::wire::Dialect;

/// How long an expired entry stays before it may be swept, unless said otherwise: the time by which writers' clocks may
/// differ.
pub const GRACE: Duration = Duration::from_secs(60);

/// How long one attempt to connect may take, unless said otherwise: several round trips around the world.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The largest item, unless said otherwise, in bytes: the server's own default.
pub const MAX_ITEM: usize = 1 << 20;

const DEFAULT_PORT: u16 = 11211;

/// What the server keeps around an item besides its key (tried with 1.6.18: 59 bytes), and some to spare.
const AROUND: usize = 128 + crate::layout::MAX_KEY_BYTES;

/// The least that a server's `-I` can be.
const LEAST_ITEM: usize = 1 << 10;

/// How a `MemcachedStore` reaches its servers, and how it behaves.
///
/// ```
/// use stickystore_memcached::Config;
///
/// let config = Config::from_url("memcache://app:secret@cache1.example,cache2.example:11212?grace=5s")?;
/// assert!(!format!("{config:?}").contains("secret"));
/// # Ok::<(), stickystore_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) servers: Vec<Server>,
    pub(crate) tls: TlsSettings,
    pub(crate) login: Option<Login>,
    pub(crate) grace: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) max_item: usize,
    max_entry: Option<usize>,
}

/// One server of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) address: Address,
    /// What it is called where users are shared out: `host:port`, or the path of its socket.
    pub(crate) name: String,
}

/// Who we are to the servers.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: Secret,
    /// How it is said: SASL has a dialect of its own.
    pub(crate) dialect: Dialect,
}

impl Config {
    /// Reads a URL:
    ///
    /// - `memcache://[user:password@]host[:port][,host[:port]..]`
    /// - `memcaches://..`, the same over TLS
    /// - `memcache+unix:///path/to/socket[?user=..][&pass=..]`
    ///
    /// | option | meaning | default |
    /// |---|---|---|
    /// | `auth` | how user and password are said: `ascii` (servers with `-Y`) or `sasl` (servers with `-S`) | `ascii` |
    /// | `grace` | how long what expired stays before it may be swept (`500ms`, `60s`) | 60 s |
    /// | `connect_timeout` | how long one attempt to connect may take | 2 s |
    /// | `max_item` | the largest item, in bytes; a server's own limit counts where it is smaller | 1 MiB |
    /// | `max_entry_bytes` | the largest entry | `max_item` less room for ids |
    /// | `ca` | `memcaches` only: a PEM file with the only authorities to trust | the platform's |
    /// | `cert`, `key` | `memcaches` only: PEM files with the client's certificate and key | none |
    ///
    /// Which server keeps a user follows from the servers' names as they are written here (`host:port`, in lower case), in any
    /// order: every client has to have the same ones.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for what is not such a URL, an option that is not in the table, or a file that cannot be read.
    /// It never shows the URL.
    pub fn from_url(url: &str) -> Result<Self> {
        let (scheme, rest) = url.split_once(':').ok_or_else(|| wrong(SCHEMES))?;
        let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
        let place = place.strip_prefix("//").ok_or_else(|| wrong(SCHEMES))?;
        let given = url::form_urlencoded::parse(options.as_bytes());
        let mut options =
            Options::new(SCHEME, given.map(|(name, text)| (name.into_owned(), text.into_owned())))?;
        let scheme = Scheme::of(scheme)?;
        let mut config = Self::new(Vec::new());
        let mut login = None;
        if scheme == Scheme::Unix {
            config.servers = vec![socket(place)?];
            login = options.text("user").zip(options.text("pass"));
        } else {
            let place = place.strip_suffix('/').unwrap_or(place);
            let (user, hosts) =
                place.rsplit_once('@').map_or((None, place), |(user, hosts)| (Some(user), hosts));
            config.servers = hosts.split(',').map(|host| server(host, scheme)).collect::<Result<_>>()?;
            if let Some(user) = user {
                let (user, password) = user
                    .split_once(':')
                    .ok_or_else(|| wrong("a user needs a password, as in user:password@host"))?;
                login = Some((decoded(user)?, decoded(password)?));
            }
        }
        if scheme == Scheme::Tls {
            config.tls = TlsSettings::from_options(&mut options).map_err(at(Operation::Open))?;
        }
        let ways = [("ascii", Dialect::Meta), ("sasl", Dialect::Binary)];
        let dialect = options.choice("auth", &ways)?;
        config.grace = options.duration("grace")?.unwrap_or(config.grace);
        config.connect_timeout = options.duration("connect_timeout")?.unwrap_or(config.connect_timeout);
        let least = format!("a number of bytes from {LEAST_ITEM}, like 8388608");
        let parse = |text: &str| text.parse().ok().filter(|bytes| *bytes >= LEAST_ITEM);
        config.max_item = options.read("max_item", &least, parse)?.unwrap_or(config.max_item);
        config.max_entry = options.number("max_entry_bytes")?;
        options.finish()?;
        config.login = match (login, dialect) {
            (Some((user, password)), dialect) => {
                let dialect = dialect.unwrap_or(Dialect::Meta);
                Some(Login { user, password: Secret::new(password), dialect })
            }
            (None, None) => None,
            (None, Some(_)) => return Err(wrong("the option \"auth\" needs a user and a password")),
        };
        config.checked()
    }

    /// User and password for servers that have a file of them (`-Y`).
    #[must_use]
    pub fn with_login(self, user: &str, password: &str) -> Self {
        self.logged_in(user, password, Dialect::Meta)
    }

    /// User and password for servers with SASL (`-S`), which speak the binary protocol only; the mechanism is PLAIN.
    #[must_use]
    pub fn with_sasl(self, user: &str, password: &str) -> Self {
        self.logged_in(user, password, Dialect::Binary)
    }

    /// The only certificate authorities to trust, in PEM.
    #[must_use]
    pub fn with_ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls = self.tls.with_ca(pem);
        self
    }

    /// The client's certificate and its key, both in PEM.
    #[must_use]
    pub fn with_identity(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.tls = self.tls.with_identity(certificate, key);
        self
    }

    /// How long what expired stays before it may be swept; [`GRACE`] by default. The server counts in whole seconds, and is
    /// told more rather than less.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How long one attempt to connect may take; [`CONNECT_TIMEOUT`] by default. A call's own deadline counts as well, but
    /// does not end an attempt that others wait for.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The largest item, in bytes: what the servers' `-I` says; [`MAX_ITEM`] by default, and at least 1 KiB. All entries of a
    /// user share one. A server that says that it takes less is believed.
    #[must_use]
    pub fn with_max_item(mut self, bytes: usize) -> Self {
        self.max_item = bytes.max(LEAST_ITEM);
        self
    }

    /// The largest entry, by [`Entry::size_bytes`](stickystore_core::Entry::size_bytes); by default nearly the largest item.
    #[must_use]
    pub fn with_max_entry_bytes(mut self, bytes: usize) -> Self {
        self.max_entry = Some(bytes);
        self
    }

    pub(crate) fn addresses(&self) -> Vec<Address> {
        self.servers.iter().map(|server| server.address.clone()).collect()
    }

    /// What is declared.
    pub(crate) fn limits(&self) -> Limits {
        let user = text_bytes(self.max_item);
        // The longest ids leave room for what they name; where an item is small, half of it is for them.
        let entry = self.max_entry.unwrap_or(user - (user / 2).min(LONGEST_HEAD));
        Limits::default().with_entry_bytes(entry).with_user_bytes(user)
    }

    fn new(servers: Vec<Server>) -> Self {
        Self {
            servers,
            tls: TlsSettings::default(),
            login: None,
            grace: GRACE,
            connect_timeout: CONNECT_TIMEOUT,
            max_item: MAX_ITEM,
            max_entry: None,
        }
    }

    fn logged_in(mut self, user: &str, password: &str, dialect: Dialect) -> Self {
        self.login = Some(Login { user: user.to_owned(), password: Secret::new(password), dialect });
        self
    }

    fn checked(self) -> Result<Self> {
        let mut seen = HashSet::new();
        match self.servers.iter().find(|server| !seen.insert(&server.name)) {
            Some(twice) => Err(wrong(format!("the server {} is named twice", twice.name))),
            None => Ok(self),
        }
    }
}

/// How many bytes of text an item of so many bytes has room for.
pub(crate) fn text_bytes(item_bytes: usize) -> usize {
    item_bytes.saturating_sub(AROUND)
}

const SCHEMES: &str = "the URL begins with memcache://, memcaches:// or memcache+unix://";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Plain,
    Tls,
    Unix,
}

impl Scheme {
    fn of(scheme: &str) -> Result<Self> {
        match scheme {
            "memcache" => Ok(Self::Plain),
            "memcaches" => Ok(Self::Tls),
            "memcache+unix" => Ok(Self::Unix),
            _ => Err(wrong(SCHEMES)),
        }
    }
}

fn socket(path: &str) -> Result<Server> {
    let name = decoded(path)?;
    if !name.starts_with('/') {
        return Err(wrong("a socket's URL is memcache+unix:///path/to/socket"));
    }
    Ok(Server { address: Address::Unix(name.clone().into()), name })
}

/// `host`, `host:port`, `[address]` or `[address]:port`.
fn server(text: &str, scheme: Scheme) -> Result<Server> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) =
                rest.split_once(']').ok_or_else(|| wrong("an address lacks its closing bracket"))?;
            (host, port)
        }
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(|| wrong(PORT))?,
        None if port.is_empty() => DEFAULT_PORT,
        None => return Err(wrong(PORT)),
    };
    let host = decoded(host)?.to_lowercase();
    if host.is_empty() || host.contains(['/', '#', ' ']) {
        return Err(wrong("the URL names no host where one should be"));
    }
    let name = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let address = match scheme {
        Scheme::Tls => Address::Tls { host, port },
        Scheme::Plain | Scheme::Unix => Address::Tcp { host, port },
    };
    Ok(Server { address, name })
}

const PORT: &str = "a port is a number from 1 to 65535";

fn decoded(text: &str) -> Result<String> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(Into::into).map_err(|_| wrong("a part of the URL is not UTF-8"))
}

fn wrong(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, context).with_origin(SCHEME, Operation::Open)
}

#[cfg(test)]
mod tests;
