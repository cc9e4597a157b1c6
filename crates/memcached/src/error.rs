//! Memcached's refusals and broken connections as core's errors: kind and effect, decided here and nowhere else.

use stickystore_core::{Effect, Error, ErrorKind, Operation};

use crate::wire::Refusal;

/// The scheme in errors and [`StoreInfo`](stickystore_core::StoreInfo).
pub(crate) const SCHEME: &str = "memcache";

/// Names the operation of an error that came from below.
pub(crate) fn at(operation: Operation) -> impl Fn(Error) -> Error {
    move |error| error.with_origin(SCHEME, operation)
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

/// The server does not say whom it answers.
pub(crate) fn too_old((major, minor, patch): (u32, u32, u32)) -> Error {
    let context = format!(
        "the server is of version {major}.{minor}.{patch}, which does not say whom it answers; use 1.6.18 or newer, or the \
         option protocol=binary"
    );
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
        // With the commands that we write with, what stood there stands.
        Refusal::TooLarge => {
            let context = "the server takes no item as large as this user's; raise its limit (-I), or remove some entries";
            Error::new(ErrorKind::TooLarge, context)
        }
        Refusal::NoMemory => {
            let context = "the server has no memory of this size to give; give it more (-m)";
            Error::new(ErrorKind::Full, context)
        }
        Refusal::Denied => Error::new(ErrorKind::Denied, "the server wants another user and password"),
        Refusal::Unknown => Error::new(ErrorKind::Unexpected, "the server does not know our commands"),
        Refusal::Server => Error::new(ErrorKind::Unavailable, "the server answered SERVER_ERROR"),
    }
}
