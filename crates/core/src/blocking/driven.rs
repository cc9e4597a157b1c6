//! A runtime that its callers drive: one of them at a time has the seat, where the runtime waits for its connections and timers
//! and runs its tasks until that caller's own call ends. The others look after their own calls when these are woken.
//!
//! Whoever leaves the seat gives it to a caller who waits, the last that came: that one's answer is the farthest away. Where
//! none waits, the runtime's own thread takes it, after a while without calls, or at once if a call was handed over to it. It
//! gives way to the first caller that comes.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Runtime};
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::timeout_at;

use super::waiter::{Waiter, Woken};

/// So long nobody calls before the runtime's own thread drives it again.
const QUIET: Duration = Duration::from_millis(10);

/// After so long without anybody who drove, the next who does sees first what came in the meantime: a connection that ended
/// must not be taken for a living one.
const UNSEEN: Duration = Duration::from_micros(100);

/// What is as good as for ever, and no overflow of any clock.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 86_400);

pub(super) struct Driven {
    /// Taken out only when it is dropped.
    runtime: Option<Runtime>,
    seat: Mutex<Seat>,
    /// Wakes the own thread where it waits for the seat.
    turn: Condvar,
    /// Ends the own thread's drive.
    give_way: Notify,
}

#[derive(Default)]
struct Seat {
    taken_by: Driver,
    /// Those who would take it, in the order in which they came.
    line: Vec<Arc<Waiter>>,
    /// Since when nobody drives, or has heard what came.
    left: Option<Instant>,
    /// How many calls came.
    calls: u64,
    /// How many jobs were handed over and have not ended.
    handed: usize,
    /// Nobody will call any more.
    ended: bool,
}

#[derive(Default, PartialEq, Eq)]
enum Driver {
    #[default]
    Nobody,
    Caller,
    OwnThread,
    /// It was asked to give way.
    OwnThreadLeaving,
}

impl Seat {
    /// Whether something may have come while nobody drove.
    fn is_unseen(&self, now: Instant) -> bool {
        self.left.is_some_and(|left| now.saturating_duration_since(left) > UNSEEN)
    }
}

impl Driven {
    pub(super) fn new(runtime: Runtime) -> Self {
        Self { runtime: Some(runtime), seat: Mutex::default(), turn: Condvar::new(), give_way: Notify::new() }
    }

    /// Not inside a task, where a runtime cannot be entered; and not where what tokio keeps for the thread is gone.
    pub(super) fn may_be_driven_here() -> bool {
        Handle::try_current().is_err_and(|missing| missing.is_missing_context())
    }

    /// Runs a future on this thread; nothing, and it is dropped, once it took so long.
    ///
    /// # Panics
    /// Where the future does.
    pub(super) fn run<F: Future>(&self, future: F, time: Duration) -> Option<F::Output> {
        let runtime = self.runtime.as_ref()?;
        let now = Instant::now();
        let until = now + time.min(FOR_EVER);
        // Where the future is dropped, too.
        let _inside = runtime.enter();
        let mut future = pin!(future);
        let place = self.line_up(now);
        let Some(waiter) = &place.waiter else { return drive(runtime, place.is_unseen, future, until) };
        let waker = Waker::from(Arc::clone(waiter));
        let mut context = Context::from_waker(&waker);
        if place.is_unseen {
            // Until the own thread has heard what came, and has left.
            match waiter.wait(until) {
                Woken::ToLook => {}
                Woken::ToDrive => return drive(runtime, false, future, until),
                Woken::TooLate => return None,
            }
        }
        loop {
            if let Poll::Ready(answer) = future.as_mut().poll(&mut context) {
                return Some(answer);
            }
            match waiter.wait(until) {
                Woken::ToLook => {}
                Woken::ToDrive => return drive(runtime, false, future, until),
                Woken::TooLate => return None,
            }
        }
    }

