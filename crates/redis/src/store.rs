//! The store: calls in, commands out in chunks, answers back.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use stickystore_core::codec::headed::{self, Headed};
use stickystore_core::decide::not_ours;
use stickystore_core::{
    AsyncScan, AsyncStore, Call, Damage, Damaged, Effect, Erase, Error, ErrorKind, Eviction, Finding, Key,
    Keys, Loss, Operation, Outcome, Profile, Read, Result, Scope, Sharing, StoreInfo, UnixMillis, Write,
    async_trait,
};

use crate::config::Config;
use crate::connection::{self, Connector, Lane};
use crate::diagnose;
use crate::error::{self, SCHEME, at};
use crate::layout::{self, MARK_FIELD};
use crate::script::{self, Naming, Run, Script, Times};
use crate::wire::{Commands, Reply, Value};

/// The most commands that are sent together: enough that round trips do not count, few enough that an answer is never
/// far away.
const CHUNK_COMMANDS: usize = 128;

/// The most bytes that are sent together, beyond the first command.
const CHUNK_BYTES: usize = 1 << 20;

/// About how many bytes a command takes besides what a caller says.
const AROUND: usize = 128;

/// The most entries for which room is made before they are seen.
const MOST_ROOM: usize = 1024;

/// Calls with more items, or more bytes, than this take the connection for batches: behind them, single calls would wait.
const SINGLE_ITEMS: usize = 16;
const SINGLE_BYTES: usize = 64 << 10;

/// How long WAIT may hold the connection, whatever the deadline says.
const WAIT_AT_MOST: Duration = Duration::from_secs(1);

/// What WAIT leaves of the time to the deadline, so that its own answer arrives: servers look at what waits only every
/// 100 ms.
const WAIT_MARGIN: Duration = Duration::from_millis(150);

/// Keeps entries in Redis. Clones share the connections.
///
/// It connects when it is first used and again whenever it has to; two connections at most, one for single calls and one
/// for batches. It needs a tokio runtime with I/O and time.
#[derive(Clone)]
pub struct RedisStore(Arc<Shared>);

struct Shared {
    info: StoreInfo,
    wait: u32,
    grace: Duration,
    singles: Arc<Lane>,
    batches: Arc<Lane>,
    closed: AtomicBool,
    process: u32,
}

impl RedisStore {
    /// A store that connects when it is first used.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if certificates or the host's name are not usable.
    pub fn new(config: &Config) -> Result<Self> {
        let open = at(Operation::Open);
        let connector = Connector::new(config).map_err(&open)?;
        let info = StoreInfo::new(SCHEME)
            .survives(&[Loss::ProcessExit], survival(config.wait))
            .winner(Scope::Primary)
            .sharing(Sharing::Network)
            .eviction(Eviction::WholeUsers)
            .limits(config.limits);
        Ok(Self(Arc::new(Shared {
            info,
            wait: config.wait,
            grace: config.grace,
            singles: Lane::new(connector.clone(), config.connect_timeout),
            batches: Lane::new(connector, config.connect_timeout),
            closed: AtomicBool::new(false),
            process: std::process::id(),
        })))
    }

    /// A store that has reached its server once.
    ///
    /// # Errors
    /// As [`new`](Self::new), and those of a `ping`.
    pub async fn connect(config: &Config, call: Call) -> Result<Self> {
        let store = Self::new(config)?;
        store.answer(store.lane(1, 0), &["PING"], call.deadline).await.map_err(at(Operation::Open))?;
        Ok(store)
    }

    /// The key of this user's hash, for programs that read along.
    pub fn storage_key(subject: &stickystore_core::Subject) -> String {
        layout::storage_key(subject)
    }

    /// The checks that come before every call.
    pub(crate) fn admit(&self, call: Call) -> Result<()> {
        let fail = |kind, context: &str| Err(Error::new(kind, context).with_effect(Effect::NotApplied));
        if self.0.closed.load(Ordering::Acquire) {
            return fail(ErrorKind::Closed, "this store was closed");
        }
        if self.0.process != std::process::id() {
            // The sockets are the parent's: what is read here would be missing there.
            return fail(
                ErrorKind::Forked,
                "this handle belongs to the parent process; open the store again",
            );
        }
        if tokio::runtime::Handle::try_current().is_err() {
            return fail(ErrorKind::Config, "this store works only inside a tokio runtime");
        }
        if call.remaining().is_zero() {
            return fail(ErrorKind::Timeout, "the deadline had passed before the call");
        }
        Ok(())
    }

