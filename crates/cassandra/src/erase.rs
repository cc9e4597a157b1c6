//! An erasure of one user: the mark and the end of all entries, in one batch.

use std::time::Duration;

use stickystore_core::decide::decide_erase;
use stickystore_core::{Call, Effect, Erase, Error, Mark, Result};

use crate::attempt::erasing;
use crate::connection::{Attempted, Level, Sessions};
use crate::error::{self, Failure};
use crate::layout::Stance;
use crate::read;
use crate::write::Wait;

/// Erases a user; whether a live or damaged entry stood. Nobody else in this process writes to the user at the same time.
///
/// Whether something stood is read just before: what another process writes in between is erased with the rest, and does
/// not make it true.
pub(crate) async fn erase(sessions: &Sessions, call: Call, erase: &Erase, grace: Duration) -> Result<bool> {
    decide_erase(erase, None, false, call.now)?;
    let mut wait = Wait::default();
    // What an attempt of ours took for granted, and would have answered, if no node knew its outcome.
    let mut doubt: Option<(Stance, bool)> = None;
    let sure = |doubt: &Option<_>, error: Error| match doubt {
        Some(_) => error.with_effect(Effect::Unknown),
        None => error,
    };
    // What was acknowledged is enough to begin with: where the mark is another, the attempt is refused.
    let mut level = Level::Plain;
    loop {
        let heads = read::heads(sessions, &erase.subject, level, call.now, call.deadline).await;
        level = Level::Serial;
        let (stance, stood) = match heads {
            Ok(found) => found,
            Err(Failure::Undecided(_)) => {
                wait.some(call.deadline).await.map_err(|error| sure(&doubt, error))?;
                continue;
            }
            Err(failure) => {
                return Err(sure(&doubt, failure.told().with_effect(Effect::NotApplied)));
            }
        };
        let own = stance.mark().is_some_and(|mark| mark.epoch.is_of_one_erasure(erase.epoch));
        match doubt.take() {
            Some((_, answer)) if own => return Ok(answer),
            Some((before, _)) if before != stance => return Err(error::in_doubt()),
            _ => {}
        }
        let is_foreign = matches!(stance, Stance::Foreign(_));
        let decision = decide_erase(erase, stance.mark(), stood || is_foreign, call.now)?;
        let Some(leave) = decision.leave else { return Ok(decision.stood) };
        let leave = Mark::new(leave.epoch, leave.until);
        let ready = erasing(&erase.subject, leave, &stance, call.now, grace);
        match sessions.attempt(&ready, call.deadline).await {
            Ok(Attempted::Applied) => return Ok(decision.stood),
            Ok(Attempted::Refused(_)) => {}
            Err(Failure::Undecided(_)) => doubt = Some((stance, decision.stood)),
            Err(failure) => return Err(failure.told()),
        }
        wait.some(call.deadline).await.map_err(|error| sure(&doubt, error))?;
    }
}
