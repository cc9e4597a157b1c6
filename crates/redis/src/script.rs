//! The scripts that write, what they are given, and what their answers mean. No I/O.

use std::borrow::Cow;
use std::sync::LazyLock;
use std::time::Duration;

use stickystore_core::codec::headed::{self, Headed};
use stickystore_core::decide::damaged;
use stickystore_core::{
    Call, Change, EpochCheck, Erase, Error, ErrorKind, Limits, Outcome, Result, UnixMillis, Write,
};

use crate::error;
use crate::layout;
use crate::wire::{Commands, Reply, Value};

/// Changes entries of one user.
pub(crate) static WRITE: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("script/head.lua"), include_str!("script/write.lua"))));

/// Erases one user.
pub(crate) static ERASE: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("script/head.lua"), include_str!("script/erase.lua"))));

/// A script and the name under which the server remembers it.
#[derive(Debug)]
pub(crate) struct Script {
    text: &'static str,
    hash: String,
}

impl Script {
    fn new(text: &'static str) -> Self {
        Self { text, hash: sha1_smol::Sha1::from(text).digest().to_string() }
    }
}

/// How a script is named in a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// By its hash, which the server may have forgotten.
    Hash,
    /// By its text, which the server remembers from then on.
    Text,
}

/// What a script does for one user.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    pub(crate) key: String,
    arguments: Vec<Cow<'a, str>>,
}

impl Run<'_> {
    /// About how much is sent.
    pub(crate) fn bytes(&self) -> usize {
        self.key.len() + self.arguments.iter().map(|argument| argument.len()).sum::<usize>()
    }
}

/// What all users of a call have in common: the time, and how long what expired stays.
#[derive(Debug)]
pub(crate) struct Times {
    now: String,
    grace: String,
}

impl Times {
    pub(crate) fn of(call: Call, grace: Duration) -> Self {
        let grace = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX).min(UnixMillis::MAX.get());
        Self { now: call.now.to_string(), grace: grace.to_string() }
    }
}

/// The most users of one command, and the most words that more than one user may have: to run a script costs the server a
/// third of what it does for one user, but it answers nobody else until it has done them all.
const GROUP_USERS: usize = 16;
const GROUP_WORDS: usize = 512;

