//! The scripts that write, what they are given, and what their answers mean. No I/O.

use std::borrow::Cow;
use std::sync::LazyLock;

use stickystore_core::codec::headed::{self, Headed};
use stickystore_core::decide::damaged;
use stickystore_core::{
    Call, Change, EpochCheck, Erase, Error, ErrorKind, Limits, Outcome, Result, UnixMillis, Write,
};

use crate::error;
use crate::layout;
use crate::wire::{self, Commands, Reply, Runs, Value};

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
    /// By its hash, which the server may have forgotten; for one user in one command with those of other callers.
    Hash,
    /// By its hash, in a command of its own.
    Alone,
    /// By its text, which the server remembers from then on.
    Text,
}

/// What a script does for one user.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    pub(crate) key: String,
    /// The caller's time first.
    arguments: Vec<Cow<'a, str>>,
}

impl Run<'_> {
    /// About how much is sent.
    pub(crate) fn bytes(&self) -> usize {
        self.key.len() + self.arguments.iter().map(|argument| argument.len()).sum::<usize>()
    }
}

/// The most bytes of a run that leaves in one command with those of other callers.
const JOINABLE_BYTES: usize = 16 << 10;

/// How many of these go into one command, each time.
pub(crate) fn groups(runs: &[&Run<'_>]) -> Vec<usize> {
    let (mut groups, mut users, mut words) = (Vec::new(), 0, 0);
    for run in runs {
        if users > 0 && (users == wire::USERS || words + run.arguments.len() > wire::WORDS) {
            groups.push(users);
            (users, words) = (0, 0);
        }
        users += 1;
        words += run.arguments.len();
    }
    groups.extend((users > 0).then_some(users));
    groups
}

/// Says that the script is to run for these, and how long what expired stays.
pub(crate) fn say(
    script: &'static Script,
    naming: Naming,
    grace: &str,
    runs: &[&Run<'_>],
    commands: &mut Commands,
) {
    let words = |run: &&Run<'_>| run.arguments.len();
    match (naming, runs) {
        (Naming::Hash, [run]) if run.bytes() <= JOINABLE_BYTES => {
            let own = run.arguments.iter().map(Cow::as_ref);
            commands.push_joinable(["EVALSHA", &script.hash], &run.key, grace, own);
        }
        _ => commands.push_runs(Runs {
            beginning: match naming {
                Naming::Hash | Naming::Alone => ["EVALSHA", &script.hash],
                Naming::Text => ["EVAL", script.text],
            },
            keys: runs.iter().map(|run| run.key.as_str()),
            common: grace,
            own: runs.iter().flat_map(|run| &run.arguments).map(Cow::as_ref),
            words: runs.iter().map(words).sum(),
        }),
    }
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
    let check = match write.epoch() {
        EpochCheck::Ignore => "*".into(),
        EpochCheck::Is(None) => "".into(),
        EpochCheck::Is(Some(epoch)) => epoch.to_string().into(),
    };
    let mut arguments = vec![call.now.to_string().into(), check];
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
    let arguments = [call.now.to_string(), erase.epoch.to_string(), erase.mark_until.to_string()];
    let arguments = arguments.map(Cow::from).to_vec();
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
