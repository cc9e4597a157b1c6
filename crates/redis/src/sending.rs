//! Commands out in chunks, answers back: each command is sent once, and what was not sent says so.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stickystore_core::{Effect, Error, Result, UnixMillis};

use crate::connection::{self, Lane};
use crate::error;
use crate::script::{self, Naming, Run, Script};
use crate::store::RedisStore;
use crate::wire::{Commands, Reply, Value};

/// The most commands that are sent together: enough that round trips do not count, few enough that an answer is never
/// far away.
const CHUNK_COMMANDS: usize = 128;

/// The most bytes that are sent together, beyond the first command.
const CHUNK_BYTES: usize = 1 << 20;

/// About how many bytes a command takes besides what a caller says.
const AROUND: usize = 128;

/// How long WAIT may hold the connection, whatever the deadline says.
const WAIT_AT_MOST: Duration = Duration::from_secs(1);

/// What WAIT leaves of the time to the deadline, so that its own answer arrives: servers look at what waits only every
/// 100 ms.
const WAIT_MARGIN: Duration = Duration::from_millis(150);

/// Which script is run, how long what expired stays, and until when it may take.
struct Sending<'a> {
    script: &'static Script,
    grace: &'a str,
    deadline: Instant,
}

impl RedisStore {
    /// One command, one answer.
    pub(crate) async fn answer(&self, lane: &Arc<Lane>, words: &[&str], deadline: Instant) -> Result<Reply> {
        let mut commands = Commands::default();
        commands.push(words);
        let mut answers = connection::send(lane, commands, deadline).await?.into_iter();
        match (answers.next(), answers.next()) {
            (Some(answer), None) => checked(Ok(answer)),
            _ => Err(error::odd_answer()),
        }
    }

    /// Says something for each of these, in chunks, one chunk after the other; an answer for each. After a chunk that got
    /// none, the remaining ones are not sent.
    pub(crate) async fn answers<T>(
        &self,
        lane: &Arc<Lane>,
        items: &[T],
        say: impl Fn(&T, &mut Commands),
        deadline: Instant,
    ) -> Vec<Result<Reply>> {
        let mut answers = Vec::with_capacity(items.len());
        let mut failed = None;
        for items in items.chunks(CHUNK_COMMANDS) {
            let mut commands = Commands::with_capacity(items.len() * AROUND);
            items.iter().for_each(|item| say(item, &mut commands));
            let chunk = send(lane, commands, &mut failed, deadline).await;
            answers.extend(chunk.into_iter().map(checked));
        }
        answers
    }

