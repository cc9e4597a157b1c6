//! MongoDB's errors as core's: kind and effect, decided here and nowhere else.

use std::io;

use mongodb::error::{CommandError, ErrorKind as Theirs, WriteFailure};
use stickystore_core::{Effect, Error, ErrorKind, Operation};
use stickystore_transport::{no_answer, tls_error, too_late_to_send};
use tokio_rustls::rustls;

/// The scheme in errors and [`StoreInfo`](stickystore_core::StoreInfo).
pub(crate) const SCHEME: &str = "mongodb";

/// Two upserts of one user met: the later one finds a document when it is sent again.
const DUPLICATE_KEY: i32 = 11000;

/// A right is missing.
const UNAUTHORIZED: i32 = 13;

/// Names the operation of an error that came from below.
pub(crate) fn at(operation: Operation) -> impl Fn(Error) -> Error {
    move |error| error.with_origin(SCHEME, operation)
}

/// How far an operation had come when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Nothing had left.
    Nothing,
    /// One attempt had a connection.
    Once,
    /// The driver had repeated it.
    Repeatedly,
}

/// Whether this is the refusal of an upsert that another one overtook.
pub(crate) fn is_overtaken(error: &mongodb::error::Error) -> bool {
    match error.kind.as_ref() {
        Theirs::Command(refusal) => refusal.code == DUPLICATE_KEY,
        Theirs::Write(WriteFailure::WriteError(refusal)) => refusal.code == DUPLICATE_KEY,
        _ => false,
    }
}

/// Whether this user may not do that.
pub(crate) fn is_unauthorized(error: &mongodb::error::Error) -> bool {
    matches!(error.kind.as_ref(), Theirs::Command(refusal) if refusal.code == UNAUTHORIZED)
}

/// What the driver says about an operation. `reason` is why there is no primary, if there is none.
pub(crate) fn failed(error: &mongodb::error::Error, sent: Sent, reason: Option<Error>) -> Error {
    let failed = match error.kind.as_ref() {
        Theirs::Command(refusal) => refused(refusal),
        Theirs::Write(WriteFailure::WriteConcernError(unmet)) => return unconfirmed(unmet.code),
        Theirs::Write(WriteFailure::WriteError(refusal)) => by_code(refusal.code, ""),
        Theirs::Io(error) => streaming(error),
        Theirs::Authentication { .. } => denied("the server refuses this user and password"),
        Theirs::InvalidTlsConfig { .. } => {
            not_sent(ErrorKind::Config, "certificate and key of the TLS options cannot be used")
        }
        Theirs::DnsResolve { .. } => unresolved(),
        // The driver looks for a server no longer than it was told to.
        Theirs::ServerSelection { .. } => return late(sent, Some(reason.unwrap_or_else(no_primary))),
        Theirs::ConnectionPoolCleared { .. } => {
            Error::new(ErrorKind::Unavailable, "the server went away while others asked it")
        }
        Theirs::Shutdown => closed(),
        Theirs::IncompatibleServer { .. } | Theirs::SessionsNotSupported => {
            not_sent(ErrorKind::Config, "the server is too old: use one of version 5.0 or newer")
        }
        Theirs::InvalidResponse { .. } | Theirs::BsonDeserialization(_) => odd_answer(),
        Theirs::InvalidArgument { .. } => not_sent(ErrorKind::Unexpected, "the driver refuses the command"),
        _ => Error::new(ErrorKind::Unexpected, "the driver failed"),
    };
    match sent {
        Sent::Nothing => failed.with_effect(Effect::NotApplied),
        Sent::Once => failed,
        // An attempt before this one may have been applied, whatever the last one says.
        Sent::Repeatedly => failed.with_effect(Effect::Unknown),
    }
}

/// The deadline passed. `reason` is why there is no primary, if there is none.
pub(crate) fn late(sent: Sent, reason: Option<Error>) -> Error {
    match (sent, reason) {
        (Sent::Nothing, Some(reason)) => reason.with_effect(Effect::NotApplied),
        (Sent::Nothing, None) => too_late_to_send(),
        (_, Some(_)) => Error::new(ErrorKind::Unavailable, "the server went away before the answer")
            .with_effect(Effect::Unknown),
        _ => no_answer(),
    }
}

