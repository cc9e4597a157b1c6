//! Opening the file: making a new one that a crash cannot leave half made, and refusing what is not ours.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{Builder, Database, ReadableDatabase as _, TableError};
use stickystore_core::{ErrorKind, Operation, Result, Revision};

use crate::config::Config;
use crate::disk::{Disk, DiskStats, Wrap};
use crate::error::{fail, from_io, from_redb, not_ours};
use crate::layout::{ABOUT, ENTRIES, MAGIC, VERSION, VERSION_KEY};

/// What to do if there is no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Make one: the first opening.
    Create,
    /// Say so: a store in use does not go on with an empty file.
    Refuse,
}

/// Opens the file, repairs what a crash left behind, and checks that it is ours.
pub(crate) fn open(
    config: &Config,
    missing: Missing,
    stats: &Arc<DiskStats>,
    wrap: &Wrap,
) -> Result<Database> {
    let path = &config.path;
    if !config.folder().is_dir() {
        let context = format!("the folder of {} is not there; make it first", path.display());
        return Err(fail(Operation::Open, ErrorKind::Config, context));
    }
    if path.is_dir() {
        let context = format!("{} is a folder; an embedded store needs a file", path.display());
        return Err(fail(Operation::Open, ErrorKind::Config, context));
    }
    if missing == Missing::Create && !path.exists() {
        create(config)?;
    }
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let context = format!("{} is gone; was it moved away?", path.display());
            return Err(fail(Operation::Open, ErrorKind::Unavailable, context).with_source(error));
        }
        Err(error) => return Err(from_io(path, Operation::Open, error)),
    };
    let begins_as_ours =
        is_redb_or_empty(&mut file).map_err(|error| from_io(path, Operation::Open, error))?;
    if !begins_as_ours {
        return Err(fail(Operation::Open, ErrorKind::Corrupt, not_ours(path)));
    }
    let opened = connect(config, file, |file| Disk::new(wrap(file), Arc::clone(stats)));
    let database = opened.map_err(|error| from_redb(path, Operation::Open, error))?;
    check_version(path, &database)?;
    if missing == Missing::Create {
        // Whoever made it may have died before this.
        sync_folder(config.folder()).map_err(|error| from_io(path, Operation::Open, error))?;
    }
    Ok(database)
}

/// Makes a new file beside its place and then links it there, so that the path names a whole file or none.
fn create(config: &Config) -> Result<()> {
    let beside = beside(&config.path);
    let made = make(config, &beside).and_then(|()| put_in_place(&beside, &config.path).map_err(io_error));
    // It is in its place, or useless.
    let _ = fs::remove_file(&beside);
    made.map_err(|error| from_redb(&config.path, Operation::Open, error))
}

fn make(config: &Config, path: &Path) -> Result<(), redb::Error> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    // Assignments are nobody's business but the owner's.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(io_error)?;
    sign(&connect(config, file, |file| file)?)
}

fn put_in_place(beside: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(beside, path) {
        Ok(()) => Ok(()),
        // Another process was faster, and its file is as good.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // A file system without links.
        Err(_) => fs::rename(beside, path),
    }
}

/// A name beside the file that nobody else uses.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".new-{}", Revision::random()));
    name.into()
}

fn connect<B: redb::StorageBackend>(
    config: &Config,
    file: File,
    backend: impl FnOnce(FileBackend) -> B,
) -> Result<Database, redb::Error> {
    let backend = backend(FileBackend::new(file)?);
    Ok(Builder::new().set_cache_size(config.cache_bytes).create_with_backend(backend)?)
}

/// Whether the file begins as a redb file does, or is empty and can become one.
fn is_redb_or_empty(file: &mut File) -> io::Result<bool> {
    let mut first = Vec::new();
    file.take(MAGIC.len() as u64).read_to_end(&mut first)?;
    Ok(first.is_empty() || first == MAGIC)
}

/// Makes an empty file ours, and refuses another program's tables and other versions of our own.
fn check_version(path: &Path, database: &Database) -> Result<()> {
    let redb = |error: redb::Error| from_redb(path, Operation::Open, error);
    let txn = database.begin_read().map_err(|error| redb(error.into()))?;
    let version = match txn.open_table(ABOUT) {
        Ok(about) => about.get(VERSION_KEY).map_err(|error| redb(error.into()))?,
        Err(TableError::TableDoesNotExist(_)) => None,
        Err(error) => return Err(redb(error.into())),
    };
    match version.as_ref().map(redb::AccessGuard::value) {
        Some(VERSION) => Ok(()),
        Some(other) => {
            let context = format!(
                "{} has layout version {other}; this program reads version {VERSION}",
                path.display()
            );
            Err(fail(Operation::Open, ErrorKind::Config, context))
        }
        None => {
            let tables = txn.list_tables().map_err(|error| redb(error.into()))?.count();
            if tables > 0 {
                return Err(fail(Operation::Open, ErrorKind::Corrupt, not_ours(path)));
            }
            sign(database).map_err(redb)
        }
    }
}

/// Makes an empty file ours: the version and the empty table, durable.
fn sign(database: &Database) -> Result<(), redb::Error> {
    let txn = database.begin_write()?;
    txn.open_table(ABOUT)?.insert(VERSION_KEY, VERSION)?;
    txn.open_table(ENTRIES)?;
    Ok(txn.commit()?)
}

/// Makes the file's name survive power loss; its content is redb's business.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn io_error(error: io::Error) -> redb::Error {
    redb::Error::Io(error)
}
