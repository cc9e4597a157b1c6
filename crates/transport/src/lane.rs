//! A lane: one connection at a time, made when it is needed and made anew when it died; or, detached from one, a connection that is
//! one caller's own.
//!
//! It knows nothing of protocols. It sends nothing by itself, and nothing twice.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stickystore_core::{Effect, Error, ErrorKind, Result};
use tokio::sync::watch;
use tokio::time::{timeout, timeout_at};

use crate::error::{no_answer, not_sent, too_late_to_send};
use crate::pipe::{Pipe, Question};

/// A connection that gave no answer at all for so long, with a caller giving up, is taken for dead and replaced. Shorter
/// deadlines than this say nothing about a connection.
const PATIENCE: Duration = Duration::from_millis(250);

/// A connection that gave no answer at all for so long is replaced before it is used again, also if nobody waited for a
/// deadline: callers that drop their calls would pile them up.
const LOST: Duration = Duration::from_secs(5);

/// Makes connections.
pub trait Connect: Send + Sync + 'static {
    /// What it makes.
    type Link: Link;

    /// Makes one, logged in and ready. The lane limits its time.
    ///
    /// # Errors
    /// Why there is none; nothing that a caller wants was sent.
    fn connect(&self) -> impl Future<Output = Result<Self::Link>> + Send;
}

/// A connection that many callers share. It ends with its last handle.
pub trait Link: Send + Sync + 'static {
    /// Whether what is sent over it can still be answered.
    fn is_alive(&self) -> bool;
}

/// A connection that one caller can have for its own, whose thread then waits on it.
pub trait Detach: Link + Sized {
    /// What its questions are.
    type Question: Question;

    /// What it sends its questions through.
    fn pipe(&self) -> &Pipe<Self::Question>;

    /// The same with [a pipe of one's own](Pipe::own).
    ///
    /// # Errors
    /// As of [`Pipe::own`].
    fn detach(self) -> impl Future<Output = Result<Self>> + Send;
}

/// One connection at a time. However many callers wait for it, there is one attempt to make it.
pub struct Lane<C: Connect> {
    connector: Arc<C>,
    timeout: Duration,
    state: Mutex<State<C::Link>>,
    /// Says a connection until when the thread may wait; of one connection that is one caller's own, and never made anew.
    own: Option<fn(&C::Link, Instant)>,
}

/// What one attempt to connect gave, for all who wait for it.
type Attempt<L> = watch::Receiver<Option<Result<Arc<Held<L>>>>>;

enum State<L> {
    Idle,
    Connecting(Attempt<L>),
    Ready(Arc<Held<L>>),
}

/// A connection, and since when it is silent.
struct Held<L> {
    link: L,
    silence: Silence,
}

impl<C: Connect> Lane<C> {
    /// A lane without a connection yet; one attempt to make it may take so long.
    pub fn new(connector: C, timeout: Duration) -> Arc<Self> {
        Self::of(Arc::new(connector), timeout, State::Idle, None)
    }

    fn of(
        connector: Arc<C>,
        timeout: Duration,
        state: State<C::Link>,
        own: Option<fn(&C::Link, Instant)>,
    ) -> Arc<Self> {
        Arc::new(Self { connector, timeout, state: Mutex::new(state), own })
    }

    /// Another lane, for one caller at a time, whose thread waits on its one connection: what is done over it is done when it is
    /// first polled, inside a runtime or outside. It is made now, within the time for that, and never again.
    pub fn detach(&self) -> impl Future<Output = Result<Arc<Self>>> + Send + use<C>
    where
        C::Link: Detach,
    {
        let (connector, time) = (Arc::clone(&self.connector), self.timeout);
        async move {
            let attempt = async { connector.connect().await?.detach().await };
            let link = timeout(time, attempt).await.map_err(|_| late(time)).flatten()?;
            let held = Arc::new(Held { link, silence: Silence::new() });
            let until = |link: &C::Link, deadline| link.pipe().until(deadline);
            Ok(Self::of(connector, time, State::Ready(held), Some(until)))
        }
    }

    /// Whether it is one caller's own and can be used right now.
    pub fn is_ready(&self) -> bool
    where
        C::Link: Detach,
    {
        self.own.is_some() && matches!(&*self.state(), State::Ready(held) if held.link.pipe().is_ready())
    }

    /// Lets others go first for so long.
    pub async fn pause(&self, time: Duration) {
        match self.own {
            Some(_) => std::thread::sleep(time),
            None => tokio::time::sleep(time).await,
        }
    }

    /// The living connection, or the one that an attempt gives.
    ///
    /// # Errors
    /// Why there is none; nothing was sent.
    pub async fn connection(self: &Arc<Self>, deadline: Instant) -> Result<Connection<C>> {
        if self.own.is_some() {
            let held = match &*self.state() {
                State::Ready(held) if held.link.is_alive() => Arc::clone(held),
                _ => return Err(not_sent()),
            };
            return Ok(Connection { lane: Arc::clone(self), held });
        }
        // Nearly always: without a look at the clock, and without a timer.
        if let Some(held) = self.ready() {
            return Ok(Connection { lane: Arc::clone(self), held });
        }
        let held = match timeout_at(deadline.into(), self.held()).await {
            Ok(held) => held?,
            Err(_) => return Err(too_late_to_send()),
        };
        Ok(Connection { lane: Arc::clone(self), held })
    }

