//! What a MongoDB store is opened with: a URL with options, or the same by methods.
//!
//! Ours are taken out of the URL; all others are the driver's. No I/O but a look at the certificate files that the URL names.

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use mongodb::options::{ConnectionString, ReadPreference, Tls};
use percent_encoding::percent_decode_str;
use stickystore_core::options::Options;
use stickystore_core::{Error, ErrorKind, Limits, Operation, Result};

use crate::error::SCHEME;

/// How long an expired entry stays before it may be swept, unless said otherwise: the time by which writers' clocks may
/// differ.
pub const GRACE: Duration = Duration::from_secs(60);

/// How long one attempt to connect may take, unless `connectTimeoutMS` says otherwise: several round trips around the world.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The database, if the URL names none.
const DATABASE: &str = "stickystore";

/// The collection, if none is named.
const COLLECTION: &str = "assignments";

/// The most that one user's entries may take: a document has at most 16 MiB, and a mark and ids stand in it too.
const USER_BYTES: usize = (16 << 20) - (64 << 10);

/// Which options are ours.
const OURS: [&str; 4] = ["database", "collection", "grace", "max_entry_bytes"];

/// How a `MongodbStore` reaches its servers, and how it behaves.
///
/// ```
/// use stickystore_mongodb::Config;
///
/// let config = Config::from_url("mongodb://app:secret@a.example,b.example/shop?replicaSet=rs0&grace=5s")?;
/// assert!(!format!("{config:?}").contains("secret"));
/// # Ok::<(), stickystore_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Config {
    pub(crate) connection: ConnectionString,
    pub(crate) database: String,
    pub(crate) collection: String,
    pub(crate) grace: Duration,
    pub(crate) limits: Limits,
}

impl Config {
    /// Reads a URL: `mongodb://[user:password@]host[:port][,host..][/database][?options]`, or `mongodb+srv://[..@]name..`,
    /// with what is special in user and password percent-encoded.
    ///
    /// | option | meaning | default |
    /// |---|---|---|
    /// | `database` | where the collection is; it may be another than the one after the slash, with which users log in | the one after the slash, else `stickystore` |
    /// | `collection` | where the users are | `assignments` |
    /// | `grace` | how long what expired stays before it may be swept (`500ms`, `60s`) | 60 s |
    /// | `max_entry_bytes` | the largest entry | 1 MiB |
    ///
    /// All others are the driver's: `replicaSet`, `authSource`, `tls`, `tlsCAFile`, `tlsCertificateKeyFile`,
    /// `connectTimeoutMS`, `maxPoolSize` and so on. Concerns and preferences among them are not used: writes are always
    /// confirmed by a majority, and reads see what a majority has, at the primary.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for what is not such a URL, an option that neither we nor the driver know, or a certificate file
    /// that cannot be read. It never shows the URL.
    pub fn from_url(url: &str) -> Result<Self> {
        if !["mongodb://", "mongodb+srv://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(wrong("the URL begins with mongodb:// or mongodb+srv://"));
        }
        let (server, given) = url.split_once('?').unwrap_or((url, ""));
        if given.contains('@') {
            return Err(wrong("what stands before the last @ is user and password: write ? there as %3F"));
        }
        let mut ours = Vec::new();
        let mut theirs = Vec::new();
        for option in given.split('&').filter(|option| !option.is_empty()) {
            let (name, text) = option.split_once('=').unwrap_or((option, ""));
            match OURS.iter().find(|ours| **ours == name) {
                Some(_) => ours.push((name.to_owned(), decoded(text)?)),
                None => theirs.push(option),
            }
        }
        let connection = connection(server, &theirs)?;
        readable(&connection)?;
        let mut options = Options::new(SCHEME, ours)?;
        let database = options.text("database").or_else(|| connection.default_database.clone());
        let mut config = Self {
            database: database.unwrap_or_else(|| DATABASE.to_owned()),
            collection: options.text("collection").unwrap_or_else(|| COLLECTION.to_owned()),
            grace: options.duration("grace")?.unwrap_or(GRACE),
            limits: Limits::default().with_user_bytes(USER_BYTES),
            connection,
        };
        if let Some(bytes) = options.number("max_entry_bytes")? {
            config = config.with_max_entry_bytes(bytes);
        }
        options.finish()?;
        config.checked()
    }

    /// Where the users are.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for what can be no collection's name.
    pub fn with_collection(mut self, collection: &str) -> Result<Self> {
        collection.clone_into(&mut self.collection);
        self.checked()
    }

