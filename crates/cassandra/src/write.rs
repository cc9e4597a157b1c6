//! A write of one user: attempts, readings in between, until everything has its answer or the deadline has passed.

use std::ops::Range;
use std::time::{Duration, Instant};

use stickystore_core::{Call, Limits, Outcome, Result, Write};

use crate::attempt::Plan;
use crate::connection::{Attempted, Sessions};
use crate::error::{self, Failure};
use crate::read;

/// How long to wait at most before the second attempt after a refusal; it doubles, and each wait is a random part of it.
const FIRST_WAIT: Duration = Duration::from_millis(4);
const LONGEST_WAIT: Duration = Duration::from_millis(256);

/// Makes the changes of one user. Nobody else in this process does at the same time.
pub(crate) async fn write(
    sessions: &Sessions,
    call: Call,
    write: &Write,
    grace: Duration,
    limits: Limits,
) -> Vec<Result<Outcome>> {
    let mut plan = Plan::new(write, call, grace, limits);
    for part in plan.parts() {
        if let Err(error) = make(sessions, call, write, &mut plan, &part).await {
            plan.failed(&part, &error);
        }
    }
    plan.finish()
}

/// Settles a part of the changes.
///
/// # Errors
/// For what is left of it.
async fn make(
    sessions: &Sessions,
    call: Call,
    write: &Write,
    plan: &mut Plan<'_>,
    part: &Range<usize>,
) -> Result<()> {
    let Call { now, deadline, .. } = call;
    let mut wait = Wait::default();
    let mut ready = if plan.reads_first() { None } else { Some(plan.guess(part)) };
    while !plan.is_done(part) {
        if let Some(tried) = ready.take().filter(|ready| !ready.is_empty()) {
            match sessions.attempt(&tried, deadline).await {
                Ok(Attempted::Applied) => plan.applied(part),
                Ok(Attempted::Refused(answer)) => {
                    plan.refused(part);
                    ready = plan.shown(part, &answer).map(|found| plan.judge(part, &found));
                }
                Err(Failure::Undecided(_)) => plan.undecided(part),
                Err(failure) => return Err(failure.told()),
            }
            if plan.is_done(part) {
                break;
            }
            wait.some(deadline).await?;
            if ready.is_some() {
                continue;
            }
        }
        let keys = plan.open_keys(part);
        match read::find(sessions, write.subject(), &keys, now, deadline).await {
            Ok(found) => ready = Some(plan.judge(part, &found)),
            Err(Failure::Undecided(_)) => wait.some(deadline).await?,
            // That a reading had no answer says nothing of the write.
            Err(failure) => {
                return Err(failure.told().with_effect(stickystore_core::Effect::NotApplied));
            }
        }
    }
    Ok(())
}

/// Waits that grow, the first of which is none.
#[derive(Debug, Default)]
pub(crate) struct Wait(Option<Duration>);

impl Wait {
    /// Waits a while.
    ///
    /// # Errors
    /// If there is no time left.
    pub(crate) async fn some(&mut self, deadline: Instant) -> Result<()> {
        let most = self.0.replace(self.0.map_or(FIRST_WAIT, |wait| (wait * 2).min(LONGEST_WAIT)));
        let Some(most) = most else { return Ok(()) };
        let wait = most.mul_f64(random_part());
        if Instant::now() + wait >= deadline {
            return Err(error::contended());
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

/// From a half to one, so that writers that met do not meet again.
fn random_part() -> f64 {
    let byte = stickystore_core::Revision::random().to_bytes()[0];
    0.5 + f64::from(byte) / 512.0
}
