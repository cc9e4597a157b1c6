//! redb's errors as the core's: the one place that knows both.

use std::io;
use std::path::Path;

use stickystore_core::{Effect, Error, ErrorKind, Operation};

use crate::SCHEME;

/// An error of this store.
pub(crate) fn fail(operation: Operation, kind: ErrorKind, context: impl Into<String>) -> Error {
    Error::new(kind, context).with_origin(SCHEME, operation)
}

/// What every call after `close` answers.
pub(crate) fn closed(operation: Operation) -> Error {
    fail(operation, ErrorKind::Closed, "this store was closed")
}

/// What a call answers whose deadline passed before anything was done.
pub(crate) fn late(operation: Operation) -> Error {
    fail(operation, ErrorKind::Timeout, "the deadline had passed before the file was touched")
        .with_effect(Effect::NotApplied)
}

/// What a call answers when code below it panicked.
pub(crate) fn panicked(operation: Operation) -> Error {
    fail(operation, ErrorKind::Unexpected, "the code that reads and writes the file panicked")
}

/// redb's error about this file.
pub(crate) fn from_redb(path: &Path, operation: Operation, error: redb::Error) -> Error {
    let file = path.display();
    let (kind, context) = match error {
        redb::Error::Io(error) => return from_io(path, operation, error),
        redb::Error::DatabaseAlreadyOpen => {
            let context = format!(
                "{file} is open already, in another process or through another handle of this one; \
                 one process at a time can use it"
            );
            return fail(operation, ErrorKind::Unavailable, context).with_effect(Effect::NotApplied);
        }
        redb::Error::UpgradeRequired(_) => {
            (ErrorKind::Config, format!("{file} was written by another version of redb"))
        }
        redb::Error::ValueTooLarge(_) => {
            (ErrorKind::TooLarge, format!("{file} cannot hold so large a value"))
        }
        redb::Error::Corrupted(_) => (ErrorKind::Corrupt, damaged_file(path)),
        redb::Error::TableTypeMismatch { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TableDoesNotExist(_)
        | redb::Error::TypeDefinitionChanged { .. } => (ErrorKind::Corrupt, not_ours(path)),
        redb::Error::PreviousIo | redb::Error::DatabaseClosed => {
            (ErrorKind::Unavailable, format!("{file} is being opened again after an earlier failure"))
        }
        _ => (ErrorKind::Unexpected, format!("redb refused to read or write {file}")),
    };
    fail(operation, kind, context).with_source(error)
}

/// The operating system's error about this file.
pub(crate) fn from_io(path: &Path, operation: Operation, error: io::Error) -> Error {
    let file = path.display();
    let (kind, context) = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            (ErrorKind::Full, format!("there is no room left for {file}; what is stored stays"))
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            (ErrorKind::Denied, format!("this process may not read and write {file}"))
        }
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => (ErrorKind::Corrupt, damaged_file(path)),
        _ => (ErrorKind::Unavailable, format!("reading or writing {file} failed")),
    };
    fail(operation, kind, context).with_source(error)
}

/// The words for a file that is somebody else's.
pub(crate) fn not_ours(path: &Path) -> String {
    format!("{} is not a stickystore file; it was left as it is", path.display())
}

/// Whether the file may be good again once it has been opened anew: redb refuses everything after an I/O error.
pub(crate) fn heals(error: &redb::Error) -> bool {
    matches!(
        error,
        redb::Error::Io(_)
            | redb::Error::PreviousIo
            | redb::Error::DatabaseClosed
            | redb::Error::LockPoisoned(_)
    )
}

fn damaged_file(path: &Path) -> String {
    format!("{} is damaged; it was left as it is, restore it from a copy", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_full_and_another_process_is_named() {
        let path = Path::new("/data/sticky.redb");
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded, io::ErrorKind::FileTooLarge] {
            let error = from_redb(path, Operation::Write, redb::Error::Io(kind.into()));
            assert_eq!(error.kind(), ErrorKind::Full);
        }
        let error = from_redb(path, Operation::Open, redb::Error::DatabaseAlreadyOpen);
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::NotApplied));
        assert!(error.to_string().contains("/data/sticky.redb is open already, in another process"));
    }
}
