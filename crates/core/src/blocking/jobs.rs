//! What the runtime of a `Blocking` is asked to run, and the thread of that runtime.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::thread;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use super::driven::Driven;

/// A way in. The thread ends when nobody can ask any more.
///
/// A queue of its own, since `spawn` from another thread wakes the runtime by a system call each time; this one wakes it only
/// where it had nothing to do.
pub(super) struct Jobs {
    queue: mpsc::UnboundedSender<Job>,
    driven: Option<Arc<Driven>>,
}

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Jobs {
    /// Starts a runtime that its own thread drives.
    pub(super) fn start() -> io::Result<Self> {
        let (queue, jobs) = mpsc::unbounded_channel();
        let runtime = runtime()?;
        start_thread(move || {
            runtime.block_on(run_all(jobs));
            // An ordinary drop would wait for what the store left on the blocking pool.
            runtime.shutdown_background();
        })?;
        Ok(Self { queue, driven: None })
    }

    /// Starts one that its callers drive, and its own thread while there are none.
    pub(super) fn start_driven() -> io::Result<Self> {
        let (queue, jobs) = mpsc::unbounded_channel();
        let runtime = runtime()?;
        drop(runtime.spawn(run_all(jobs)));
        let driven = Arc::new(Driven::new(runtime));
        let own = Arc::clone(&driven);
        start_thread(move || own.drive_while_nobody_calls())?;
        Ok(Self { queue, driven: Some(driven) })
    }

    pub(super) fn run(&self, job: impl Future<Output = ()> + Send + 'static) {
        // Should the thread be gone, the job is dropped, and with it the sender of its answer.
        let _ = match &self.driven {
            None => self.queue.send(Box::pin(job)),
            Some(driven) => {
                let handed = driven.hand_over();
                self.queue.send(Box::pin(handed.run(job)))
            }
        };
    }

    /// What this thread may drive itself, if it may.
    pub(super) fn driven(&self) -> Option<&Driven> {
        self.driven.as_deref().filter(|_| Driven::may_be_driven_here())
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        if let Some(driven) = &self.driven {
            driven.end();
        }
    }
}

async fn run_all(mut jobs: mpsc::UnboundedReceiver<Job>) {
    while let Some(job) = jobs.recv().await {
        tokio::spawn(job);
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

fn start_thread(run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name("stickystore".to_owned()).spawn(run).map(drop)
}