    /// How long what expired stays before it may be swept; [`GRACE`] by default.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// The largest entry, by [`Entry::size_bytes`](stickystore_core::Entry::size_bytes); [`Limits::ENTRY_BYTES`] by default.
    #[must_use]
    pub fn with_max_entry_bytes(mut self, bytes: usize) -> Self {
        self.limits = self.limits.with_entry_bytes(bytes);
        self
    }

    /// What the URL says about reading and writing that is not done.
    pub(crate) fn overruled(&self) -> Vec<&'static str> {
        let connection = &self.connection;
        let concern = connection.write_concern.as_ref();
        let is_weaker = concern
            .and_then(|concern| concern.w.as_ref())
            .is_some_and(|w| *w != mongodb::options::Acknowledgment::Majority);
        let mut overruled = Vec::new();
        if is_weaker {
            overruled.push("w");
        }
        if concern.is_some_and(|concern| concern.journal == Some(false)) {
            overruled.push("journal");
        }
        if concern.is_some_and(|concern| concern.w_timeout.is_some()) {
            overruled.push("wtimeoutMS");
        }
        if connection
            .read_concern
            .as_ref()
            .is_some_and(|read| *read != mongodb::options::ReadConcern::majority())
        {
            overruled.push("readConcernLevel");
        }
        overruled
    }

    /// The read preference that the URL names and that is not followed.
    pub(crate) fn is_preferring_others(&self) -> bool {
        self.connection
            .read_preference
            .as_ref()
            .is_some_and(|preference| *preference != ReadPreference::Primary)
    }

    /// Whether the URL says not to look at certificates or at names in them.
    pub(crate) fn trusts_anybody(&self) -> bool {
        matches!(&self.connection.tls, Some(Tls::Enabled(tls)) if tls.allow_invalid_certificates == Some(true))
    }

    fn checked(self) -> Result<Self> {
        let is_name = |name: &str, special: &[char]| !name.is_empty() && !name.contains(special);
        if !is_name(&self.database, &['/', '\\', '.', ' ', '"', '$', '\0']) || self.database.len() > 63 {
            return Err(wrong("a database's name has 1 to 63 bytes and none of / \\ . $ \" or a space"));
        }
        let is_system = self.collection.starts_with("system.") || self.collection.starts_with('.');
        if !is_name(&self.collection, &['$', '\0']) || is_system || self.collection.len() > 128 {
            return Err(wrong(
                "a collection's name has 1 to 128 bytes and no $, and does not begin with system. or a dot",
            ));
        }
        Ok(self)
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("servers", &self.connection.host_info)
            .field("login", &self.connection.credential.is_some())
            .field("tls", &self.connection.tls.is_some())
            .field("database", &self.database)
            .field("collection", &self.collection)
            .field("grace", &self.grace)
            .field("limits", &self.limits)
            .finish()
    }
}

/// What the driver makes of its part. Its own words may quote a password; only the names of options are repeated.
fn connection(server: &str, options: &[&str]) -> Result<ConnectionString> {
    let whole = if options.is_empty() { server.to_owned() } else { with_options(server, &options.join("&")) };
    let Err(_) = ConnectionString::parse(&whole).map_err(drop) else {
        return ConnectionString::parse(&whole).map_err(|_| wrong("the URL changes"));
    };
    let alone = |option: &str| ConnectionString::parse(with_options("mongodb://localhost/", option));
    for option in options {
        let Err(error) = alone(option) else { continue };
        let (name, text) = option.split_once('=').unwrap_or((option, ""));
        let message = match *error.kind {
            mongodb::error::ErrorKind::InvalidArgument { message, .. } => message,
            _ => String::new(),
        };
        // Names are of letters; anything else may be a part of something else.
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            break;
        }
        if message.starts_with(&format!("{} is an invalid option", name.to_lowercase())) {
            let nearest = message.split_once("similar name exists: ").map(|(_, name)| name);
            let nearest = nearest.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
            let ours = OURS.join(", ");
            return Err(wrong(format!(
                "there is no option \"{name}\"{nearest} (ours are {ours}, all others the driver's)"
            )));
        }
        let what =
            if text.is_empty() { "has to say something" } else { "says what the driver does not take" };
        return Err(wrong(format!("the option \"{name}\" {what}")));
    }
    Err(wrong(
        "the URL is mongodb://[user:password@]host[:port][,host..][/database][?options], with what is special in user and \
         password percent-encoded, and options that go together",
    ))
}

fn with_options(server: &str, options: &str) -> String {
    // Options come after a slash.
    let has_path = server.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    let slash = if has_path { "" } else { "/" };
    format!("{server}{slash}?{options}")
}

