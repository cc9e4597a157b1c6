//! Changing a user's item: read it, judge it, write it in the place of what was read; again if somebody was faster.
//!
//! A read and the write that follows go over one connection: the numbers that a server gives items begin anew when it
//! restarts, so that over another connection an old number could name another item.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stickystore_core::{Call, Effect, Erase, Error, Outcome, Result, Subject, Write};

use crate::config::text_bytes;
use crate::connection::{Connection, Lane};
use crate::error;
use crate::item::{self, Answer, Edit, Room, Times};
use crate::layout::{self, Found, Item};
use crate::wire::{Command, Reply};

/// The longest first pause after somebody else was faster, and how often it doubles.
const PAUSE: Duration = Duration::from_millis(1);
const DOUBLINGS: u32 = 5;

/// What a call wants of one user.
pub(crate) trait Work {
    type Answer: Clone;

    fn subject(&self) -> &Subject;

    /// How many answers there are.
    fn count(&self) -> usize;

    fn apply<'a>(&self, found: Found<'a>, times: Times, room: Room) -> Edit<'a, Self::Answer>;
}

/// All writes of a call to one user, in order; at least one.
pub(crate) struct Writes<'w>(pub(crate) &'w Subject, pub(crate) Vec<&'w Write>);

/// All erases of one user in a call, in order; at least one.
pub(crate) struct Erases<'w>(pub(crate) &'w Subject, pub(crate) Vec<&'w Erase>);

impl Work for Writes<'_> {
    type Answer = Outcome;

    fn subject(&self) -> &Subject {
        self.0
    }

    fn count(&self) -> usize {
        self.1.iter().map(|write| write.changes().len()).sum()
    }

    fn apply<'a>(&self, found: Found<'a>, times: Times, room: Room) -> Edit<'a, Outcome> {
        item::write(found, &self.1, times, room)
    }
}

impl Work for Erases<'_> {
    type Answer = bool;

    fn subject(&self) -> &Subject {
        self.0
    }

    fn count(&self) -> usize {
        self.1.len()
    }

    fn apply<'a>(&self, found: Found<'a>, times: Times, _: Room) -> Edit<'a, bool> {
        item::erase(&found, &self.1, times.now)
    }
}

/// How items are changed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) call: Call,
    pub(crate) grace: Duration,
    pub(crate) room: Room,
}

/// Does the work on its user's item, under its key: an answer for each part of it.
pub(crate) async fn swap<W: Work>(
    lane: &Arc<Lane>,
    key: &str,
    work: &W,
    terms: Terms,
) -> Vec<Result<W::Answer>> {
    let deadline = terms.call.deadline;
    let nothing_applied = |error: Error| vec![Err(error.with_effect(Effect::NotApplied)); work.count()];
    for turn in 0.. {
        let read = match lane.connection(deadline).await {
            Ok(connection) => read(&connection, key, deadline).await.map(|stands| (connection, stands)),
            Err(error) => Err(error),
        };
        let (connection, stands) = match read {
            Ok(read) => read,
            Err(error) => return nothing_applied(error),
        };
        let (times, room) = terms.over(&connection);
        let found = match &stands {
            Some((text, _)) => layout::decode(text, work.subject()),
            None => Found::Item(Item::default()),
        };
        let Edit { answers, item } = work.apply(found, times, room);
        let Some(item) = item else { return settled(answers) };
        let (text, lasts) = (layout::encode(&item, work.subject()), item::lasts(&item, times));
        let command = match stands {
            None => Command::Add { key, value: &text, lasts },
            Some((_, 0)) => return nothing_applied(error::without_swap()),
            Some((_, unique)) => Command::Swap { key, unique, value: &text, lasts },
        };
        match connection.run(deadline, connection.link().one(&command)).await {
            Ok(Reply::Stored) => return settled(answers),
            Ok(Reply::Conflict | Reply::Missing) => {}
            Ok(Reply::Refused(refusal)) => return not_written(answers, &error::refused(refusal)),
            Ok(_) => return not_written(answers, &error::odd_answer()),
            Err(error) => return not_written(answers, &error),
        }
        if !pause(lane, turn, deadline).await {
            break;
        }
    }
    nothing_applied(error::outrun())
}

impl Terms {
    /// As it is over this connection.
    fn over(&self, connection: &Connection) -> (Times, Room) {
        let link = connection.link();
        let times = Times { now: self.call.now, server: link.server_time(), grace: self.grace };
        let servers = link.greeting().item_bytes.map_or(usize::MAX, text_bytes);
        (times, Room { item_bytes: self.room.item_bytes.min(servers), ..self.room })
    }
}

/// What stands under this key, and its unique number.
async fn read(connection: &Connection, key: &str, deadline: Instant) -> Result<Option<(bytes::Bytes, u64)>> {
    match connection.run(deadline, connection.link().one(&Command::Get { key })).await? {
        Reply::Found { value, unique } => Ok(Some((value, unique))),
        Reply::Missing => Ok(None),
        Reply::Refused(refusal) => Err(error::refused(refusal)),
        _ => Err(error::odd_answer()),
    }
}

fn settled<T>(answers: Vec<Answer<T>>) -> Vec<Result<T>> {
    answers.into_iter().map(|answer| answer.result).collect()
}

/// The answers after a write of unknown outcome: those that do not depend on it stay.
fn not_written<T>(answers: Vec<Answer<T>>, error: &Error) -> Vec<Result<T>> {
    let told = |answer: Answer<T>| if answer.needs_write { Err(error.clone()) } else { answer.result };
    answers.into_iter().map(told).collect()
}

/// Lets others go first for a random while; false once the deadline has passed.
async fn pause(lane: &Lane, turn: u32, deadline: Instant) -> bool {
    let most = PAUSE * 2_u32.pow(turn.min(DOUBLINGS));
    let time = most.mul_f64(share());
    let left = deadline.saturating_duration_since(Instant::now());
    lane.pause(time.min(left)).await;
    time < left
}

/// A random number from 0 to 1; from the operating system, so that forked processes do not draw the same.
fn share() -> f64 {
    let mut bytes = [0; 2];
    // Without random numbers everybody waits equally long.
    let _ = getrandom::fill(&mut bytes);
    f64::from(u16::from_ne_bytes(bytes)) / f64::from(u16::MAX)
}