    /// Runs the script for each of these, in order; an answer for each.
    pub(crate) async fn run(
        &self,
        script: &'static Script,
        runs: &[Run<'_>],
        deadline: Instant,
    ) -> Vec<Result<Reply>> {
        let grace = u64::try_from(self.0.grace.as_millis()).unwrap_or(u64::MAX).min(UnixMillis::MAX.get());
        let mut digits = itoa::Buffer::new();
        let sending = Sending { script, grace: digits.format(grace), deadline };
        let bytes = runs.iter().map(Run::bytes).sum();
        let lane = self.lane(runs.len(), bytes);
        let mut answers = Vec::with_capacity(runs.len());
        let mut failed = None;
        for chunk in chunks(runs) {
            let runs = runs.get(chunk).unwrap_or_default();
            answers.extend(self.run_chunk(lane, &sending, runs, &mut failed).await);
        }
        answers
    }

    /// Runs the script for some at once. What certainly did nothing is sent again: with its text, where the server said that it had
    /// forgotten the script; each by itself, where it may have been refused for another user's key.
    async fn run_chunk(
        &self,
        lane: &Arc<Lane>,
        sending: &Sending<'_>,
        runs: &[Run<'_>],
        failed: &mut Option<Error>,
    ) -> Vec<Result<Reply>> {
        let all: Vec<_> = runs.iter().collect();
        // Waiting for replicas twice would take too long.
        let first = if self.0.wait > 0 { Naming::Text } else { Naming::Hash };
        let mut answers = self.send_runs(lane, sending, &all, first, failed).await;
        for (is_refused, naming) in [(is_of_a_key as Refused, Naming::Alone), (is_forgotten, Naming::Text)] {
            if naming == Naming::Alone && first == Naming::Text {
                continue;
            }
            let refused = answers.iter_mut().zip(runs).filter(|(answer, _)| is_refused(answer));
            let (mut places, again): (Vec<_>, Vec<_>) = refused.unzip();
            if !again.is_empty() {
                let second = self.send_runs(lane, sending, &again, naming, failed).await;
                places.iter_mut().zip(second).for_each(|(place, answer)| **place = answer);
            }
        }
        answers.into_iter().map(checked).collect()
    }

    /// Refusals are still values here.
    async fn send_runs(
        &self,
        lane: &Arc<Lane>,
        sending: &Sending<'_>,
        runs: &[&Run<'_>],
        first: Naming,
        failed: &mut Option<Error>,
    ) -> Vec<Result<Reply>> {
        let Sending { script, grace, deadline } = sending;
        let mut commands = Commands::with_capacity(runs.iter().map(|run| run.bytes() + AROUND).sum());
        let (groups, next) = match first {
            Naming::Alone => (vec![1; runs.len()], Naming::Alone),
            Naming::Hash | Naming::Text => (script::groups(runs), Naming::Hash),
        };
        let (mut rest, namings) = (runs, std::iter::once(first).chain(std::iter::repeat(next)));
        for (users, naming) in groups.iter().zip(namings) {
            let (group, others) = rest.split_at_checked(*users).unwrap_or((rest, &[]));
            script::say(script, naming, grace, group, &mut commands);
            rest = others;
        }
        if self.0.wait > 0 {
            let time = deadline.saturating_duration_since(Instant::now()).saturating_sub(WAIT_MARGIN);
            // Zero would wait for ever.
            let millis = time.min(WAIT_AT_MOST).as_millis().max(1);
            commands.push(&["WAIT", &self.0.wait.to_string(), &millis.to_string()]);
        }
        let mut answers = send(lane, commands, failed, *deadline).await;
        let unmet = if self.0.wait > 0 { self.unmet(answers.pop()) } else { None };
        let mut answers: Vec<_> = answers
            .into_iter()
            .zip(groups)
            .flat_map(|(answer, users)| script::answers(answer, users))
            .collect();
        if let Some(unmet) = unmet {
            for answer in answers.iter_mut().filter(|answer| is_done(answer)) {
                *answer = Err(unmet.clone());
            }
        }
        answers
    }

    /// What is wrong with this answer to WAIT.
    fn unmet(&self, answer: Option<Result<Reply>>) -> Option<Error> {
        let answer = match answer {
            Some(Ok(answer)) => answer,
            Some(Err(error)) => return Some(error),
            None => return Some(error::odd_answer()),
        };
        match answer.value() {
            Value::Int(confirmed) if confirmed >= i64::from(self.0.wait) => None,
            Value::Int(confirmed) => Some(error::unmet_wait(confirmed, self.0.wait)),
            Value::Refusal(refusal) => Some(error::refused(refusal).with_effect(Effect::Unknown)),
            _ => Some(error::odd_answer()),
        }
    }
}

/// Sends these together; an answer for each, where a server's error is still a value. Once something has failed, the rest
/// of the call is not sent.
async fn send(
    lane: &Arc<Lane>,
    commands: Commands,
    failed: &mut Option<Error>,
    deadline: Instant,
) -> Vec<Result<Reply>> {
    let count = commands.len();
    if let Some(failed) = failed {
        return vec![Err(failed.clone().with_effect(Effect::NotApplied)); count];
    }
    let error = match connection::send(lane, commands, deadline).await {
        Ok(answers) if answers.len() == count => return answers.into_iter().map(Ok).collect(),
        Ok(_) => error::odd_answer(),
        Err(error) => error,
    };
    *failed = Some(error.clone());
    vec![Err(error); count]
}

/// A server's refusal becomes an error.
fn checked(answer: Result<Reply>) -> Result<Reply> {
    let answer = answer?;
    match answer.refusal() {
        Some(refusal) => Err(error::refused(refusal)),
        None => Ok(answer),
    }
}

fn is_done(answer: &Result<Reply>) -> bool {
    answer.as_ref().is_ok_and(|answer| answer.refusal().is_none())
}

/// What is asked of a refusal.
type Refused = fn(&Result<Reply>) -> bool;

fn is_forgotten(answer: &Result<Reply>) -> bool {
    code(answer) == Some("NOSCRIPT")
}

/// Whether it is refused because of a key, which may be another user's: one that this login may not use, or that lives elsewhere.
fn is_of_a_key(answer: &Result<Reply>) -> bool {
    matches!(code(answer), Some("NOPERM" | "CROSSSLOT"))
}

fn code(answer: &Result<Reply>) -> Option<&str> {
    answer.as_ref().ok().and_then(Reply::refusal).map(|refusal| refusal.code())
}

/// Which of these go together: neither too many nor too large, and no user twice, so that what is sent a second time
/// cannot overtake what was asked for before it.
fn chunks(runs: &[Run<'_>]) -> Vec<Range<usize>> {
    let mut chunks = Vec::new();
    let (mut start, mut bytes, mut users) = (0, 0, HashSet::new());
    for (i, run) in runs.iter().enumerate() {
        let is_full = i - start >= CHUNK_COMMANDS || bytes + run.bytes() > CHUNK_BYTES;
        if i > start && (is_full || users.contains(&run.key)) {
            chunks.push(start..i);
            (start, bytes) = (i, 0);
            users.clear();
        }
        bytes += run.bytes();
        users.insert(&run.key);
    }
    if start < runs.len() {
        chunks.push(start..runs.len());
    }
    chunks
}
