//! What a Cassandra store is opened with: a URL with options, or the same by methods.
//!
//! No I/O but reading the certificate files that the URL names.

use std::fmt;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use stickystore_core::options::Options;
use stickystore_core::{Error, ErrorKind, Limits, Operation, Result};
use stickystore_transport::{Secret, TlsSettings};
use url::form_urlencoded;

use crate::error::{SCHEME, at};

/// How long an expired entry stays before it may be swept, unless said otherwise: the time by which writers' clocks may
/// differ.
pub const GRACE: Duration = Duration::from_secs(60);

/// How long one attempt to connect to a node may take, unless said otherwise: several round trips around the world.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The keyspace, unless the URL names another.
pub const KEYSPACE: &str = "stickystore";

/// The table, unless the URL names another.
pub const TABLE: &str = "assignments";

const DEFAULT_PORT: u16 = 9042;

/// The longest name of a keyspace or a table that Cassandra takes.
const NAME_BYTES: usize = 48;

/// How a `CassandraStore` reaches its nodes, and how it behaves.
///
/// ```
/// use stickystore_cassandra::Config;
///
/// let config = Config::from_url("cassandra://app:secret@10.0.0.1,10.0.0.2:9043/shop?serial=local&datacenter=eu")?;
/// assert!(!format!("{config:?}").contains("secret"));
/// # Ok::<(), stickystore_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Config {
    pub(crate) hosts: Vec<String>,
    pub(crate) login: Option<(String, Secret)>,
    pub(crate) keyspace: String,
    pub(crate) table: String,
    pub(crate) datacenter: Option<String>,
    pub(crate) serial: Serial,
    pub(crate) tls: Option<TlsSettings>,
    pub(crate) grace: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) limits: Limits,
}

/// Among which nodes a write is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serial {
    /// Those of all datacenters (`SERIAL`, `QUORUM`): an insert has one winner in the whole cluster.
    Global,
    /// Those of the datacenter that the client talks to (`LOCAL_SERIAL`, `LOCAL_QUORUM`): an insert has one winner in it,
    /// and writers in two datacenters can undo each other.
    Local,
}