    fn ready(&self) -> Option<Arc<Held<C::Link>>> {
        match &*self.state() {
            State::Ready(held) if held.is_usable() => Some(Arc::clone(held)),
            _ => None,
        }
    }

    /// Lets go of the connection; calls that are under way keep it until they end.
    pub fn disconnect(&self) {
        *self.state() = State::Idle;
    }

    async fn held(self: &Arc<Self>) -> Result<Arc<Held<C::Link>>> {
        let mut attempt = {
            let mut state = self.state();
            match &*state {
                State::Ready(held) if held.is_usable() => return Ok(Arc::clone(held)),
                // Its sender went away without a result if the runtime of the attempt ended.
                State::Connecting(attempt) if attempt.borrow().is_some() || attempt.has_changed().is_ok() => {
                    attempt.clone()
                }
                _ => {
                    let attempt = self.attempt();
                    *state = State::Connecting(attempt.clone());
                    attempt
                }
            }
        };
        let result = attempt.wait_for(Option::is_some).await.map(|result| result.clone());
        match result {
            Ok(Some(result)) => result,
            _ => Err(not_connected("the runtime ended while it connected".to_owned())),
        }
    }

    /// Starts to connect, in a task of its own: a caller with a short deadline must not end what others wait for.
    fn attempt(self: &Arc<Self>) -> Attempt<C::Link> {
        let (sender, receiver) = watch::channel(None);
        let lane = Arc::downgrade(self);
        let (connector, time) = (Arc::clone(&self.connector), self.timeout);
        let own = receiver.clone();
        tokio::spawn(async move {
            let result = timeout(time, connector.connect()).await.map_err(|_| late(time)).flatten();
            let result = result.map(|link| Arc::new(Held { link, silence: Silence::new() }));
            if let Some(lane) = lane.upgrade() {
                let mut state = lane.state();
                // Unless it was closed, or given up, in the meantime.
                if matches!(&*state, State::Connecting(attempt) if attempt.same_channel(&own)) {
                    *state = match &result {
                        Ok(held) => State::Ready(Arc::clone(held)),
                        Err(_) => State::Idle,
                    };
                }
            }
            // Nobody waits any more only if all have passed their deadlines.
            let _ = sender.send(Some(result));
        });
        receiver
    }

    fn discard(&self, held: &Arc<Held<C::Link>>) {
        let mut state = self.state();
        if matches!(&*state, State::Ready(ready) if Arc::ptr_eq(ready, held)) {
            *state = State::Idle;
        }
    }

    fn state(&self) -> MutexGuard<'_, State<C::Link>> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection of a lane, which stays the same one for as long as it is held.
pub struct Connection<C: Connect> {
    lane: Arc<Lane<C>>,
    held: Arc<Held<C::Link>>,
}

impl<C: Connect> Connection<C> {
    /// The connection itself.
    pub fn link(&self) -> &C::Link {
        &self.held.link
    }

    /// Runs an exchange over it until the deadline. One that fails takes the connection with it, and so does one that meets
    /// its deadline while nothing at all is answered.
    ///
    /// # Errors
    /// By its effect it says whether anything can have been sent.
    pub async fn run<T>(&self, deadline: Instant, exchange: impl Future<Output = Result<T>>) -> Result<T> {
        let now = Instant::now();
        if now >= deadline {
            return Err(too_late_to_send());
        }
        if let Some(until) = self.lane.own {
            until(&self.held.link, deadline);
            return exchange.await.inspect_err(|_| self.lane.discard(&self.held));
        }
        self.held.silence.begin(now);
        match timeout_at(deadline.into(), exchange).await {
            Ok(Ok(answer)) => {
                self.held.silence.end();
                Ok(answer)
            }
            Ok(Err(error)) => {
                self.lane.discard(&self.held);
                Err(error)
            }
            Err(_) => {
                if self.held.silence.lasts(PATIENCE) {
                    self.lane.discard(&self.held);
                }
                Err(no_answer())
            }
        }
    }
}

impl<L: Link> Held<L> {
    fn is_usable(&self) -> bool {
        self.link.is_alive() && !self.silence.lasts(LOST)
    }
}

/// Since when answers are awaited and none has come.
struct Silence {
    opened: Instant,
    /// Milliseconds after `opened`, plus one; 0 is not.
    since: AtomicU64,
}

impl Silence {
    fn new() -> Self {
        Self { opened: Instant::now(), since: AtomicU64::new(0) }
    }

    fn begin(&self, now: Instant) {
        let now = self.millis(now);
        // It fails if something was awaited already.
        let _ = self.since.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn end(&self) {
        self.since.store(0, Ordering::Relaxed);
    }

    fn lasts(&self, time: Duration) -> bool {
        let since = self.since.load(Ordering::Relaxed);
        since > 0 && u128::from(self.millis(Instant::now()).saturating_sub(since)) >= time.as_millis()
    }

    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.opened).as_millis()).unwrap_or(u64::MAX - 1) + 1
    }
}

impl<C: Connect> fmt::Debug for Lane<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").finish_non_exhaustive()
    }
}

impl<C: Connect> fmt::Debug for Connection<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

fn late(time: Duration) -> Error {
    not_connected(format!("no connection within {time:?}"))
}

fn not_connected(context: String) -> Error {
    Error::new(ErrorKind::Unavailable, context).with_effect(Effect::NotApplied)
}

#[cfg(test)]
mod tests;
