//! A disk that does what a test says: it is full beyond a place, it fails, it waits.

use std::fmt;
use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

use crate::disk::Wrap;

/// What a test tells the disk, and sees of it.
pub(crate) struct Controls {
    /// Where the disk ends: nothing can be written beyond it.
    pub(crate) end: AtomicU64,
    /// Every write fails.
    pub(crate) fail_writes: AtomicBool,
    /// Every sync fails, after the data have gone to the file.
    pub(crate) fail_syncs: AtomicBool,
    /// Syncs wait while this is true.
    held: Mutex<bool>,
    changed: Condvar,
    pub(crate) waiting_syncs: AtomicU64,
    /// What was written and not synced yet, in order, while a test asks for it; in place of the file.
    pub(crate) unsynced: Mutex<Option<Vec<Change>>>,
}

#[derive(Debug, Clone)]
pub(crate) enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
    Sync,
}

impl Controls {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            end: AtomicU64::new(u64::MAX),
            fail_writes: AtomicBool::new(false),
            fail_syncs: AtomicBool::new(false),
            held: Mutex::new(false),
            changed: Condvar::new(),
            waiting_syncs: AtomicU64::new(0),
            unsynced: Mutex::new(None),
        })
    }

    pub(crate) fn hold_syncs(&self, hold: bool) {
        *self.held.lock().unwrap() = hold;
        self.changed.notify_all();
    }
}

/// Puts a disk with these controls under a store.
pub(crate) fn wrap(controls: &Arc<Controls>) -> Wrap {
    let controls = Arc::clone(controls);
    Arc::new(move |file| Box::new(TestDisk { file, controls: Arc::clone(&controls) }))
}

struct TestDisk {
    file: FileBackend,
    controls: Arc<Controls>,
}

impl TestDisk {
    fn note(&self, change: impl FnOnce() -> Change) {
        if let Some(unsynced) = &mut *self.controls.unsynced.lock().unwrap() {
            unsynced.push(change());
        }
    }
}

impl fmt::Debug for TestDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestDisk")
    }
}

#[deny(clippy::missing_trait_methods)]
impl StorageBackend for TestDisk {
    fn len(&self) -> Result<u64, io::Error> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.note(|| Change::Length(len));
        self.file.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let mut held = self.controls.held.lock().unwrap();
        self.controls.waiting_syncs.fetch_add(1, Ordering::SeqCst);
        while *held {
            held = self.controls.changed.wait(held).unwrap();
        }
        self.controls.waiting_syncs.fetch_sub(1, Ordering::SeqCst);
        drop(held);
        if self.controls.fail_syncs.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk lost it"));
        }
        self.note(|| Change::Sync);
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        if self.controls.fail_writes.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is gone"));
        }
        if offset + data.len() as u64 > self.controls.end.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.note(|| Change::Write(offset, data.to_vec()));
        self.file.write(offset, data)
    }

    fn close(&self) -> Result<(), io::Error> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}