impl Config {
    /// Reads a URL: `cassandra://[user:password@]host[:port][,host[:port]..][/keyspace]`, or the same with `scylla://`.
    ///
    /// | option | meaning | default |
    /// |---|---|---|
    /// | `table` | the table in the keyspace | `assignments` |
    /// | `datacenter` | the datacenter whose nodes are asked | the nodes of all |
    /// | `serial` | among whom an insert has one winner: `global` or `local`, which needs `datacenter` | `global` |
    /// | `grace` | how long what expired stays before it may be swept (`500ms`, `60s`) | 60 s |
    /// | `connect_timeout` | how long one attempt to connect to a node may take | 2 s |
    /// | `max_entry_bytes` | the largest entry, at most 1 MiB | 1 MiB |
    /// | `tls` | `on` or `off` | `on` if one of the next is given |
    /// | `ca` | a PEM file with the only authorities to trust | the platform's |
    /// | `cert`, `key` | PEM files with the client's certificate and key | none |
    ///
    /// The nodes' certificates need their IP addresses as names, whatever the URL calls them.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for what is not such a URL, an option that is not in the table, or a file that cannot be read.
    /// It never shows the URL.
    pub fn from_url(url: &str) -> Result<Self> {
        let rest = url.strip_prefix("cassandra://").or_else(|| url.strip_prefix("scylla://"));
        let rest = rest.ok_or_else(|| wrong("the URL begins with cassandra:// or scylla://"))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, keyspace) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (Some(login), hosts),
            None => (None, authority),
        };
        let mut config = Self::new(hosts.split(',').map(host).collect::<Result<_>>()?);
        if let Some(login) = login {
            let (user, password) =
                login.split_once(':').ok_or_else(|| wrong("a user needs a password: user:password@"))?;
            config = config.with_login(&decoded(user)?, &decoded(password)?);
        }
        if !keyspace.is_empty() {
            config.keyspace = name("keyspace", &decoded(keyspace)?)?;
        }
        let given = form_urlencoded::parse(query.as_bytes());
        let given: Vec<_> = given.map(|(name, text)| (name.into_owned(), text.into_owned())).collect();
        // What only TLS has says that there is to be some.
        let is_tls = given.iter().any(|(name, _)| ["ca", "cert", "key"].contains(&name.as_str()));
        config.read_options(Options::new(SCHEME, given)?, is_tls)
    }

    fn read_options(mut self, mut options: Options, is_tls: bool) -> Result<Self> {
        if let Some(table) = options.text("table") {
            self.table = name("table", &table)?;
        }
        self.datacenter = options.text("datacenter").filter(|datacenter| !datacenter.is_empty());
        let serials = [("global", Serial::Global), ("local", Serial::Local)];
        self.serial = options.choice("serial", &serials)?.unwrap_or(self.serial);
        self.grace = options.duration("grace")?.unwrap_or(self.grace);
        self.connect_timeout = options.duration("connect_timeout")?.unwrap_or(self.connect_timeout);
        if let Some(bytes) = options.number("max_entry_bytes")? {
            if bytes > Limits::ENTRY_BYTES {
                return Err(wrong("the option \"max_entry_bytes\" is at most 1048576: beyond it nodes fail"));
            }
            self.limits = self.limits.with_entry_bytes(bytes);
        }
        let tls = options.choice("tls", &[("on", true), ("off", false)])?;
        let settings = TlsSettings::from_options(&mut options).map_err(at(Operation::Open))?;
        options.finish()?;
        if is_tls && tls == Some(false) {
            return Err(wrong("ca, cert and key are for TLS, which tls=off rules out"));
        }
        self.tls = tls.unwrap_or(is_tls).then_some(settings);
        if self.serial == Serial::Local && self.datacenter.is_none() {
            return Err(wrong("serial=local needs the option datacenter: which one is local has to be said"));
        }
        Ok(self)
    }

    /// User and password.
    #[must_use]
    pub fn with_login(mut self, user: &str, password: &str) -> Self {
        self.login = Some((user.to_owned(), Secret::new(password)));
        self
    }

    /// TLS, with these as the only certificate authorities to trust, in PEM.
    #[must_use]
    pub fn with_ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls = Some(self.tls.unwrap_or_default().with_ca(pem));
        self
    }

    /// TLS, with the client's certificate and its key, both in PEM.
    #[must_use]
    pub fn with_identity(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.tls = Some(self.tls.unwrap_or_default().with_identity(certificate, key));
        self
    }

    /// How long what expired stays before it may be swept; [`GRACE`] by default. Nodes count in seconds, so that it is
    /// rounded up to one.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How long one attempt to connect to a node may take; [`CONNECT_TIMEOUT`] by default. A call's own deadline counts as
    /// well, but does not end an attempt that others wait for.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The largest entry, by [`Entry::size_bytes`](stickystore_core::Entry::size_bytes); [`Limits::ENTRY_BYTES`] by default,
    /// and at most that: nodes answer larger conditional writes with a timeout, as if they were down.
    #[must_use]
    pub fn with_max_entry_bytes(mut self, bytes: usize) -> Self {
        self.limits = self.limits.with_entry_bytes(bytes.min(Limits::ENTRY_BYTES));
        self
    }

    fn new(hosts: Vec<String>) -> Self {
        Self {
            hosts,
            login: None,
            keyspace: KEYSPACE.to_owned(),
            table: TABLE.to_owned(),
            datacenter: None,
            serial: Serial::Global,
            tls: None,
            grace: GRACE,
            connect_timeout: CONNECT_TIMEOUT,
            limits: Limits::default(),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("hosts", &self.hosts)
            .field("login", &self.login)
            .field("keyspace", &self.keyspace)
            .field("table", &self.table)
            .field("datacenter", &self.datacenter)
            .field("serial", &self.serial)
            .field("tls", &self.tls)
            .field("grace", &self.grace)
            .field("connect_timeout", &self.connect_timeout)
            .field("limits", &self.limits)
            .finish()
    }
}

