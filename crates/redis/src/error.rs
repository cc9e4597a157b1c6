//! Redis' errors as core's: kind and effect, decided here and nowhere else.

use stickystore_core::decide::not_ours;
use stickystore_core::{Effect, Error, ErrorKind, Operation};

use crate::wire::Refusal;

/// The scheme in errors and [`StoreInfo`](stickystore_core::StoreInfo).
pub(crate) const SCHEME: &str = "redis";

/// Names the operation of an error that came from below.
pub(crate) fn at(operation: Operation) -> impl Fn(Error) -> Error {
    move |error| error.with_origin(SCHEME, operation)
}

/// The connection ended before it was set up, or does not speak as we do.
pub(crate) fn setting_up(error: Error) -> Error {
    let context = match error.kind() {
        ErrorKind::Unavailable => {
            "the server ended the connection before it was set up: it may want TLS, be in protected mode, or have as many \
             clients as it takes"
        }
        ErrorKind::Unexpected => "what answers there does not speak Redis' protocol",
        _ => return error,
    };
    Error::new(error.kind(), context).with_source(error)
}

/// The server does not let us in.
pub(crate) fn login_refused(refusal: Refusal<'_>) -> Error {
    match refusal.code() {
        "LOADING" | "BUSY" => refused(refusal),
        // Its own words may have the password in them.
        _ => Error::new(ErrorKind::Denied, "the server refuses this user and password"),
    }
}

/// Whether a login was refused since the server, older than 6.0, knows passwords only.
pub(crate) fn knows_no_users(refusal: Refusal<'_>) -> bool {
    refusal.code() == "ERR" && refusal.details().starts_with("wrong number of arguments")
}

/// The server has no such database.
pub(crate) fn database_refused(refusal: Refusal<'_>) -> Error {
    match refusal.code() {
        "ERR" => Error::new(ErrorKind::Config, "the server refuses this database"),
        _ => refused(refusal),
    }
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
pub(crate) fn refused(refusal: Refusal<'_>) -> Error {
    let details = refusal.details();
    let not_applied = |kind, context: String| Error::new(kind, context).with_effect(Effect::NotApplied);
    match refusal.code() {
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
pub(crate) fn has_moved_on(refusal: Refusal<'_>) -> bool {
    matches!(refusal.code(), "READONLY" | "MASTERDOWN")
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
