//! Memcached's refusals and broken connections as core's errors: kind and effect, decided here and nowhere else.

use std::io;

use stickystore_core::{Effect, Error, ErrorKind, Operation};
use stickystore_transport::{is_tls_alert, refused_by_tls};

use crate::wire::Refusal;

/// The scheme in errors and [`StoreInfo`](stickystore_core::StoreInfo).
pub(crate) const SCHEME: &str = "memcache";

/// Names the operation of an error that came from below.
pub(crate) fn at(operation: Operation) -> impl Fn(Error) -> Error {
    move |error| error.with_origin(SCHEME, operation)
}

/// The connection ended with this command on its way.
pub(crate) fn ended(source: Option<io::Error>) -> Error {
    let Some(source) = source else {
        return Error::new(ErrorKind::Unavailable, "the connection ended before the answer");
    };
    if is_tls_alert(&source) {
        return refused_by_tls().with_effect(Effect::Unknown).with_source(source);
    }
    Error::new(ErrorKind::Unavailable, "the connection ended before the answer").with_source(source)
}

/// The connection ended before this command was on its way.
pub(crate) fn not_sent() -> Error {
    Error::new(ErrorKind::Unavailable, "the connection ended before anything was sent")
        .with_effect(Effect::NotApplied)
}

/// What arrived is the answer to nothing that was asked.
pub(crate) fn garbled() -> Error {
    let context = "the server gave an answer to something else; the connection was closed";
    Error::new(ErrorKind::Unexpected, context)
}

/// An answer of a kind that this command has not.
pub(crate) fn odd_answer() -> Error {
    Error::new(ErrorKind::Unexpected, "the server gave an answer of another kind")
}

/// The connection was not set up: nothing of a caller's was sent.
pub(crate) fn setting_up(error: Error) -> Error {
    let error = error.with_effect(Effect::NotApplied);
    if error.kind() != ErrorKind::Unavailable {
        return error;
    }
    let context = "the server ended the connection, or said nothing, before it was set up: it may want TLS, or a login \
                   (one with SASL wants the option auth=sasl)";
    Error::new(ErrorKind::Unavailable, context).with_effect(Effect::NotApplied).with_source(error)
}

/// The server has no compare-and-swap, without which writers overwrite each other.
pub(crate) fn without_swap() -> Error {
    let context = "the server runs without compare-and-swap (-C); start it without that option";
    Error::new(ErrorKind::Config, context)
}

/// Others were always faster until the deadline.
pub(crate) fn outrun() -> Error {
    let context = "others wrote this user all the time until the deadline";
    Error::new(ErrorKind::Timeout, context).with_effect(Effect::NotApplied)
}

/// What the server did instead of what it was asked.
pub(crate) fn refused(refusal: Refusal) -> Error {
    match refusal {
        // Tried: both delete the item that stood there, with `-M` also in the place of one of the same size.
        Refusal::TooLarge | Refusal::NoMemory => {
            let context = "the server has no room for this user, and may have dropped what it had of it";
            Error::new(ErrorKind::Full, context).with_effect(Effect::Unknown)
        }
        Refusal::Denied => Error::new(ErrorKind::Denied, "the server wants another user and password"),
        Refusal::Unknown => Error::new(ErrorKind::Unexpected, "the server does not know our commands"),
        Refusal::Server => Error::new(ErrorKind::Unavailable, "the server answered SERVER_ERROR"),
    }
}
