//! The one public error: what went wrong, where, and whether a write may have happened.
//!
//! A lost condition is not an error but an [`Outcome`](crate::Outcome). Messages never carry a user's id or an entry's
//! content, nor anything from a configuration that could be a secret; a key may be named where the caller has to mend it.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// Short for a result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call, or one item of it, was not answered.
///
/// It is cheap to clone, because one failure of a shared round trip reaches many callers.
///
/// ```
/// use stickystore_core::{Effect, ErrorKind, Key};
///
/// let error = Key::new("").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Invalid);
/// assert_eq!(error.effect(), Effect::NotApplied);
/// assert_eq!(error.to_string(), "invalid input: a key must have at least 1 byte");
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    effect: Effect,
    origin: Option<(&'static str, Operation)>,
    context: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What kind of failure it was; the part of an [`Error`] that programs decide by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller's input breaks a rule of the model. Nothing was sent.
    Invalid,
    /// A value is larger than the store's declared limit. Nothing was sent, the old value stands.
    TooLarge,
    /// The store does not have this ability. Nothing was sent.
    Unsupported,
    /// What is stored there is damaged or not ours. It is left as it is.
    Corrupt,
    /// The store has no room for more, and never makes room by forgetting.
    Full,
    /// The server cannot be reached, or went away.
    Unavailable,
    /// The deadline passed first.
    Timeout,
    /// The server refuses these credentials, or this right.
    Denied,
    /// The store was closed, through this handle or a clone of it.
    Closed,
    /// The handle was opened before the process forked; the child has to open its own.
    Forked,
    /// The configuration is wrong.
    Config,
    /// The server or a driver answered something that it should never answer.
    Unexpected,
}

/// Whether a failed write can have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Certainly not applied.
    NotApplied,
    /// It may or may not have been applied, or still be: read, or send it again under the same revision.
    Unknown,
}

/// Which operation of a store failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Opening the store.
    Open,
    /// `read`.
    Read,
    /// `write`.
    Write,
    /// `erase`.
    Erase,
    /// `scan_page`.
    Scan,
    /// `ping`.
    Ping,
    /// `diagnose`.
    Diagnose,
    /// `close`.
    Close,
}

impl Error {
    /// An error of this kind; `context` says in a few words what happened and what to do about it.
    ///
    /// Its effect is [`Effect::Unknown`] for `Unavailable`, `Timeout` and `Unexpected`, and
    /// [`Effect::NotApplied`] for every other kind, until [`with_effect`](Self::with_effect) says otherwise.
    pub fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        let effect = match kind {
            ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Unexpected => Effect::Unknown,
            _ => Effect::NotApplied,
        };
        Self(Arc::new(Inner { kind, effect, origin: None, context: context.into(), source: None }))
    }

    /// Says whether the write can have happened.
    #[must_use]
    pub fn with_effect(mut self, effect: Effect) -> Self {
        Arc::make_mut(&mut self.0).effect = effect;
        self
    }

    /// Names the store (by its scheme) and the operation.
    #[must_use]
    pub fn with_origin(mut self, backend: &'static str, operation: Operation) -> Self {
        Arc::make_mut(&mut self.0).origin = Some((backend, operation));
        self
    }

    /// Keeps the error below this one; it is reached through [`source`](StdError::source), never printed here.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.0).source = Some(Arc::new(source));
        self
    }

    /// What kind of failure it was.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the write can have happened.
    pub fn effect(&self) -> Effect {
        self.0.effect
    }

    /// The scheme of the store that failed, if one was involved.
    pub fn backend(&self) -> Option<&'static str> {
        self.0.origin.map(|(backend, _)| backend)
    }

    /// The operation that failed, if a store was involved.
    pub fn operation(&self) -> Option<Operation> {
        self.0.origin.map(|(_, operation)| operation)
    }

    /// What happened, without kind and origin.
    pub fn context(&self) -> &str {
        &self.0.context
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((backend, operation)) = self.0.origin {
            write!(f, "{backend} {operation}: ")?;
        }
        write!(f, "{}: {}", self.0.kind, self.0.context)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("effect", &self.0.effect)
            .field("origin", &self.0.origin)
            .field("context", &self.0.context)
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl ErrorKind {
    /// Its name for programs, as in reports and metrics: `too-large`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::TooLarge => "too-large",
            Self::Unsupported => "unsupported",
            Self::Corrupt => "corrupt",
            Self::Full => "full",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Denied => "denied",
            Self::Closed => "closed",
            Self::Forked => "forked",
            Self::Config => "config",
            Self::Unexpected => "unexpected",
        }
    }
}

impl Effect {
    /// Its name for programs: `not-applied` or `unknown`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotApplied => "not-applied",
            Self::Unknown => "unknown",
        }
    }
}

impl Operation {
    /// Its name for programs, which is the method's.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Write => "write",
            Self::Erase => "erase",
            Self::Scan => "scan",
            Self::Ping => "ping",
            Self::Diagnose => "diagnose",
            Self::Close => "close",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "invalid input",
            Self::TooLarge => "too large",
            Self::Unsupported => "unsupported",
            Self::Corrupt => "corrupt",
            Self::Full => "store full",
            Self::Unavailable => "unavailable",
            Self::Timeout => "deadline passed",
            Self::Denied => "denied",
            Self::Closed => "closed",
            Self::Forked => "opened before a fork",
            Self::Config => "configuration",
            Self::Unexpected => "unexpected answer",
        })
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_reachable_and_never_printed_by_its_wrapper() {
        let error = Error::new(ErrorKind::Unavailable, "no connection")
            .with_origin("redis", Operation::Write)
            .with_source(std::io::Error::other("refused by peer"));
        assert_eq!(error.to_string(), "redis write: unavailable: no connection");
        assert!(!format!("{error:?}").contains("refused"));
        assert_eq!(error.source().unwrap().to_string(), "refused by peer");
    }

    #[test]
    fn a_clone_keeps_everything_and_a_changed_clone_leaves_the_first_alone() {
        let first = Error::new(ErrorKind::Timeout, "no reply");
        let second = first.clone().with_effect(Effect::NotApplied);
        assert_eq!(first.effect(), Effect::Unknown);
        assert_eq!(second.effect(), Effect::NotApplied);
        assert_eq!(second.kind(), ErrorKind::Timeout);
    }
}