/// No member of the set takes writes.
pub(crate) fn no_primary() -> Error {
    not_sent(ErrorKind::Unavailable, "no server that is the primary can be reached")
}

/// Why a server cannot be asked, from what the driver keeps of it.
pub(crate) fn unreachable(error: &mongodb::error::Error) -> Error {
    match error.kind.as_ref() {
        Theirs::Io(error) => streaming(error).with_effect(Effect::NotApplied),
        _ => failed(error, Sent::Nothing, None),
    }
}

/// Why there can be no client: what the URL, or the records of its name, say does not go together.
pub(crate) fn unusable(error: &mongodb::error::Error) -> Error {
    match error.kind.as_ref() {
        Theirs::InvalidArgument { .. } => {
            let context =
                "the driver does not take these options together, those of the name's TXT record among them";
            not_sent(ErrorKind::Config, context)
        }
        _ => failed(error, Sent::Nothing, None),
    }
}

/// The name in the URL has led nowhere in time.
pub(crate) fn unresolved() -> Error {
    not_sent(ErrorKind::Unavailable, "the name in the URL cannot be resolved")
}

/// The store is not used any more.
pub(crate) fn closed() -> Error {
    not_sent(ErrorKind::Closed, "this store was closed")
}

/// The task of an operation ended without an answer.
pub(crate) fn lost() -> Error {
    Error::new(ErrorKind::Unexpected, "the driver panicked, or its runtime ended")
        .with_effect(Effect::Unknown)
}

/// Again and again somebody else had made the document first, and yet it is not found.
pub(crate) fn never_found() -> Error {
    let context = "the collection refuses the user's document and does not find it: it has a collation or a unique index of \
                   its own; use a collection that has neither";
    not_sent(ErrorKind::Config, context)
}

/// An answer of a shape that no command of ours has.
pub(crate) fn odd_answer() -> Error {
    Error::new(ErrorKind::Unexpected, "the server gave an answer of another shape")
}

/// The stream ended, or never was.
fn streaming(error: &io::Error) -> Error {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        None if error.kind() == io::ErrorKind::ConnectionRefused => {
            not_sent(ErrorKind::Unavailable, "the server cannot be reached")
        }
        None => Error::new(ErrorKind::Unavailable, "the connection ended before the answer"),
        Some(tls) => tls_error(tls),
    }
}

/// The write was done, but a majority has not confirmed it.
fn unconfirmed(code: i32) -> Error {
    let error = match code {
        // Whichever of the two times that are the call's own was over first: the one of the concern, or of the command.
        64 | 50 | 262 => {
            Error::new(ErrorKind::Timeout, "written, but a majority has not confirmed it in time")
        }
        code => {
            let context =
                format!("written, but a majority has not confirmed it: the server answered code {code}");
            Error::new(ErrorKind::Unavailable, context)
        }
    };
    error.with_effect(Effect::Unknown)
}

fn refused(refusal: &CommandError) -> Error {
    by_code(refusal.code, &refusal.code_name)
}

/// What the server answered instead of a document: its number and that number's name, since the rest may quote our data.
fn by_code(code: i32, name: &str) -> Error {
    match code {
        UNAUTHORIZED => denied("this user may not find, insert and update in this collection"),
        18 | 8000 => denied("the server refuses this user and password"),
        // A document over the limit is not written, and the one that stands stays.
        10334 | 17419 | 17420 => {
            not_sent(ErrorKind::TooLarge, "with this write the user's document would have more than 16 MiB")
        }
        // Keys of indexes, in databases that are compatible with a version before 4.2.
        17280 => not_sent(ErrorKind::TooLarge, "the server has a limit for ids that is below ours"),
        50 | 262 => Error::new(ErrorKind::Timeout, "the server did not end by the deadline"),
        121 => not_sent(ErrorKind::Config, "the collection's validator refuses the document"),
        73 | 166 => not_sent(ErrorKind::Config, "this collection takes no documents: is it a view?"),
        20 | 263 => not_sent(ErrorKind::Config, "the server does not take this kind of write here"),
        168 | 31002 | 31323 | 40324 => {
            not_sent(ErrorKind::Config, "the server is too old: use one of version 5.0 or newer")
        }
        14031 => not_sent(ErrorKind::Full, "the server's disk is full"),
        // Each comes instead of the command's execution.
        10058 | 10107 | 13435 => not_sent(ErrorKind::Unavailable, "another member is the primary now"),
        112 | DUPLICATE_KEY => not_sent(ErrorKind::Unavailable, "others write the same user"),
        6 | 7 | 89 | 91 | 133 | 134 | 189 | 9001 | 11600 | 11602 | 13436 => Error::new(
            ErrorKind::Unavailable,
            format!("the server does not take commands now: code {code} {name}"),
        ),
        code => Error::new(ErrorKind::Unexpected, format!("the server answered code {code} {name}")),
    }
}

