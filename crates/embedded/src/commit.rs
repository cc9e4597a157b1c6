//! The writer: one thread that takes whatever waits, does it in one transaction, syncs once and answers all.
//!
//! It is the only one that writes, and the only one that opens the file again after a failure.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use redb::{Database, ReadableDatabase as _, WriteTransaction};
use stickystore_core::{Effect, Error, Operation, Result, UnixMillis};

use crate::error::{from_redb, late, panicked};
use crate::file::{self, Missing};
use crate::layout::{ENTRIES, Row};
use crate::queue::{Answer, Ask, Job};
use crate::rows::{Raw, Rows};
use crate::shared::Shared;

/// How many rows a transaction looks at for what may be swept, for each job in it: enough to overtake what the jobs
/// leave behind, which is one row as a rule.
const SWEPT_PER_JOB: usize = 4;

/// Takes jobs until the queue ends, then lets go of the file.
pub(crate) fn run(shared: &Arc<Shared>) {
    let _ended = Ended(shared);
    let mut writer = Writer { shared: Arc::clone(shared), hand: None };
    while let Some(jobs) = shared.queue.take() {
        writer.serve(jobs);
    }
}

/// Lets go of the file and tells everybody, however the writer ends.
struct Ended<'a>(&'a Shared);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        // Closing runs redb's code; what it leaves undone, the next opening repairs.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(self.0.take_database())));
        self.0.queue.ended();
    }
}

struct Writer {
    shared: Arc<Shared>,
    /// Where the sweep goes on.
    hand: Option<Row>,
}

/// Why a transaction answers nobody, and whether it can have happened.
struct Failed {
    error: Error,
    effect: Effect,
}

impl Writer {
    fn serve(&mut self, jobs: Vec<Job>) {
        let mut begun = Vec::with_capacity(jobs.len());
        for job in jobs {
            if !job.ticket.begin() {
                continue;
            }
            if job.call.remaining().is_zero() {
                (job.reply)(Err(late(job.operation)));
                continue;
            }
            begun.push(job);
        }
        if begun.is_empty() {
            return;
        }
        let done = catch_unwind(AssertUnwindSafe(|| self.transact(&begun))).unwrap_or_else(|_| {
            // The file is opened again before anything else is done with it.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(self.shared.take_database())));
            Err(Failed { error: panicked(Operation::Write), effect: Effect::Unknown })
        });
        match done {
            Ok(answers) => {
                for (job, answer) in begun.into_iter().zip(answers) {
                    (job.reply)(Ok(answer));
                }
            }
            Err(Failed { error, effect }) => {
                self.shared.set_failure(Some(error.clone()));
                for job in begun {
                    let error = error.clone().with_origin(crate::SCHEME, job.operation);
                    (job.reply)(Err(error.with_effect(effect)));
                }
            }
        }
    }

    /// Does all jobs or none.
    fn transact(&mut self, jobs: &[Job]) -> std::result::Result<Vec<Answer>, Failed> {
        let not_applied = |error| Failed { error, effect: Effect::NotApplied };
        let txn = self.begin().map_err(not_applied)?;
        let done = txn.open_table(ENTRIES).map_err(redb::Error::from).and_then(|table| {
            let mut rows = Rows::new(table, self.shared.config.max_entry_bytes);
            let answers = self.apply(&mut rows, jobs)?;
            Ok((answers, rows.last_change()))
        });
        let (answers, last) = match done {
            Ok(done) => done,
            Err(error) => {
                // Dropping the transaction undoes it.
                drop(txn);
                let error = self.shared.error(Operation::Write, error);
                self.reopen_quietly();
                return Err(not_applied(error));
            }
        };
        let Some((row, holds)) = last else {
            // Nothing changed: no answer depends on a sync.
            return match txn.abort() {
                Ok(()) => Ok(answers),
                Err(error) => Err(not_applied(self.shared.error(Operation::Write, error.into()))),
            };
        };
        match txn.commit() {
            Ok(()) => {
                self.shared.commits.fetch_add(1, Ordering::Relaxed);
                self.shared.set_failure(None);
                Ok(answers)
            }
            Err(error) => {
                let error = self.shared.error(Operation::Write, error.into());
                Err(Failed { error, effect: self.effect_of_failed_commit(&row, holds.as_deref()) })
            }
        }
    }

