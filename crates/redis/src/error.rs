//! Redis' errors as core's: kind and effect, decided here and nowhere else.

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;

use redis::{RedisError, ServerError};
use stickystore_core::decide::not_ours;
use stickystore_core::{Effect, Error, ErrorKind, Operation};
use stickystore_transport::{is_tls_alert, refused_by_tls};

/// The scheme in errors and [`StoreInfo`](stickystore_core::StoreInfo).
pub(crate) const SCHEME: &str = "redis";

/// Names the operation of an error that came from below.
pub(crate) fn at(operation: Operation) -> impl Fn(Error) -> Error {
    move |error| error.with_origin(SCHEME, operation)
}

/// An attempt to connect, or to log in, failed: nothing was sent.
pub(crate) fn connecting(error: RedisError) -> Error {
    let kind = match error.kind() {
        redis::ErrorKind::AuthenticationFailed => ErrorKind::Denied,
        // Since TLS 1.3, a client's certificate is judged after its side of the handshake.
        redis::ErrorKind::Io if is_alert(&error) => return refused_by_tls().with_source(Below::from(error)),
        redis::ErrorKind::Io => ErrorKind::Unavailable,
        // What the server answers to SELECT.
        redis::ErrorKind::Server(_) | redis::ErrorKind::Extension => ErrorKind::Config,
        _ => ErrorKind::Unavailable,
    };
    let context = match kind {
        ErrorKind::Denied => "the server refuses this user and password",
        ErrorKind::Config => "the server refuses this database",
        _ => "the server ended the connection before it was set up",
    };
    Error::new(kind, context).with_effect(Effect::NotApplied).with_source(Below::from(error))
}

fn is_alert(error: &RedisError) -> bool {
    // The driver keeps what is below it in an `Arc`, and shows that.
    type Shared = Arc<dyn std::error::Error + Send + Sync>;
    let below = error.source().and_then(|source| source.downcast_ref::<Shared>());
    let io = below.and_then(|below| below.downcast_ref::<std::io::Error>());
    io.is_some_and(is_tls_alert)
}

/// The connection failed after the command had been handed to it.
pub(crate) fn sending(error: RedisError) -> Error {
    let (kind, context) = match error.kind() {
        redis::ErrorKind::Io => (ErrorKind::Unavailable, "the connection ended before the answer"),
        redis::ErrorKind::Parse => (ErrorKind::Unexpected, "the answer is not Redis' protocol"),
        _ => (ErrorKind::Unexpected, "the driver refused the answer"),
    };
    Error::new(kind, context).with_effect(Effect::Unknown).with_source(Below::from(error))
}

/// An answer of a shape that no command of ours has.
pub(crate) fn odd_answer() -> Error {
    Error::new(ErrorKind::Unexpected, "the server gave an answer of another shape")
}

/// Fewer replicas than asked for have confirmed a write.
pub(crate) fn unmet_wait(confirmed: i64, wanted: u32) -> Error {
    let context = format!("written, but only {confirmed} of {wanted} replicas confirmed it in time");
    Error::new(ErrorKind::Unavailable, context).with_effect(Effect::Unknown)
}

/// What the server answered instead of a value.
pub(crate) fn refused(error: &ServerError) -> Error {
    let details = error.details().unwrap_or_default();
    let not_applied = |kind, context: String| Error::new(kind, context).with_effect(Effect::NotApplied);
    match error.code() {
        // `FOREIGN` is our scripts' own.
        "WRONGTYPE" | "FOREIGN" => not_ours(),
        "NOAUTH" | "WRONGPASS" | "DENIED" => {
            not_applied(ErrorKind::Denied, "the server wants another user and password".to_owned())
        }
        "NOPERM" => not_applied(ErrorKind::Denied, denied(details)),
        // What a script's own reads answer on some servers; its writes name themselves.
        "ERR" if details.contains("can't run this command") => {
            not_applied(ErrorKind::Denied, denied(details))
        }
        "OOM" => not_applied(ErrorKind::Full, "the server's memory is full and it may not evict".to_owned()),
        "MOVED" | "ASK" | "CROSSSLOT" => not_applied(
            ErrorKind::Config,
            "this server is part of a Redis Cluster, which this store does not speak".to_owned(),
        ),
        // Each of them comes instead of the command's execution.
        code @ ("LOADING" | "READONLY" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "BUSY"
        | "NOREPLICAS" | "MISCONF" | "NOSCRIPT" | "UNBLOCKED") => {
            not_applied(ErrorKind::Unavailable, format!("the server does not take commands now: {code}"))
        }
        code => {
            // "unknown command" is followed by the arguments, which are the caller's.
            let details = details.split(", with args").next().unwrap_or_default();
            Error::new(ErrorKind::Unexpected, format!("the server answered {code} {details}"))
                .with_effect(Effect::Unknown)
        }
    }
}

/// Whether the server says that somebody else takes the writes now, so that a new connection may find it.
pub(crate) fn has_moved_on(error: &ServerError) -> bool {
    matches!(error.code(), "READONLY" | "MASTERDOWN")
}

/// Names the command, which the server puts between quotes.
fn denied(details: &str) -> String {
    let command = details.split_once("run the '").and_then(|(_, rest)| rest.split_once('\''));
    match command {
        Some((command, _)) => {
            format!("this user may not run {}", command.to_uppercase())
        }
        None if details.contains("key") => "this user may not touch keys that begin with stickystore:".to_owned(),
        None => {
            "this user may not run all of the script's commands: HMGET, HGETALL, HSET, HDEL, UNLINK, PTTL, PEXPIRE, \
             PERSIST, TIME"
                .to_owned()
        }
    }
}

/// A driver's error as a source: its kind in words, never what a server quoted from us.
#[derive(Debug)]
pub(crate) struct Below(String);

impl From<RedisError> for Below {
    fn from(error: RedisError) -> Self {
        // Only input and output errors come from this machine.
        let detail = if error.is_io_error() { error.to_string() } else { error.category().to_owned() };
        Self(detail)
    }
}

impl fmt::Display for Below {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Below {}
