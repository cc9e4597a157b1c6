//! What a Redis store is opened with: a URL with options, or the same by methods.
//!
//! No I/O but reading the certificate files that the URL names.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use stickystore_core::options::Options;
use stickystore_core::{Error, ErrorKind, Limits, Operation, Result};
use stickystore_transport::{Address, Secret, TlsSettings};
use url::Url;

use crate::error::{SCHEME, at};

/// How long an expired entry stays before it may be swept, unless said otherwise: the time by which writers' clocks may
/// differ.
pub const GRACE: Duration = Duration::from_secs(60);

/// How long one attempt to connect may take, unless said otherwise: several round trips around the world.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

const DEFAULT_PORT: u16 = 6379;

/// How a `RedisStore` reaches its server, and how it behaves.
///
/// ```
/// use stickystore_redis::Config;
///
/// let config = Config::from_url("redis://app:secret@cache.example:6380/2?wait=1&grace=5s")?;
/// assert!(!format!("{config:?}").contains("secret"));
/// # Ok::<(), stickystore_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) address: Address,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) database: i64,
    pub(crate) tls: TlsSettings,
    pub(crate) wait: u32,
    pub(crate) grace: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) limits: Limits,
}

impl Config {
    /// Reads a URL:
    ///
    /// - `redis://[user[:password]@]host[:port][/database]`
    /// - `rediss://..`, the same over TLS
    /// - `redis+unix:///path/to/socket?[db=n][&user=..][&pass=..]`
    ///
    /// | option | meaning | default |
    /// |---|---|---|
    /// | `wait` | after each write, so many replicas must have confirmed it; an unmet one is an unknown outcome | 0 |
    /// | `grace` | how long what expired stays before it may be swept (`500ms`, `60s`) | 60 s |
    /// | `connect_timeout` | how long one attempt to connect may take | 2 s |
    /// | `max_entry_bytes` | the largest entry | 1 MiB |
    /// | `ca` | `rediss` only: a PEM file with the only authorities to trust | the platform's |
    /// | `cert`, `key` | `rediss` only: PEM files with the client's certificate and key | none |
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for what is not such a URL, an option that is not in the table, or a file that cannot be read.
    /// It never shows the URL.
    pub fn from_url(url: &str) -> Result<Self> {
        let url = Url::parse(url).map_err(|error| wrong(format!("the URL does not parse: {error}")))?;
        let mut config = Self::new(address(&url)?);
        config.user = Some(decoded(url.username())?).filter(|user| !user.is_empty());
        config.password = url.password().map(decoded).transpose()?.map(Secret::new);
        if !matches!(config.address, Address::Unix(_)) {
            config.database = database(url.path().trim_start_matches('/'))?;
        }
        let given = url.query_pairs().map(|(name, text)| (name.into_owned(), text.into_owned()));
        let mut options = Options::new(SCHEME, given)?;
        config.wait = options.number("wait")?.unwrap_or(config.wait);
        config.grace = options.duration("grace")?.unwrap_or(config.grace);
        config.connect_timeout = options.duration("connect_timeout")?.unwrap_or(config.connect_timeout);
        if let Some(bytes) = options.number("max_entry_bytes")? {
            config.limits = config.limits.with_entry_bytes(bytes);
        }
        match config.address {
            Address::Unix(_) => {
                config.database = database(&options.text("db").unwrap_or_default())?;
                config.user = options.text("user");
                config.password = options.text("pass").map(Secret::new);
            }
            Address::Tls { .. } => {
                config.tls = TlsSettings::from_options(&mut options).map_err(at(Operation::Open))?;
            }
            Address::Tcp { .. } => {}
        }
        options.finish()?;
        Ok(config)
    }