    /// The connection for a call with so many items and bytes.
    fn lane(&self, items: usize, bytes: usize) -> &Arc<Lane> {
        let is_single = items <= SINGLE_ITEMS && bytes <= SINGLE_BYTES;
        if is_single { &self.0.singles } else { &self.0.batches }
    }

    /// The connection for what takes long.
    pub(crate) fn long_lane(&self) -> &Arc<Lane> {
        &self.0.batches
    }

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
    async fn run(&self, script: &Script, runs: &[Run<'_>], call: Call) -> Vec<Result<Reply>> {
        let sending = Sending { script, times: Times::of(call, self.0.grace), deadline: call.deadline };
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

    /// Runs the script for some at once. Those to which the server said that it had forgotten the script are sent again
    /// with its text: they certainly did nothing.
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
        let mut forgotten: Vec<_> =
            answers.iter_mut().zip(runs).filter(|(answer, _)| is_forgotten(answer)).collect();
        if !forgotten.is_empty() {
            let again: Vec<_> = forgotten.iter().map(|(_, run)| *run).collect();
            let second = self.send_runs(lane, sending, &again, Naming::Text, failed).await;
            for ((place, _), answer) in forgotten.iter_mut().zip(second) {
                **place = answer;
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
        let Sending { script, times, deadline } = sending;
        let mut commands = Commands::with_capacity(runs.iter().map(|run| run.bytes() + AROUND).sum());
        let (groups, mut rest) = (script::groups(runs), runs);
        let namings = std::iter::once(first).chain(std::iter::repeat(Naming::Hash));
        for (users, naming) in groups.iter().zip(namings) {
            let (group, others) = rest.split_at_checked(*users).unwrap_or((rest, &[]));
            script::say(script, naming, times, group, &mut commands);
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

#[async_trait]
impl AsyncStore for RedisStore {
    fn info(&self) -> &StoreInfo {
        &self.0.info
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        let at = at(Operation::Read);
        if let Err(error) = self.admit(call) {
            return vec![Err(at(error)); reads.len()];
        }
        let lane = self.lane(reads.len(), 0);
        let answers = self.answers(lane, reads, say_read, call.deadline).await;
        let profile = |(read, answer): (&Read, Result<Reply>)| profile(&read.keys, &answer?, call.now);
        reads.iter().zip(answers).map(|item| profile(item).map_err(&at)).collect()
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let at = at(Operation::Write);
        if let Err(error) = self.admit(call) {
            let error = at(error);
            return writes.iter().map(|write| vec![Err(error.clone()); write.changes().len()]).collect();
        }
        let limits = self.0.info.limits;
        let plan = |write| script::plan(write, call, limits);
        let (plans, runs): (Vec<_>, Vec<_>) = writes.iter().map(plan).unzip();
        let runs: Vec<_> = runs.into_iter().flatten().collect();
        let mut answers = self.run(&script::WRITE, &runs, call).await.into_iter();
        let mut answer = || answers.next().unwrap_or_else(|| Err(error::odd_answer()));
        let outcomes = plans.into_iter().map(|plan| plan.finish(&mut answer));
        outcomes.map(|outcomes| outcomes.into_iter().map(|outcome| outcome.map_err(&at)).collect()).collect()
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        let at = at(Operation::Erase);
        if let Err(error) = self.admit(call) {
            return vec![Err(at(error)); erases.len()];
        }
        let plans: Vec<_> = erases.iter().map(|erase| script::erasing(erase, call)).collect();
        let (mut runs, mut refused) = (Vec::new(), Vec::new());
        for plan in plans {
            match plan {
                Ok(run) => {
                    runs.push(run);
                    refused.push(None);
                }
                Err(error) => refused.push(Some(error)),
            }
        }
        let mut answers = self.run(&script::ERASE, &runs, call).await.into_iter();
        let mut answer = || {
            answers
                .next()
                .unwrap_or_else(|| Err(error::odd_answer()))
                .and_then(|answer| script::stood(&answer))
        };
        let refused = refused.into_iter();
        refused.map(|refused| refused.map_or_else(&mut answer, Err).map_err(&at)).collect()
    }

    async fn ping(&self, call: Call) -> Result<()> {
        let ping = async {
            self.admit(call)?;
            self.answer(&self.0.singles, &["PING"], call.deadline).await
        };
        ping.await.map(|_| ()).map_err(at(Operation::Ping))
    }

    async fn close(&self, _call: Call) -> Result<()> {
        self.0.closed.store(true, Ordering::Release);
        // A forked child must not say goodbye over its parent's sockets.
        if self.0.process == std::process::id() {
            self.0.singles.disconnect();
            self.0.batches.disconnect();
        }
        Ok(())
    }

    async fn diagnose(&self, call: Call) -> Vec<Finding> {
        diagnose::diagnose(self, call, self.0.wait).await
    }

    fn scan(&self) -> Option<&dyn AsyncScan> {
        Some(self)
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").finish_non_exhaustive()
    }
}

/// Which script is run, when, and until when.
struct Sending<'a> {
    script: &'a Script,
    times: Times,
    deadline: Instant,
}

/// What a write survives besides the end of its process.
fn survival(wait: u32) -> String {
    let kept = "beyond that, what the server's AOF and RDB keep: with `everysec` all but about 2 s at power loss, without AOF \
                all but minutes";
    match wait {
        0 => format!("{kept}; a failover may drop the last writes, which `wait=N` narrows"),
        1 => format!("{kept}; a replica has confirmed it"),
        wait => format!("{kept}; {wait} replicas have confirmed it"),
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

fn is_forgotten(answer: &Result<Reply>) -> bool {
    let refusal = answer.as_ref().ok().and_then(Reply::refusal);
    refusal.is_some_and(|refusal| refusal.code() == "NOSCRIPT")
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

fn say_read(read: &Read, commands: &mut Commands) {
    let key = layout::storage_key(&read.subject);
    match &read.keys {
        Keys::Only(keys) => {
            let keys = keys.iter().map(Key::as_str);
            commands.push(&["HMGET", &key, MARK_FIELD].into_iter().chain(keys).collect::<Vec<_>>());
        }
        _ => commands.push(&["HGETALL", &key]),
    }
}

fn profile(keys: &Keys, answer: &Reply, now: UnixMillis) -> Result<Profile> {
    match keys {
        Keys::Only(keys) => {
            let Value::Array(texts) = answer.value() else { return Err(error::odd_answer()) };
            if texts.len() != keys.len() + 1 {
                return Err(error::odd_answer());
            }
            let names = std::iter::once(MARK_FIELD).chain(keys.iter().map(Key::as_str));
            decode(names.map(str::as_bytes).zip(texts).map(Ok), keys.len(), now)
        }
        _ => whole_profile(answer, now),
    }
}

/// A profile from the answer to HGETALL: names and texts in turn. Anything else would be a user with entries missing.
pub(crate) fn whole_profile(answer: &Reply, now: UnixMillis) -> Result<Profile> {
    let Value::Array(mut fields) = answer.value() else { return Err(error::odd_answer()) };
    let count = fields.len() / 2;
    if fields.len() != 2 * count {
        return Err(error::odd_answer());
    }
    let named = (0..count).map(|_| match (fields.next(), fields.next()) {
        (Some(Value::Text(name)), Some(text @ Value::Text(_))) => Ok((name, text)),
        _ => Err(error::odd_answer()),
    });
    decode(named, count, now)
}

/// A profile from fields with their names, at most so many of which are entries.
fn decode<'a>(
    fields: impl Iterator<Item = Result<(&'a [u8], Value<'a>)>>,
    room: usize,
    now: UnixMillis,
) -> Result<Profile> {
    let (mut epoch, mut entries, mut damaged) = (None, Vec::with_capacity(room.min(MOST_ROOM)), Vec::new());
    for field in fields {
        let (name, text) = field?;
        let text = match text {
            Value::Text(text) => text,
            Value::Nil => continue,
            _ => return Err(error::odd_answer()),
        };
        if name.is_empty() {
            let mark = headed::decode_mark(text).ok_or_else(not_ours)?;
            epoch = mark.is_live(now).then_some(mark.epoch);
            continue;
        }
        // A name that no key of ours can have is told apart as well as it can be.
        let key = Key::new(String::from_utf8_lossy(name)).or_else(|_| Key::new("?"))?;
        match headed::decode(text, now) {
            Headed::Live(entry) if key.as_str().as_bytes() == name => entries.push((key, entry)),
            Headed::Live(_) => damaged.push(Damaged::new(key, Damage::new("has a name that is no key"))),
            Headed::Ended => {}
            Headed::Damaged(damage) => damaged.push(Damaged::new(key, damage)),
        }
    }
    Ok(Profile::new(epoch, entries, damaged, now))
}