/// A contact point with its port.
fn host(text: &str) -> Result<String> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (name, port) =
                rest.split_once(']').ok_or_else(|| wrong("an IPv6 address ends with a bracket"))?;
            (format!("[{name}]"), port.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((name, port)) => (decoded(name)?, Some(port)),
            None => (decoded(text)?, None),
        },
    };
    if name.is_empty() || name == "[]" {
        return Err(wrong("the URL names no host, or an empty one"));
    }
    let port = port.map_or(Ok(DEFAULT_PORT), |port| {
        port.parse().ok().filter(|port| *port > 0).ok_or_else(|| wrong("a port is a number from 1 to 65535"))
    });
    Ok(format!("{name}:{}", port?))
}

/// A name that stands in a statement's text as it is; anything that would have to be quoted there is refused.
fn name(what: &str, text: &str) -> Result<String> {
    let begins = text.starts_with(|c: char| c.is_ascii_lowercase());
    let is_plain = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if begins && is_plain && text.len() <= NAME_BYTES {
        return Ok(text.to_owned());
    }
    let rule =
        "begins with a lower-case letter and has only those, digits and underscores, at most 48 of them";
    Err(wrong(format!("the name of a {what} {rule}")))
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
        let config = Config::from_url(
            "scylla://a%40b:p%3Aw@h1,[::1]:7000,h3:9/shop?table=t_1&datacenter=eu%20west&serial=local&grace=7ms&max_entry_bytes=9",
        )
        .unwrap();
        assert_eq!(config.hosts, ["h1:9042", "[::1]:7000", "h3:9"]);
        let (user, password) = config.login.unwrap();
        assert_eq!((user.as_str(), password.reveal()), ("a@b", "p:w"));
        assert_eq!((config.keyspace.as_str(), config.table.as_str()), ("shop", "t_1"));
        assert_eq!((config.datacenter.as_deref(), config.serial), (Some("eu west"), Serial::Local));
        assert_eq!((config.grace, config.limits.entry_bytes), (Duration::from_millis(7), 9));
        assert!(config.tls.is_none());
        let config = Config::from_url("cassandra://h?tls=on").unwrap();
        assert!(config.tls.is_some());
        assert_eq!((config.keyspace.as_str(), config.serial), (KEYSPACE, Serial::Global));
    }

    #[test]
    fn no_secret_is_shown() {
        let config = Config::from_url("cassandra://u:s3cret@h").unwrap().with_identity("s3cret", "s3cret");
        assert!(!format!("{config:?}").contains("s3cret"));
        assert!(!format!("{config:?}").contains(&format!("{:?}", b"s3cret")));
    }

    #[test]
    fn what_is_not_understood_is_refused_without_showing_the_url() {
        for url in [
            "",
            "cassandra",
            "http://:s3cret@h",
            "cassandra://",
            "cassandra://u:s3cret@",
            "cassandra://s3cret@h",
            "cassandra://u:s3cret@h,,i",
            "cassandra://u:s3cret@h:0",
            "cassandra://u:s3cret@h:99999",
            "cassandra://u:s3cret@[::1",
            "cassandra://u:s3cret@h/Shop",
            "cassandra://u:s3cret@h/a.b",
            "cassandra://u:s3cret@h/a;drop",
            "cassandra://u:s3cret@h/1a",
            "cassandra://u:s3cret@h?table=",
            "cassandra://u:s3cret@h?table=a%22b",
            "cassandra://u:s3cret@h?serial=local",
            "cassandra://u:s3cret@h?serial=x",
            "cassandra://u:s3cret@h?sreial=global",
            "cassandra://u:s3cret@h?grace=7",
            "cassandra://u:s3cret@h?ca=/nowhere",
            "cassandra://u:s3cret@h?cert=/dev/null",
            "cassandra://u:s3cret@h?tls=off&ca=/dev/null",
            "cassandra://u:s3cret@h?max_entry_bytes=1048577",
            "cassandra://u%ff:s3cret@h",
        ] {
            let error = Config::from_url(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{url}");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{url}: {error}");
        }
    }
}
