//! How often an operation had a connection: what the driver does not say, and what an error has to know.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::error::Sent;

/// How often one operation had a connection.
#[derive(Default)]
pub(crate) struct Attempts {
    made: AtomicU32,
    /// From then on, more is not a repetition.
    answered: AtomicBool,
}

tokio::task_local! {
    static ATTEMPTS: Arc<Attempts>;
}

impl Attempts {
    /// Runs an operation whose attempts these are.
    pub(crate) fn of<F: Future>(self: Arc<Self>, operation: F) -> impl Future<Output = F::Output> {
        ATTEMPTS.scope(self, operation)
    }

    pub(crate) fn sent(&self) -> Sent {
        match self.made.load(Ordering::SeqCst) {
            0 => Sent::Nothing,
            1 => Sent::Once,
            _ => Sent::Repeatedly,
        }
    }

    /// How many of them the driver has made by itself.
    pub(crate) fn repeated(&self) -> u32 {
        self.made.load(Ordering::SeqCst).saturating_sub(1)
    }

    fn forget(&self) {
        self.made.store(0, Ordering::SeqCst);
    }
}

/// The operation that runs here has a connection.
pub(crate) fn begun() {
    // Monitors have connections too.
    let _ = ATTEMPTS.try_with(|attempts| {
        if !attempts.answered.load(Ordering::SeqCst) {
            attempts.made.fetch_add(1, Ordering::SeqCst);
        }
    });
}

/// From here on the operation has its first answer; what it asks for besides is no repetition.
pub(crate) fn answered() {
    let _ = ATTEMPTS.try_with(|attempts| attempts.answered.store(true, Ordering::SeqCst));
}

/// Whether the operation that runs here was sent more than once.
pub(crate) fn is_repeated() -> bool {
    ATTEMPTS.try_with(|attempts| attempts.sent() == Sent::Repeatedly).unwrap_or(true)
}

/// What was sent until here was something else, or has certainly done nothing.
pub(crate) fn starts_over() {
    let _ = ATTEMPTS.try_with(|attempts| attempts.forget());
}
