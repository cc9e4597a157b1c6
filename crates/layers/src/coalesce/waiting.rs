//! A caller that waits for its answers, by its own deadline.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stickystore_core::{AsyncStore, Effect, Error, ErrorKind, Result};
use tokio::sync::oneshot::Receiver;
use tokio::time::timeout_at;

use super::kind::Kind;
use super::line::Line;

/// Nobody waits longer than this for others to come back: then it goes however many are in flight. Far longer than a
/// batch takes on a healthy network, far shorter than anybody's deadline.
pub(super) const PATIENCE: Duration = Duration::from_millis(5);

/// Why a batch may end without an answer.
const LOST: &str = "the batch was lost: the store panicked, or the runtime of another caller ended";

/// A place in the line, or in a batch that has left.
pub(super) struct Waiting<K: Kind, S: AsyncStore> {
    line: Arc<Line<K, S>>,
    id: u64,
    deadline: Instant,
    receiver: Receiver<Result<Vec<K::Answer>>>,
    is_over: bool,
}

impl<K: Kind, S: AsyncStore> Waiting<K, S> {
    pub(super) fn new(
        line: Arc<Line<K, S>>,
        id: u64,
        deadline: Instant,
        receiver: Receiver<Result<Vec<K::Answer>>>,
    ) -> Self {
        Self { line, id, deadline, receiver, is_over: false }
    }

    /// An answer for each item.
    ///
    /// # Errors
    /// One for all of them: of the batch, or that there was none in time.
    pub(super) async fn answers(mut self) -> Result<Vec<K::Answer>> {
        let deadline = tokio::time::Instant::from_std(self.deadline);
        let patience = tokio::time::Instant::now() + PATIENCE;
        let mut received = None;
        if patience < deadline {
            received = timeout_at(patience, &mut self.receiver).await.ok();
            if received.is_none() {
                self.line.hurry(self.id);
            }
        }
        let received = match received {
            Some(received) => received,
            None => match timeout_at(deadline, &mut self.receiver).await {
                Ok(received) => received,
                Err(_) => return self.leave(),
            },
        };
        self.is_over = true;
        received.unwrap_or_else(|_| Err(self.fail(ErrorKind::Unexpected, LOST)))
    }

    fn leave(mut self) -> Result<Vec<K::Answer>> {
        self.is_over = true;
        if self.line.withdraw(self.id) {
            let error = self.fail(ErrorKind::Timeout, "the deadline passed before the call could leave");
            return Err(error.with_effect(Effect::NotApplied));
        }
        // It may have come in this very moment.
        let received = self.receiver.try_recv();
        received.unwrap_or_else(|_| Err(self.fail(ErrorKind::Timeout, "no answer by the deadline")))
    }

    fn fail(&self, kind: ErrorKind, context: &str) -> Error {
        Error::new(kind, context).with_origin(self.line.store().info().scheme, K::OPERATION)
    }
}

impl<K: Kind, S: AsyncStore> Drop for Waiting<K, S> {
    fn drop(&mut self) {
        if !self.is_over {
            self.line.withdraw(self.id);
        }
    }
}