/// How many of these go into one command, each time.
pub(crate) fn groups(runs: &[&Run<'_>]) -> Vec<usize> {
    let (mut groups, mut users, mut words) = (Vec::new(), 0, 0);
    for run in runs {
        if users > 0 && (users == GROUP_USERS || words + run.arguments.len() > GROUP_WORDS) {
            groups.push(users);
            (users, words) = (0, 0);
        }
        users += 1;
        words += run.arguments.len();
    }
    groups.extend((users > 0).then_some(users));
    groups
}

/// Says that the script is to run for these.
pub(crate) fn say(
    script: &Script,
    naming: Naming,
    times: &Times,
    runs: &[&Run<'_>],
    commands: &mut Commands,
) {
    let (name, script) = match naming {
        Naming::Hash => ("EVALSHA", script.hash.as_str()),
        Naming::Text => ("EVAL", script.text),
    };
    let users = runs.len().to_string();
    let begin = [name, script, &users].into_iter().chain(runs.iter().map(|run| run.key.as_str()));
    let arguments = runs.iter().flat_map(|run| &run.arguments).map(Cow::as_ref);
    commands.push(&begin.chain([&*times.now, &*times.grace]).chain(arguments).collect::<Vec<_>>());
}

/// What the script answered to each of so many users: what is wrong with one is its own answer.
pub(crate) fn answers(answer: Result<Reply>, users: usize) -> Vec<Result<Reply>> {
    match answer {
        Ok(answer) if users > 1 && answer.refusal().is_none() => match answer.items() {
            Some(answers) if answers.len() == users => answers.into_iter().map(Ok).collect(),
            _ => vec![Err(error::odd_answer()); users],
        },
        answer => vec![answer; users],
    }
}

/// What becomes of one [`Write`]: the answers that need no server.
#[derive(Debug)]
pub(crate) struct Plan {
    settled: Vec<Option<Result<Outcome>>>,
    now: UnixMillis,
}

/// Settles what has expired or is too large; the rest is sent.
pub(crate) fn plan(write: &Write, call: Call, limits: Limits) -> (Plan, Option<Run<'_>>) {
    let mut arguments = vec![match write.epoch() {
        EpochCheck::Ignore => "*".into(),
        EpochCheck::Is(None) => "".into(),
        EpochCheck::Is(Some(epoch)) => epoch.to_string().into(),
    }];
    let changes = write.changes().iter();
    let settled: Vec<_> = changes.map(|change| settle(change, call.now, limits, &mut arguments)).collect();
    let is_sent = settled.iter().any(Option::is_none);
    let run = is_sent.then(|| Run { key: layout::storage_key(write.subject()), arguments });
    (Plan { settled, now: call.now }, run)
}

impl Plan {
    /// All answers, with the server's to what was sent.
    pub(crate) fn finish(self, answer: impl FnOnce() -> Result<Reply>) -> Vec<Result<Outcome>> {
        let Self { settled, now } = self;
        let sent = settled.iter().filter(|settled| settled.is_none()).count();
        let answers =
            if sent == 0 { Ok(Vec::new()) } else { answer().and_then(|answer| outcomes(&answer, sent, now)) };
        let mut answers = answers.map(Vec::into_iter);
        let mut next = || match &mut answers {
            Ok(answers) => answers.next().unwrap_or_else(|| Err(error::odd_answer())),
            Err(error) => Err(error.clone()),
        };
        settled.into_iter().map(|settled| settled.unwrap_or_else(&mut next)).collect()
    }
}

/// What is sent for an erase.
///
/// # Errors
/// The one of [`decide_erase`](stickystore_core::decide::decide_erase) for a mark that would have ended.
pub(crate) fn erasing(erase: &Erase, call: Call) -> Result<Run<'static>> {
    stickystore_core::decide::decide_erase(erase, None, false, call.now)?;
    let arguments = vec![erase.epoch.to_string().into(), erase.mark_until.to_string().into()];
    Ok(Run { key: layout::storage_key(&erase.subject), arguments })
}

/// Whether something stood, from the script's answer.
pub(crate) fn stood(answer: &Reply) -> Result<bool> {
    match answer.value() {
        Value::Int(stood) => Ok(stood != 0),
        _ => Err(error::odd_answer()),
    }
}

/// The answer to a change that needs no server; else its arguments.
fn settle<'a>(
    change: &'a Change,
    now: UnixMillis,
    limits: Limits,
    arguments: &mut Vec<Cow<'a, str>>,
) -> Option<Result<Outcome>> {
    if let Some(entry) = change.entry() {
        let (bytes, limit) = (entry.size_bytes(), limits.entry_bytes);
        if bytes > limit {
            let context = format!("an entry of {bytes} bytes; at most {limit} are kept");
            return Some(Err(Error::new(ErrorKind::TooLarge, context)));
        }
        if !entry.is_live(now) {
            return Some(Ok(Outcome::Expired));
        }
    }
    let (op, read) = match change {
        Change::Insert(..) => ("I", None),
        Change::Put(..) => ("P", None),
        Change::Replace(_, read, _) => ("R", Some(read)),
        Change::Remove(_) => ("D", None),
        Change::RemoveIf(_, read) => ("X", Some(read)),
        _ => return Some(Err(Error::new(ErrorKind::Unsupported, "this store does not know this change"))),
    };
    arguments.push(op.into());
    arguments.push(change.key().as_str().into());
    if let Some(read) = read {
        arguments.push(read.to_string().into());
    }
    if let Some(entry) = change.entry() {
        arguments.push(headed::encode_head(entry).into());
        arguments.push(entry.value.as_str().into());
    }
    None
}

fn outcomes(answer: &Reply, count: usize, now: UnixMillis) -> Result<Vec<Result<Outcome>>> {
    match answer.value() {
        Value::Array(answers) if answers.len() == count => {
            Ok(answers.map(|answer| outcome(&answer, now)).collect())
        }
        _ => Err(error::odd_answer()),
    }
}

/// What the script answers to one change.
fn outcome(answer: &Value<'_>, now: UnixMillis) -> Result<Outcome> {
    match answer {
        Value::Int(1) => Ok(Outcome::Inserted),
        Value::Int(2) => Ok(Outcome::Written),
        Value::Int(3) => Ok(Outcome::Replaced),
        Value::Int(4) => Ok(Outcome::Unchanged),
        Value::Int(5) => Ok(Outcome::Removed),
        Value::Int(6) => Ok(Outcome::WasAbsent),
        Value::Int(7) => Ok(Outcome::Gone),
        Value::Int(8) => Ok(Outcome::Erased),
        Value::Int(9) => Err(damaged()),
        Value::Text(text) => match headed::decode(text, now) {
            Headed::Live(entry) => Ok(Outcome::Kept(entry)),
            // Its head is whole, the rest is not.
            Headed::Ended | Headed::Damaged(_) => Err(damaged()),
        },
        _ => Err(error::odd_answer()),
    }
}
