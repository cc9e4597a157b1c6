//! Operations of the driver by a deadline.
//!
//! The driver has no deadline for an operation, and does not like its futures to be dropped: an operation runs where its
//! caller waits for it, until the deadline, and becomes a task of its own only if nobody waits any more. One that has sent
//! nothing by its deadline is ended there and then, so that it cannot send afterwards; the others end by themselves soon. How
//! many there are is bounded.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stickystore_core::Result;
use stickystore_transport::too_late_to_send;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{timeout, timeout_at};

use crate::config::Config;
use crate::error::{self, Sent};

mod attempts;
mod live;
mod topology;
mod work;

use attempts::Attempts;
pub(crate) use attempts::{answered, is_repeated, starts_over};
pub(crate) use live::Live;
use work::Work;

/// How many connections there are at most, unless the URL says otherwise: the driver's own 10 keep many callers waiting.
const POOL: u32 = 64;

/// How long after its deadline an operation may go on that was sent, so that the driver ends it in order if an answer is near.
const AFTERLIFE: Duration = Duration::from_secs(1);

/// How long a client may take to be made: what takes time are the names of `mongodb+srv`, of which there are two questions.
const MADE_WITHIN: Duration = Duration::from_secs(20);

/// The way to the servers. It connects when it is first used, and again if its runtime has ended.
pub(crate) struct Connection {
    config: Config,
    state: Mutex<State>,
    /// A client that is made: it goes on if the call that began it has no more time.
    making: tokio::sync::Mutex<Option<JoinHandle<Result<Live>>>>,
    permits: Arc<Semaphore>,
    repeated: Arc<AtomicU64>,
}

enum State {
    Open(Option<Arc<Live>>),
    Closed,
}

impl Connection {
    pub(crate) fn new(config: Config) -> Self {
        let most = config.connection.max_pool_size.filter(|most| *most > 0).unwrap_or(POOL);
        Self {
            config,
            state: Mutex::new(State::Open(None)),
            making: tokio::sync::Mutex::new(None),
            permits: Arc::new(Semaphore::new(usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS))),
            repeated: Arc::new(AtomicU64::new(0)),
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// How often the driver has sent an operation a second time.
    pub(crate) fn repeated(&self) -> u64 {
        self.repeated.load(Ordering::Relaxed)
    }

    /// Runs an operation; it ends by the deadline, whatever becomes of it.
    pub(crate) async fn run<T, F>(
        &self,
        deadline: Instant,
        operation: impl FnOnce(Arc<Live>) -> F + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = mongodb::error::Result<T>> + Send + 'static,
    {
        let until = tokio::time::Instant::from_std(deadline);
        let permit = self.permit(until).await?;
        let live = match self.ready()? {
            Some(live) => live,
            None => timeout_at(until, self.live()).await.map_err(|_| too_late_to_send())??,
        };
        let attempts = Arc::new(Attempts::default());
        let counted = Counted { attempts: Arc::clone(&attempts), all: Arc::clone(&self.repeated) };
        let asked = Arc::clone(&live);
        live.asks();
        let mut work = Work::new(until + AFTERLIFE, async move {
            let (_permit, counted) = (permit, counted);
            let done = Arc::clone(&counted.attempts).of(operation(Arc::clone(&asked))).await;
            asked.hears();
            done.map_err(|error| error::failed(&error, counted.attempts.sent(), asked.topology.missing()))
        });
        if let Ok(done) = timeout_at(until, &mut work).await {
            return done;
        }
        if live.is_silent() {
            self.replace(&live);
        }
        let sent = attempts.sent();
        if sent == Sent::Nothing {
            // It would still be sent if a server came back now.
            work.end();
        }
        Err(error::late(sent, live.topology.missing()))
    }

    async fn permit(&self, until: tokio::time::Instant) -> Result<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let permit = timeout_at(until, Arc::clone(&self.permits).acquire_owned());
        // It is never closed.
        permit.await.ok().and_then(Result::ok).ok_or_else(too_late_to_send)
    }

    /// Lets the next call make another client; this one ends with its operations.
    fn replace(&self, silent: &Arc<Live>) {
        let mut state = self.state();
        if let State::Open(Some(live)) = &*state
            && Arc::ptr_eq(live, silent)
        {
            *state = State::Open(None);
            silent.is_replaced();
        }
    }

    /// Says goodbye to the servers, if it ever met them. There is no way to them any more.
    pub(crate) async fn disconnect(&self, within: Duration) {
        let state = std::mem::replace(&mut *self.state(), State::Closed);
        if let State::Open(Some(live)) = state {
            live.disconnect(within).await;
        }
    }

    async fn live(&self) -> Result<Arc<Live>> {
        if let Some(live) = self.ready()? {
            return Ok(live);
        }
        let mut making = self.making.lock().await;
        loop {
            if let Some(live) = self.ready()? {
                return Ok(live);
            }
            let task = making.get_or_insert_with(|| {
                let config = self.config.clone();
                tokio::spawn(async move {
                    let made = timeout(MADE_WITHIN, Live::new(&config)).await;
                    made.unwrap_or_else(|_| Err(error::unresolved()))
                })
            });
            let made = task.await;
            *making = None;
            match made {
                Ok(made) => self.keep(&Arc::new(made?)),
                // With the runtime of whoever began it.
                Err(ended) if ended.is_cancelled() => {}
                Err(_) => return Err(error::lost()),
            }
        }
    }

    /// Unless the store was closed meanwhile.
    fn keep(&self, made: &Arc<Live>) {
        if let State::Open(live) = &mut *self.state() {
            *live = Some(Arc::clone(made));
        }
    }

    fn ready(&self) -> Result<Option<Arc<Live>>> {
        match &*self.state() {
            State::Open(live) => Ok(live.as_ref().filter(|live| live.is_alive()).cloned()),
            State::Closed => Err(error::closed()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts the repetitions of an operation when it ends, however it ends.
struct Counted {
    attempts: Arc<Attempts>,
    all: Arc<AtomicU64>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.all.fetch_add(self.attempts.repeated().into(), Ordering::Relaxed);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}
