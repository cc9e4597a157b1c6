//! Where the store of a `Blocking` lives, and where it is dropped.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use super::jobs::Jobs;
use crate::async_store::AsyncStore;

/// How long the last handle waits for its store to be dropped: far longer than that takes, unless the store hangs.
const GOODBYE: Duration = Duration::from_secs(1);

/// Where the store lives, and where it has to be dropped.
pub(super) struct Home<S: AsyncStore> {
    /// Taken out only when it is dropped.
    lives: Option<(Arc<S>, Jobs)>,
    process: u32,
}

impl<S: AsyncStore> Home<S> {
    pub(super) fn of(store: Arc<S>, jobs: Jobs) -> Self {
        Self { lives: Some((store, jobs)), process: std::process::id() }
    }

    /// The way in; none in a forked child.
    pub(super) fn jobs(&self) -> Option<&Jobs> {
        self.lives.as_ref().filter(|_| self.process == std::process::id()).map(|(_, jobs)| jobs)
    }
}

impl<S: AsyncStore> Drop for Home<S> {
    fn drop(&mut self) {
        let Some((store, jobs)) = self.lives.take() else { return };
        if self.process != std::process::id() {
            // In a forked child the thread is not there, and its locks may be held for ever. And the store's
            // connections are the parent's: to drop them here would take them out of the parent's reactor too.
            std::mem::forget((store, jobs));
            return;
        }
        let (sender, receiver) = sync_channel(1);
        jobs.run(async move {
            // Where a driver that says goodbye to its server finds a runtime to do so.
            drop(store);
            let _ = sender.send(());
        });
        // So that what the store held, as a file's lock, is free when this returns. A store that hangs or panics
        // here has nobody left to be told.
        let _ = receiver.recv_timeout(GOODBYE);
    }
}