    /// Begins a transaction, on a file that is opened again if it has to be.
    fn begin(&self) -> Result<WriteTransaction> {
        let begin = || {
            let database = self.shared.database();
            database.as_ref().map(Database::begin_write)
        };
        if let Some(Ok(txn)) = begin() {
            return Ok(txn);
        }
        self.reopen()?;
        match begin() {
            Some(Ok(txn)) => Ok(txn),
            Some(Err(error)) => Err(self.shared.error(Operation::Write, error.into())),
            None => Err(self.shared.error(Operation::Write, redb::Error::DatabaseClosed)),
        }
    }

    fn apply(&mut self, rows: &mut Rows<'_>, jobs: &[Job]) -> Raw<Vec<Answer>> {
        let mut answers = Vec::with_capacity(jobs.len());
        for job in jobs {
            let now = job.call.now;
            answers.push(match &job.ask {
                Ask::Write(writes) => {
                    Answer::Write(writes.iter().map(|write| rows.write(write, now)).collect::<Raw<_>>()?)
                }
                Ask::Erase(erases) => {
                    Answer::Erase(erases.iter().map(|erase| rows.erase(erase, now)).collect::<Raw<_>>()?)
                }
                Ask::Sweep => Answer::Done(rows.sweep(None, usize::MAX, self.shared.config.grace, now)?.0),
                Ask::Plant(row, bytes) => {
                    rows.plant(row.clone(), bytes.clone())?;
                    Answer::Done(1)
                }
                Ask::Reopen => Answer::Done(0),
                #[cfg(test)]
                Ask::Hold(until) => {
                    let _ = until.recv();
                    Answer::Done(0)
                }
                #[cfg(test)]
                Ask::Panic => std::panic::resume_unwind(Box::new("asked for")),
            });
        }
        // Only beside other changes, whose sync it shares; and by the earliest of the callers' times.
        let now = jobs.iter().map(|job| job.call.now).min().unwrap_or(UnixMillis::EPOCH);
        if rows.is_changed() {
            let count = SWEPT_PER_JOB.saturating_mul(jobs.len());
            self.hand = rows.sweep(self.hand.as_ref(), count, self.shared.config.grace, now)?.1;
        }
        Ok(answers)
    }

    /// Looks, in the file opened again, at the last row that the commit would have changed: nobody else writes, so
    /// if it does not hold what the commit would have left there, then nothing of it happened.
    fn effect_of_failed_commit(&self, row: &Row, holds: Option<&[u8]>) -> Effect {
        if self.reopen().is_err() {
            return Effect::Unknown;
        }
        let look = || -> Raw<bool> {
            let database = self.shared.database();
            let Some(database) = database.as_ref() else { return Err(redb::Error::DatabaseClosed) };
            let table = database.begin_read()?.open_table(ENTRIES)?;
            let found = table.get(row.as_ref())?;
            Ok(found.as_ref().map(redb::AccessGuard::value) == holds)
        };
        match look() {
            Ok(false) => Effect::NotApplied,
            Ok(true) | Err(_) => Effect::Unknown,
        }
    }

    /// Opens the file again. Readers are not held up: they are told that there is none, and ask for it.
    fn reopen(&self) -> Result<()> {
        // Dropped first, without the lock: that closes the file, which only then can be opened again.
        drop(self.shared.take_database());
        let opened = file::open(&self.shared.config, Missing::Refuse, &self.shared.disk, &self.shared.wrap)?;
        *self.shared.slot.write().unwrap_or_else(PoisonError::into_inner) = Some(opened);
        Ok(())
    }

    /// The next call opens it, if this does not.
    fn reopen_quietly(&self) {
        let _ = self.reopen();
    }
}

impl Shared {
    /// redb's error about this store's file.
    pub(crate) fn error(&self, operation: Operation, error: redb::Error) -> Error {
        from_redb(&self.config.path, operation, error)
    }
}
