//! The driver's errors as core's: kind and effect, decided here and nowhere else.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use scylla::errors::{
    BrokenConnectionError, BrokenConnectionErrorKind, ConnectionError, ConnectionPoolError,
    ConnectionSetupRequestErrorKind, DbError, ExecutionError, FrameHeaderParseError, MetadataError,
    NewSessionError, PrepareError, RequestAttemptError, WriteType,
};
use stickystore_core::{Effect, Error, ErrorKind, Operation};
use tokio_rustls::rustls::{self, CertificateError};

/// The scheme in errors and [`StoreInfo`](stickystore_core::StoreInfo).
pub(crate) const SCHEME: &str = "cassandra";

/// `CasWriteUnknownResult` of protocol version 5.
const CAS_UNKNOWN: i32 = 0x1700;

/// Names the operation of an error that came from below.
pub(crate) fn at(operation: Operation) -> impl Fn(Error) -> Error {
    move |error| error.with_origin(SCHEME, operation)
}

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// This is what the caller is told.
    Final(Error),
    /// The node gave up before it knew; what became of it can be read.
    Undecided(Error),
    /// There was no connection: nothing was sent.
    Nowhere(Error),
}

impl Failure {
    /// What a caller is told. (No `From`: it would be seen by everybody's `?`, and leave types open that are clear without it.)
    pub(crate) fn told(self) -> Error {
        match self {
            Self::Final(error) | Self::Undecided(error) | Self::Nowhere(error) => error,
        }
    }
}

/// A request failed.
pub(crate) fn request(error: ExecutionError) -> Failure {
    match error {
        ExecutionError::ConnectionPoolError(error) => Failure::Nowhere(pool(&error)),
        ExecutionError::EmptyPlan => Failure::Nowhere(nowhere("no node of this datacenter is connected")),
        ExecutionError::PrepareError(error) => Failure::Final(preparing(error)),
        ExecutionError::LastAttemptError(error) => attempt(error),
        ExecutionError::BadQuery(_) => Failure::Final(
            Error::new(ErrorKind::Unexpected, "the driver could not bind a statement")
                .with_effect(Effect::NotApplied),
        ),
        _ => Failure::Final(Error::new(ErrorKind::Unexpected, "the driver refused the request")),
    }
}

/// A conditional write failed.
///
/// What it lacks first it is told at the serial level, before anything is proposed. At any other level the nodes may have
/// agreed already, and one of them was lost before they all knew: the next who asks them finishes it.
pub(crate) fn writing(error: ExecutionError) -> Failure {
    let says = match &error {
        ExecutionError::LastAttemptError(RequestAttemptError::DbError(says, _)) => says,
        _ => return request(error),
    };
    match says {
        DbError::Unavailable { consistency, .. } if !consistency.is_serial() => {
            undecided(says, ErrorKind::Unavailable, "too few nodes were left before all knew of the write")
        }
        DbError::RateLimitReached { rejected_by_coordinator: false, .. } => {
            undecided(says, ErrorKind::Unavailable, "some nodes reached their rate limit for this user")
        }
        _ => request(error),
    }
}

fn attempt(error: RequestAttemptError) -> Failure {
    let error = match error {
        RequestAttemptError::DbError(error, _) => return answered(&error),
        RequestAttemptError::BrokenConnectionError(error) => {
            Error::new(ErrorKind::Unavailable, "the connection ended before the answer")
                .with_source(Below::of(&error))
        }
        RequestAttemptError::UnableToAllocStreamId => {
            Error::new(ErrorKind::Unavailable, "too many requests wait for this node")
                .with_effect(Effect::NotApplied)
        }
        RequestAttemptError::SerializationError(_) | RequestAttemptError::CqlRequestSerialization(_) => {
            Error::new(ErrorKind::Unexpected, "the driver could not write the request")
                .with_effect(Effect::NotApplied)
        }
        _ => Error::new(ErrorKind::Unexpected, "the answer is not what Cassandra's protocol has there"),
    };
    Failure::Final(error)
}