fn denied(context: &str) -> Error {
    not_sent(ErrorKind::Denied, context)
}

fn not_sent(kind: ErrorKind, context: &str) -> Error {
    Error::new(kind, context).with_effect(Effect::NotApplied)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio_rustls::rustls::CertificateError;

    use super::*;

    fn io(error: io::Error) -> mongodb::error::Error {
        Theirs::Io(Arc::new(error)).into()
    }

    #[test]
    fn certificates_that_are_wrong_in_different_ways_are_told_apart() {
        for (wrong, says) in [
            (CertificateError::Expired, "has expired"),
            (CertificateError::NotValidForName, "another name"),
            (CertificateError::UnknownIssuer, "not trusted"),
            (CertificateError::Revoked, "not valid"),
        ] {
            let error = unreachable(&io(io::Error::other(rustls::Error::InvalidCertificate(wrong))));
            assert_eq!((error.kind(), error.effect()), (ErrorKind::Config, Effect::NotApplied));
            assert!(error.context().contains(says), "{error}");
        }
    }

    #[test]
    fn what_was_sent_may_have_been_applied_and_what_was_not_has_not() {
        let lost = || io(io::ErrorKind::ConnectionReset.into());
        assert_eq!(failed(&lost(), Sent::Nothing, None).effect(), Effect::NotApplied);
        assert_eq!(failed(&lost(), Sent::Once, None).effect(), Effect::Unknown);
        assert_eq!(late(Sent::Nothing, None).effect(), Effect::NotApplied);
        assert_eq!(late(Sent::Once, None).effect(), Effect::Unknown);
        assert_eq!(late(Sent::Once, Some(no_primary())).effect(), Effect::Unknown);
        assert_eq!(late(Sent::Nothing, Some(no_primary())).kind(), ErrorKind::Unavailable);
        let refusal = io(io::ErrorKind::ConnectionRefused.into());
        assert_eq!(
            failed(&refusal, Sent::Repeatedly, None).effect(),
            Effect::Unknown,
            "an earlier attempt may have been"
        );
    }

    #[test]
    fn the_servers_numbers_are_kinds_and_effects() {
        use Effect::{NotApplied, Unknown};
        for (code, kind, effect) in [
            (13, ErrorKind::Denied, NotApplied),
            (18, ErrorKind::Denied, NotApplied),
            (10334, ErrorKind::TooLarge, NotApplied),
            (17419, ErrorKind::TooLarge, NotApplied),
            (50, ErrorKind::Timeout, Unknown),
            (262, ErrorKind::Timeout, Unknown),
            (121, ErrorKind::Config, NotApplied),
            (14031, ErrorKind::Full, NotApplied),
            (10107, ErrorKind::Unavailable, NotApplied),
            (11602, ErrorKind::Unavailable, Unknown),
            (91, ErrorKind::Unavailable, Unknown),
            (8, ErrorKind::Unexpected, Unknown),
        ] {
            let error = by_code(code, "");
            assert_eq!((error.kind(), error.effect()), (kind, effect), "{code}");
        }
        for (code, kind) in [
            (64, ErrorKind::Timeout),
            (50, ErrorKind::Timeout),
            (262, ErrorKind::Timeout),
            (100, ErrorKind::Unavailable),
        ] {
            let error = unconfirmed(code);
            assert_eq!((error.kind(), error.effect()), (kind, Unknown), "{code}");
        }
    }
}