    /// User and password, as an access list names them; without a user it is the `default` one.
    #[must_use]
    pub fn with_login(mut self, user: Option<&str>, password: &str) -> Self {
        self.user = user.map(str::to_owned);
        self.password = Some(Secret::new(password));
        self
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

    /// How many replicas must have confirmed each write; see `wait` above.
    #[must_use]
    pub fn with_wait(mut self, replicas: u32) -> Self {
        self.wait = replicas;
        self
    }

    /// How long what expired stays before it may be swept; [`GRACE`] by default.
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

    /// The largest entry, by [`Entry::size_bytes`](stickystore_core::Entry::size_bytes); [`Limits::ENTRY_BYTES`] by default.
    #[must_use]
    pub fn with_max_entry_bytes(mut self, bytes: usize) -> Self {
        self.limits = self.limits.with_entry_bytes(bytes);
        self
    }

    fn new(address: Address) -> Self {
        Self {
            address,
            user: None,
            password: None,
            database: 0,
            tls: TlsSettings::default(),
            wait: 0,
            grace: GRACE,
            connect_timeout: CONNECT_TIMEOUT,
            limits: Limits::default(),
        }
    }
}

fn address(url: &Url) -> Result<Address> {
    if matches!(url.scheme(), "redis+unix" | "unix") {
        let path = decoded(url.path())?;
        if path.is_empty() || url.host_str().is_some_and(|host| !host.is_empty()) {
            return Err(wrong("a socket's URL is redis+unix:///path/to/socket"));
        }
        return Ok(Address::Unix(path.into()));
    }
    let port = url.port().unwrap_or(DEFAULT_PORT);
    // Without the brackets of an IPv6 address.
    let host = url.host_str().map(|host| host.trim_start_matches('[').trim_end_matches(']'));
    let host = host.filter(|host| !host.is_empty()).ok_or_else(|| wrong("the URL names no host"))?;
    let host = decoded(host)?;
    match url.scheme() {
        "redis" => Ok(Address::Tcp { host, port }),
        "rediss" => Ok(Address::Tls { host, port }),
        _ => Err(wrong("the URL begins with redis://, rediss:// or redis+unix://")),
    }
}

fn database(text: &str) -> Result<i64> {
    if text.is_empty() {
        return Ok(0);
    }
    let database = text.parse().ok().filter(|database| *database >= 0);
    database.ok_or_else(|| wrong("the database is a number from 0"))
}

fn decoded(text: &str) -> Result<String> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(Into::into).map_err(|_| wrong("a part of the URL is not UTF-8"))
}

fn wrong(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, context).with_origin(SCHEME, Operation::Open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_url_is_read() {
        let config =
            Config::from_url("redis://a%40b:p%3Aw@[::1]:7000/3?wait=2&grace=7ms&max_entry_bytes=9").unwrap();
        assert_eq!(config.address, Address::Tcp { host: "::1".to_owned(), port: 7000 });
        assert_eq!((config.user.as_deref(), config.password.unwrap().reveal()), (Some("a@b"), "p:w"));
        assert_eq!((config.database, config.wait, config.grace), (3, 2, Duration::from_millis(7)));
        assert_eq!(config.limits.entry_bytes, 9);
        let socket = Config::from_url("redis+unix:///run/a%20b.sock?db=1&user=u&pass=p").unwrap();
        assert_eq!(socket.address, Address::Unix("/run/a b.sock".into()));
        assert_eq!((socket.database, socket.user.as_deref()), (1, Some("u")));
    }

    #[test]
    fn no_secret_is_shown() {
        let config = Config::from_url("rediss://u:s3cret@h").unwrap().with_identity("s3cret", "s3cret");
        assert!(!format!("{config:?}").contains("s3cret"));
        assert!(!format!("{config:?}").contains(&format!("{:?}", b"s3cret")));
    }

    #[test]
    fn what_is_not_understood_is_refused_without_showing_the_url() {
        for url in [
            "",
            "redis",
            "http://:s3cret@h",
            "redis://",
            "redis://:s3cret@h/x",
            "redis://:s3cret@h/-1",
            "redis://:s3cret@h?wiat=1",
            "redis://:s3cret@h?wait=x",
            "redis://:s3cret@h?grace=7",
            "redis://:s3cret@h?ca=f",
            "redis+unix://h/s",
            "rediss://:s3cret@h?cert=/",
            "redis://:s3cret@h:99999",
            "redis://%ff:s3cret@h",
        ] {
            let error = Config::from_url(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{url}");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{url}: {error}");
        }
    }
}
