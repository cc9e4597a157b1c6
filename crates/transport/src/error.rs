//! What can go wrong below a protocol, as core's errors: kind and effect.

use std::io;

use stickystore_core::{Effect, Error, ErrorKind};
use tokio_rustls::rustls::{self, CertificateError};

/// No stream to the server, for this reason: nothing was sent.
pub fn streaming(error: io::Error) -> Error {
    let wrong = match rustls_error(&error) {
        Some(tls) => tls_error(tls),
        None => unsent(ErrorKind::Unavailable, "the server cannot be reached"),
    };
    wrong.with_source(error)
}

/// No TLS with the server, for this reason: nothing was sent. A certificate that has expired, one for another name and one
/// of an authority that is not trusted are told apart.
pub fn tls_error(error: &rustls::Error) -> Error {
    match error {
        rustls::Error::InvalidCertificate(wrong) => unsent(ErrorKind::Config, certificate(wrong)),
        rustls::Error::AlertReceived(_) => refused_by_tls(),
        _ => unsent(ErrorKind::Unavailable, "the server does not speak TLS as we do"),
    }
}

/// Whether the server refused our side of TLS. Since TLS 1.3, a client's certificate is judged after its side of the
/// handshake, so that this can come with the first answer.
pub fn is_tls_alert(error: &io::Error) -> bool {
    matches!(rustls_error(error), Some(rustls::Error::AlertReceived(_)))
}

/// The error of a server that refuses our side of TLS.
pub fn refused_by_tls() -> Error {
    let context = "the server refuses our side of TLS: it may want another client certificate";
    unsent(ErrorKind::Denied, context)
}

/// The deadline passed before anything was sent.
pub fn too_late_to_send() -> Error {
    unsent(ErrorKind::Timeout, "the deadline passed before anything was sent")
}

/// The deadline passed while the answer was awaited.
pub fn no_answer() -> Error {
    Error::new(ErrorKind::Timeout, "no answer by the deadline").with_effect(Effect::Unknown)
}

/// The connection ended with what was asked on its way.
pub fn ended(source: Option<io::Error>) -> Error {
    let Some(source) = source else {
        return Error::new(ErrorKind::Unavailable, "the connection ended before the answer");
    };
    if is_tls_alert(&source) {
        return refused_by_tls().with_effect(Effect::Unknown).with_source(source);
    }
    Error::new(ErrorKind::Unavailable, "the connection ended before the answer").with_source(source)
}

/// The connection ended before this was on its way.
pub fn not_sent() -> Error {
    unsent(ErrorKind::Unavailable, "the connection ended before anything was sent")
}

/// What arrived is the answer to nothing that was asked.
pub fn garbled() -> Error {
    let context = "the server gave an answer to something else; the connection was closed";
    Error::new(ErrorKind::Unexpected, context)
}

fn certificate(wrong: &CertificateError) -> &'static str {
    match wrong {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate is for another name"
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the server's certificate comes from an authority that is not trusted"
        }
        _ => "the server's certificate is not valid",
    }
}

fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

fn unsent(kind: ErrorKind, context: &str) -> Error {
    Error::new(kind, context).with_effect(Effect::NotApplied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_that_are_wrong_in_different_ways_are_told_apart() {
        let says = |wrong| {
            let below = io::Error::other(rustls::Error::InvalidCertificate(wrong));
            let error = streaming(below);
            assert_eq!((error.kind(), error.effect()), (ErrorKind::Config, Effect::NotApplied));
            error.context().to_owned()
        };
        assert!(says(CertificateError::Expired).contains("has expired"));
        assert!(says(CertificateError::NotValidForName).contains("another name"));
        assert!(says(CertificateError::UnknownIssuer).contains("not trusted"));
        assert!(says(CertificateError::Revoked).contains("not valid"));
    }

    #[test]
    fn what_is_no_tls_is_a_server_that_cannot_be_reached() {
        let error = streaming(io::ErrorKind::ConnectionRefused.into());
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::NotApplied));
    }
}
