//! What redb writes to: the file, with its syncs counted and timed.

use std::fmt;
use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

/// Puts something between redb and the file; tests make it fail.
pub(crate) type Wrap = Arc<dyn Fn(FileBackend) -> Box<dyn StorageBackend> + Send + Sync>;

/// What the disk was seen to do, over all openings of a file by one store.
#[derive(Debug, Default)]
pub(crate) struct DiskStats {
    syncs: AtomicU64,
    last_micros: AtomicU64,
    worst_micros: AtomicU64,
}

impl DiskStats {
    /// How often the disk was synced.
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// How long the last sync took, and the longest.
    pub(crate) fn sync_times(&self) -> (Duration, Duration) {
        let time = |micros: &AtomicU64| Duration::from_micros(micros.load(Ordering::Relaxed));
        (time(&self.last_micros), time(&self.worst_micros))
    }

    fn synced(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.last_micros.store(micros, Ordering::Relaxed);
        self.worst_micros.fetch_max(micros, Ordering::Relaxed);
    }
}

/// The file as redb uses it.
pub(crate) struct Disk {
    file: Box<dyn StorageBackend>,
    stats: Arc<DiskStats>,
}

impl Disk {
    pub(crate) fn new(file: Box<dyn StorageBackend>, stats: Arc<DiskStats>) -> Self {
        Self { file, stats }
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").field("stats", &self.stats).finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods)]
impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, io::Error> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let start = Instant::now();
        let synced = self.file.sync_data();
        self.stats.synced(start.elapsed());
        synced
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
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