    /// The seat where it is free, or a place in the line.
    fn line_up(&self, now: Instant) -> Place<'_> {
        let mut seat = self.seat();
        let is_own_threads = matches!(seat.taken_by, Driver::OwnThread | Driver::OwnThreadLeaving);
        let is_unseen = seat.is_unseen(now) || is_own_threads;
        seat.left = None;
        seat.calls = seat.calls.wrapping_add(1);
        let waiter = match seat.taken_by {
            Driver::Nobody => {
                seat.taken_by = Driver::Caller;
                None
            }
            _ => {
                let waiter = Arc::new(Waiter::default());
                seat.line.push(Arc::clone(&waiter));
                self.ask_to_give_way(&mut seat);
                Some(waiter)
            }
        };
        Place { driven: self, waiter, is_unseen }
    }

    /// The own thread: drives while nobody calls, until nobody can.
    pub(super) fn drive_while_nobody_calls(&self) {
        let Some(runtime) = &self.runtime else { return };
        while self.takes_turn() {
            self.drive_until_called(runtime);
        }
    }

    /// Whoever called has not made its call yet: the runtime hears what came before.
    fn drive_until_called(&self, runtime: &Runtime) {
        runtime.block_on(async {
            see().await;
            self.seat().left = None;
            self.give_way.notified().await;
            see().await;
        });
        let seat = self.seat();
        let others = seat.line.clone();
        self.pass_on(seat);
        others.iter().for_each(Wake::wake_by_ref);
    }

    /// Waits until the seat is the own thread's. Not if all has ended.
    fn takes_turn(&self) -> bool {
        let mut seat = self.seat();
        let mut is_quiet = false;
        while !seat.ended {
            if seat.taken_by == Driver::Nobody && (is_quiet || seat.handed > 0) {
                seat.taken_by = Driver::OwnThread;
                return true;
            }
            let calls = seat.calls;
            let waited = self.turn.wait_timeout(seat, QUIET).unwrap_or_else(PoisonError::into_inner);
            seat = waited.0;
            is_quiet = waited.1.timed_out() && seat.calls == calls;
        }
        false
    }

    /// Somebody drives as long as this is held.
    pub(super) fn hand_over(self: &Arc<Self>) -> Handed {
        let mut seat = self.seat();
        seat.handed += 1;
        if seat.taken_by == Driver::Nobody {
            self.turn.notify_one();
        }
        Handed { driven: Arc::downgrade(self), is_unseen: seat.is_unseen(Instant::now()) }
    }

    /// Ends the own thread.
    pub(super) fn end(&self) {
        let mut seat = self.seat();
        seat.ended = true;
        self.ask_to_give_way(&mut seat);
        self.turn.notify_one();
    }

    /// Once in each of its drives: what it is told is remembered.
    fn ask_to_give_way(&self, seat: &mut Seat) {
        if seat.taken_by == Driver::OwnThread {
            seat.taken_by = Driver::OwnThreadLeaving;
            self.give_way.notify_one();
        }
    }

    /// Gives the seat to the last who came.
    fn pass_on(&self, mut seat: MutexGuard<'_, Seat>) {
        let next = seat.line.pop();
        seat.taken_by = if next.is_some() { Driver::Caller } else { Driver::Nobody };
        seat.left = next.is_none().then(Instant::now);
        let is_missed = next.is_none() && seat.handed > 0;
        drop(seat);
        if let Some(next) = next {
            next.give_seat();
        } else if is_missed {
            self.turn.notify_one();
        }
    }

    fn seat(&self) -> MutexGuard<'_, Seat> {
        // Nothing panics while it is held.
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drives until this future ends, or nothing once it is too late.
fn drive<F: Future>(
    runtime: &Runtime,
    is_unseen: bool,
    future: Pin<&mut F>,
    until: Instant,
) -> Option<F::Output> {
    runtime.block_on(async {
        if is_unseen {
            see().await;
        }
        timeout_at(until.into(), future).await.ok()
    })
}

/// Lets the runtime hear what came, and then its tasks.
async fn see() {
    yield_now().await;
    yield_now().await;
}

/// The seat, or a place in the line for it.
struct Place<'a> {
    driven: &'a Driven,
    /// Nobody had the seat where there is none.
    waiter: Option<Arc<Waiter>>,
    is_unseen: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut seat = self.driven.seat();
        let stands = |waiter| seat.line.iter().position(|other| Arc::ptr_eq(other, waiter));
        match self.waiter.as_ref().and_then(stands) {
            Some(place) => drop(seat.line.remove(place)),
            // Whoever stands in the line no more has the seat.
            None => self.driven.pass_on(seat),
        }
    }
}

/// A job that was handed over.
pub(super) struct Handed {
    driven: Weak<Driven>,
    is_unseen: bool,
}

impl Handed {
    /// Does it, on the runtime.
    pub(super) async fn run(self, job: impl Future<Output = ()>) {
        if self.is_unseen {
            see().await;
        }
        job.await;
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        if let Some(driven) = self.driven.upgrade() {
            driven.seat().handed -= 1;
        }
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // An ordinary drop would wait for what the store left on the blocking pool.
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests;
