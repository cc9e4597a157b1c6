//! A caller who waits for its call while somebody else drives the runtime.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Wake;
use std::time::Instant;

/// Without what std keeps for each thread, which is gone while a thread ends.
#[derive(Default)]
pub(super) struct Waiter {
    told: Mutex<Told>,
    change: Condvar,
}

#[derive(Default)]
struct Told {
    to_look: bool,
    to_drive: bool,
    /// Whether it has to be woken: else that would be a system call for nothing.
    sleeps: bool,
}

/// Why a caller was woken.
pub(super) enum Woken {
    /// Its call may have an answer.
    ToLook,
    /// The seat is its own.
    ToDrive,
    TooLate,
}

impl Waiter {
    pub(super) fn wait(&self, until: Instant) -> Woken {
        let mut told = self.told();
        loop {
            if told.to_drive {
                return Woken::ToDrive;
            }
            if std::mem::take(&mut told.to_look) {
                return Woken::ToLook;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Woken::TooLate;
            }
            told.sleeps = true;
            told = self.change.wait_timeout(told, left).unwrap_or_else(PoisonError::into_inner).0;
            told.sleeps = false;
        }
    }

    pub(super) fn give_seat(&self) {
        self.tell(|told| told.to_drive = true);
    }

    fn tell(&self, what: impl FnOnce(&mut Told)) {
        let mut told = self.told();
        what(&mut told);
        let sleeps = told.sleeps;
        drop(told);
        if sleeps {
            self.change.notify_one();
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // Nothing panics while it is held.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Waiter {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.tell(|told| told.to_look = true);
    }
}