/// Certificate files that the driver would look for only when it connects.
fn readable(connection: &ConnectionString) -> Result<()> {
    let Some(Tls::Enabled(tls)) = &connection.tls else { return Ok(()) };
    let files = [("tlsCAFile", &tls.ca_file_path), ("tlsCertificateKeyFile", &tls.cert_key_file_path)];
    for (name, path) in files {
        let Some(path) = path else { continue };
        certificates(path).map_err(|what| wrong(format!("the file of the option \"{name}\" {what}")))?;
    }
    Ok(())
}

fn certificates(path: &Path) -> Result<(), String> {
    use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject as _};
    let file = File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    let mut certificates = CertificateDer::pem_reader_iter(file);
    match certificates.next() {
        Some(Ok(_)) => Ok(()),
        _ => Err("has no certificate in PEM".to_owned()),
    }
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
    fn ours_are_taken_out_and_the_rest_is_the_drivers() {
        let config = Config::from_url(
            "mongodb://a%40b:p%3Aw@h:7000,[::1]/shop?grace=7ms&replicaSet=rs&collection=kept%20ones&max_entry_bytes=9&maxPoolSize=3",
        )
        .unwrap();
        assert_eq!((config.database.as_str(), config.collection.as_str()), ("shop", "kept ones"));
        assert_eq!((config.grace, config.limits.entry_bytes), (Duration::from_millis(7), 9));
        let connection = &config.connection;
        assert_eq!((connection.replica_set.as_deref(), connection.max_pool_size), (Some("rs"), Some(3)));
        assert_eq!(connection.credential.as_ref().unwrap().username.as_deref(), Some("a@b"));
        assert_eq!(Config::from_url("mongodb://h").unwrap().database, "stickystore");
        assert_eq!(Config::from_url("mongodb://h/admin?database=d").unwrap().database, "d");
        assert_eq!(Config::from_url("mongodb+srv://h.example.org/d").unwrap().database, "d");
    }

    #[test]
    fn what_is_asked_for_and_not_done_is_known() {
        let url = "mongodb://h/?w=1&journal=false&wtimeoutMS=5&readConcernLevel=local&readPreference=nearest";
        let config = Config::from_url(url).unwrap();
        assert_eq!(config.overruled(), ["w", "journal", "wtimeoutMS", "readConcernLevel"]);
        assert!(config.is_preferring_others());
        let same =
            Config::from_url("mongodb://h/?w=majority&readConcernLevel=majority&readPreference=primary");
        let same = same.unwrap();
        assert!(same.overruled().is_empty() && !same.is_preferring_others());
    }

    #[test]
    fn no_secret_is_shown() {
        let config = Config::from_url("mongodb://u:s3cret@h/?authMechanism=PLAIN").unwrap();
        assert!(!format!("{config:?}").contains("s3cret"));
    }

    #[test]
    fn what_is_not_understood_is_named_without_showing_the_url() {
        for (url, says) in [
            ("", "mongodb://"),
            ("mongo://u:s3cret@h", "mongodb://"),
            ("mongodb://", "mongodb://["),
            ("mongodb://u:s3c?ret@h/", "%3F"),
            ("mongodb://u:s3c@ret@h/", "percent-encoded"),
            ("mongodb://u:s3cret@h:99999", "mongodb://["),
            ("mongodb://u:s3cret@h/?graec=5s", "no option \"graec\""),
            ("mongodb://u:s3cret@h/?maxPolSize=5", "did you mean maxpoolsize?"),
            ("mongodb://u:s3cret@h/?Grace=5s", "no option \"Grace\""),
            ("mongodb://u:s3cret@h/?grace=5", "\"grace\" is a time"),
            ("mongodb://u:s3cret@h/?maxPoolSize=s3cret", "\"maxPoolSize\" says"),
            ("mongodb://u:s3cret@h/?tls", "\"tls\" has to say something"),
            ("mongodb://u:s3cret@h/?grace=5s&grace=6s", "\"grace\" is given twice"),
            ("mongodb://u:s3cret@h/?tlsCAFile=/nowhere/s3cret&tls=true", "\"tlsCAFile\" cannot be read"),
            ("mongodb://u:s3cret@h/?tlsCAFile=Cargo.toml&tls=true", "\"tlsCAFile\" has no certificate"),
            ("mongodb://u:s3cret@h/?database=a.b", "a database's name"),
            ("mongodb://u:s3cret@h/?collection=a$b", "a collection's name"),
            ("mongodb://u:s3cret@h/?collection=%ff", "not UTF-8"),
        ] {
            let error = Config::from_url(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{url}");
            assert!(error.context().contains(says), "{url}: {error}");
            assert!(!format!("{error} {error:?}").contains("s3c"), "{url}: {error}");
        }
    }
}
