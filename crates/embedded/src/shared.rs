//! What all clones of a handle share: the open file, the queue to the writer, the checks before every call.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use redb::{Database, ReadOnlyTable, ReadableDatabase as _};
use stickystore_core::{
    Call, Effect, Error, ErrorKind, Limits, Loss, Operation, Result, Scope, Sharing, StoreInfo,
};

use crate::SCHEME;
use crate::commit;
use crate::config::Config;
use crate::disk::{DiskStats, Wrap};
use crate::error::{closed, fail, heals, late, panicked};
use crate::file::{self, Missing};
use crate::layout::{ENTRIES, RowKey};
use crate::queue::{Answer, Ask, Job, Queue, Reply, Ticket};
use crate::rows::Raw;

/// How long dropping the last handle waits for what was accepted; a disk that hangs must not hang the program.
const DROP_PATIENCE: Duration = Duration::from_secs(5);

/// A reader's view of all rows.
pub(crate) type Table = ReadOnlyTable<RowKey, &'static [u8]>;

/// What the clones of a handle, and the writer, share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) info: StoreInfo,
    pub(crate) queue: Queue,
    /// The open file; none while it is opened again, or could not be.
    pub(crate) slot: RwLock<Option<Database>>,
    pub(crate) disk: Arc<DiskStats>,
    pub(crate) wrap: Wrap,
    pub(crate) commits: AtomicU64,
    failure: Mutex<Option<Error>>,
    process: u32,
}

impl Shared {
    pub(crate) fn database(&self) -> RwLockReadGuard<'_, Option<Database>> {
        // A panic while the lock is held leaves the slot as it was.
        self.slot.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the open file out, so that it is closed when this is dropped.
    pub(crate) fn take_database(&self) -> Option<Database> {
        self.slot.write().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What a transaction failed of, until one is committed again.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_failure(&self, failure: Option<Error>) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    /// The checks that come before every call.
    pub(crate) fn admit(&self, call: Call, operation: Operation) -> Result<()> {
        if self.is_forked() {
            let context = "this handle belongs to the parent process, which alone can use the file";
            return Err(fail(operation, ErrorKind::Forked, context));
        }
        if self.queue.is_ending() {
            return Err(closed(operation));
        }
        if call.remaining().is_zero() {
            return Err(late(operation));
        }
        Ok(())
    }

    /// Looks at the rows as they are now, on the caller's thread. A file that redb gave up is opened again, once.
    pub(crate) fn look<T>(
        &self,
        call: Call,
        operation: Operation,
        look: impl Fn(&Table) -> Raw<T>,
    ) -> Result<T> {
        self.admit(call, operation)?;
        match self.try_look(operation, &look)? {
            Ok(seen) => return Ok(seen),
            Err(error) if !heals(&error) => return Err(self.error(operation, error)),
            Err(_) => {}
        }
        self.ask(call, operation, Ask::Reopen)?;
        self.try_look(operation, &look)?.map_err(|error| self.error(operation, error))
    }

    fn try_look<T>(&self, operation: Operation, look: &impl Fn(&Table) -> Raw<T>) -> Result<Raw<T>> {
        let look = || {
            let txn = match &*self.database() {
                Some(database) => database.begin_read()?,
                None => return Err(redb::Error::DatabaseClosed),
            };
            look(&txn.open_table(ENTRIES)?)
        };
        // redb's code trusts the bytes of the file more than we do.
        catch_unwind(AssertUnwindSafe(look)).map_err(|_| panicked(operation))
    }

    /// Asks the writer and waits for its answer.
    pub(crate) fn ask(&self, call: Call, operation: Operation, ask: Ask) -> Result<Answer> {
        let (sender, receiver) = sync_channel(1);
        // Nobody receives any more if the caller gave up.
        let ticket = self.send(call, operation, ask, Box::new(move |answer| drop(sender.send(answer))))?;
        match receiver.recv_timeout(call.remaining()) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => Err(gave_up(operation, ticket.give_up())),
            Err(RecvTimeoutError::Disconnected) => Err(panicked(operation)),
        }
    }

    /// Asks the writer, whose answer goes to `reply`.
    pub(crate) fn send(&self, call: Call, operation: Operation, ask: Ask, reply: Reply) -> Result<Ticket> {
        self.admit(call, operation)?;
        let ticket = Ticket::new();
        self.queue.push(Job { call, operation, ask, ticket: ticket.clone(), reply })?;
        Ok(ticket)
    }

    pub(crate) fn is_forked(&self) -> bool {
        self.process != std::process::id()
    }
}

/// What a caller is told who stopped waiting for the writer.
pub(crate) fn gave_up(operation: Operation, effect: Effect) -> Error {
    let context = match effect {
        Effect::NotApplied => "the deadline passed while the call waited for its turn",
        Effect::Unknown => "the deadline passed while the disk was being written",
    };
    fail(operation, ErrorKind::Timeout, context).with_effect(effect)
}

/// The handle that clones of a store share; the last one ends the writer.
pub(crate) struct Handle(Arc<Shared>);

impl Handle {
    /// Opens the file and starts its writer.
    pub(crate) fn open(config: Config, wrap: Wrap) -> Result<Self> {
        let disk = Arc::new(DiskStats::default());
        let database = file::open(&config, Missing::Create, &disk, &wrap)?;
        let shared = Arc::new(Shared {
            info: info(&config),
            config,
            queue: Queue::default(),
            slot: RwLock::new(Some(database)),
            disk,
            wrap,
            commits: AtomicU64::new(0),
            failure: Mutex::new(None),
            process: std::process::id(),
        });
        let writer = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("stickystore-file".to_owned());
        match thread.spawn(move || commit::run(&writer)) {
            // It ends with the queue.
            Ok(_) => Ok(Self(shared)),
            Err(error) => {
                Err(fail(Operation::Open, ErrorKind::Config, "no thread for the writer").with_source(error))
            }
        }
    }
}

impl std::ops::Deref for Handle {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.0.is_forked() {
            // The file and its lock are the parent's: closing them here would write to the file.
            std::mem::forget(Arc::clone(&self.0));
            return;
        }
        self.0.queue.end();
        self.0.queue.wait_ended(Instant::now() + DROP_PATIENCE);
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("config", &self.0.config).finish_non_exhaustive()
    }
}

fn info(config: &Config) -> StoreInfo {
    StoreInfo::new(SCHEME)
        .survives(&[Loss::ProcessExit, Loss::PowerLoss], "synced before the answer")
        .winner(Scope::Process)
        .sharing(Sharing::Handle)
        .limits(Limits::default().with_entry_bytes(config.max_entry_bytes))
}