/// What a node answered instead of a result. Its text is not shown: it may quote what was bound.
fn answered(error: &DbError) -> Failure {
    let not_applied = |kind, context: &str| {
        Failure::Final(
            Error::new(kind, context).with_effect(Effect::NotApplied).with_source(Below::db(error)),
        )
    };
    let undecided = |kind, context: &str| undecided(error, kind, context);
    match error {
        // It comes instead of the execution.
        DbError::Unavailable { .. } => {
            not_applied(ErrorKind::Unavailable, "too few nodes are up for the consistency that is asked for")
        }
        DbError::IsBootstrapping => not_applied(ErrorKind::Unavailable, "the node is still starting"),
        DbError::WriteTimeout { write_type: WriteType::Cas, .. } | DbError::Other(CAS_UNKNOWN) => {
            undecided(ErrorKind::Timeout, "the nodes did not agree in time: the outcome is unknown")
        }
        DbError::WriteTimeout { .. } | DbError::ReadTimeout { .. } => {
            undecided(ErrorKind::Timeout, "too few nodes answered in time")
        }
        DbError::WriteFailure { .. } | DbError::ReadFailure { .. } => {
            undecided(ErrorKind::Unavailable, "too few nodes could do it")
        }
        DbError::Overloaded => undecided(ErrorKind::Unavailable, "the node is overloaded"),
        DbError::RateLimitReached { .. } => {
            not_applied(ErrorKind::Unavailable, "the cluster's rate limit for this user is reached")
        }
        DbError::AuthenticationError => {
            not_applied(ErrorKind::Denied, "the cluster refuses this user and password")
        }
        DbError::Unauthorized => not_applied(
            ErrorKind::Denied,
            "this user may not do that: it needs SELECT and MODIFY on the table",
        ),
        DbError::SyntaxError | DbError::Invalid | DbError::ConfigError => not_applied(
            ErrorKind::Unexpected,
            "the cluster refuses a statement of ours: the table may have changed, or a setting forbid it",
        ),
        DbError::Unprepared { .. } => {
            not_applied(ErrorKind::Unavailable, "the node has forgotten a statement")
        }
        _ => Failure::Final(
            Error::new(ErrorKind::Unexpected, "the node failed")
                .with_effect(Effect::Unknown)
                .with_source(Below::db(error)),
        ),
    }
}

fn undecided(says: &DbError, kind: ErrorKind, context: &str) -> Failure {
    let error = Error::new(kind, context).with_effect(Effect::Unknown);
    Failure::Undecided(error.with_source(Below::db(says)))
}

/// A keyspace or table could not be made. The node's own words are shown: these statements hold nothing but names.
pub(crate) fn making(error: ExecutionError) -> Error {
    if let ExecutionError::LastAttemptError(RequestAttemptError::DbError(kind, says)) = &error
        && !matches!(answered(kind), Failure::Undecided(_))
    {
        let kind = if *kind == DbError::Unauthorized { ErrorKind::Denied } else { ErrorKind::Config };
        return Error::new(kind, format!("the cluster refuses this schema: {says}"));
    }
    request(error).told()
}

/// A statement could not be prepared: nothing was written.
pub(crate) fn preparing(error: PrepareError) -> Error {
    let error = match error {
        PrepareError::ConnectionPoolError(error) => pool(&error),
        PrepareError::AllAttemptsFailed { first_attempt } => attempt(first_attempt).told(),
        _ => Error::new(ErrorKind::Unexpected, "the nodes disagree about a statement"),
    };
    error.with_effect(Effect::NotApplied)
}

/// No session: nothing was sent.
pub(crate) fn connecting(error: NewSessionError) -> Error {
    match error {
        NewSessionError::FailedToResolveAnyHostname(_) => nowhere("no host of the URL has an address"),
        NewSessionError::MetadataError(MetadataError::ConnectionPoolError(error)) => pool(&error),
        NewSessionError::MetadataError(error) => {
            nowhere("the cluster does not say what it consists of").with_source(Below::of(&error))
        }
        _ => Error::new(ErrorKind::Config, "the driver refuses this configuration"),
    }
}

/// No connection to any node that was tried.
fn pool(error: &ConnectionPoolError) -> Error {
    match error {
        ConnectionPoolError::Broken { last_connection_error } => connection(last_connection_error),
        _ => nowhere("there is no connection to this node yet"),
    }
}

fn connection(error: &ConnectionError) -> Error {
    match error {
        ConnectionError::ConnectTimeout => nowhere("the node cannot be reached in time"),
        ConnectionError::IoError(error) => streaming(error),
        ConnectionError::BrokenConnection(error) => broken(error),
        ConnectionError::ConnectionSetupRequestError(error) => match error.get_error() {
            ConnectionSetupRequestErrorKind::DbError(
                DbError::AuthenticationError | DbError::Unauthorized,
                _,
            ) => Error::new(ErrorKind::Denied, "the cluster refuses this user and password"),
            ConnectionSetupRequestErrorKind::MissingAuthentication => {
                Error::new(ErrorKind::Denied, "the cluster wants a user and a password")
            }
            ConnectionSetupRequestErrorKind::BrokenConnection(error) => broken(error),
            _ => nowhere("the node does not speak Cassandra's protocol as we do"),
        },
        _ => nowhere("the node cannot be reached"),
    }
}

/// A connection ended while it was set up: a node that wants TLS, or another client certificate, ends it so.
fn broken(error: &BrokenConnectionError) -> Error {
    let io = match error.downcast_ref() {
        Some(
            BrokenConnectionErrorKind::WriteError(error)
            | BrokenConnectionErrorKind::FrameHeaderParseError(
                FrameHeaderParseError::HeaderIoError(error)
                | FrameHeaderParseError::BodyChunkIoError(_, error),
            ),
        ) => Some(error),
        _ => None,
    };
    if let Some(error) = io.filter(|error| tls(error).is_some()) {
        return streaming(error);
    }
    nowhere("the node ended the connection before it was set up: it may want TLS, or none")
        .with_source(Below::of(error))
}

/// No stream to the node.
fn streaming(error: &io::Error) -> Error {
    match tls(error) {
        Some(error) => tls_error(error).with_source(Below::of(error)),
        None => nowhere("the node cannot be reached").with_source(Below(error.kind().to_string())),
    }
}

/// What went wrong with TLS. The driver knows nodes by their addresses only, which few certificates have.
fn tls_error(error: &rustls::Error) -> Error {
    match error {
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => {
            let context = "the server's certificate is for another name: it needs the node's IP address among its names, \
                           whatever the URL calls the node";
            Error::new(ErrorKind::Config, context).with_effect(Effect::NotApplied)
        }
        error => stickystore_transport::tls_error(error),
    }
}

fn tls(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

fn nowhere(context: &str) -> Error {
    Error::new(ErrorKind::Unavailable, context).with_effect(Effect::NotApplied)
}

/// Others wrote to the same user all the time.
pub(crate) fn contended() -> Error {
    Error::new(ErrorKind::Timeout, "the deadline passed while others wrote to the same user")
        .with_effect(Effect::NotApplied)
}

/// An answer of a shape that no statement of ours has.
pub(crate) fn odd_answer() -> Error {
    Error::new(ErrorKind::Unexpected, "the node gave an answer of another shape")
}

/// An attempt whose outcome the node did not know, and what stands there now does not tell.
pub(crate) fn in_doubt() -> Error {
    let context =
        "the nodes did not agree in time, and what stands there now does not show whether it was written";
    Error::new(ErrorKind::Timeout, context).with_effect(Effect::Unknown)
}

/// A driver's error as a source: its kind in words, never what a node quoted from us.
#[derive(Debug)]
pub(crate) struct Below(String);

impl Below {
    /// Only errors that come from this machine.
    fn of(error: &impl fmt::Display) -> Self {
        Self(error.to_string())
    }

    /// The driver's words for the kind of it, without the node's.
    fn db(error: &DbError) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for Below {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Below {}

#[cfg(test)]
mod tests {
    use scylla::errors::OperationType;
    use scylla::statement::Consistency;

    use super::*;

    fn says(error: DbError) -> ExecutionError {
        ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, String::new()))
    }

    fn lacks_nodes(consistency: Consistency) -> ExecutionError {
        says(DbError::Unavailable { consistency, required: 2, alive: 1 })
    }

    #[test]
    fn too_few_nodes_to_decide_is_not_applied() {
        for consistency in [Consistency::Serial, Consistency::LocalSerial] {
            let Failure::Final(error) = writing(lacks_nodes(consistency)) else { panic!("it is final") };
            assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::NotApplied));
        }
    }

    #[test]
    fn too_few_nodes_to_tell_after_it_was_decided_is_unknown() {
        for consistency in [Consistency::Quorum, Consistency::LocalQuorum, Consistency::Two] {
            let Failure::Undecided(error) = writing(lacks_nodes(consistency)) else { panic!("it is open") };
            assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::Unknown));
            let Failure::Final(error) = request(lacks_nodes(consistency)) else { panic!("a read is final") };
            assert_eq!(error.effect(), Effect::NotApplied);
        }
    }

    #[test]
    fn a_limit_that_only_some_nodes_reached_leaves_a_write_unknown() {
        let limit = |rejected_by_coordinator| {
            says(DbError::RateLimitReached { op_type: OperationType::Write, rejected_by_coordinator })
        };
        assert!(matches!(writing(limit(false)), Failure::Undecided(_)));
        assert!(
            matches!(writing(limit(true)), Failure::Final(error) if error.effect() == Effect::NotApplied)
        );
    }
}
