//! The store: calls in, answers out.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use stickystore_core::{
    AsyncScan, AsyncStore, Call, Detach, Detaching, Effect, Erase, Error, ErrorKind, Eviction, Finding, Loss,
    Operation, Outcome, Profile, Read, Result, Scope, Sharing, StoreInfo, Subject, Write, async_trait,
};

use crate::config::Config;
use crate::connection::{Connector, Lane};
use crate::diagnose;
use crate::error::{self, SCHEME, at};
use crate::layout;
use crate::read;
use crate::script;
use crate::wire::Reply;

/// Calls with more items, or more bytes, than this take the connection for batches: behind them, single calls would wait.
const SINGLE_ITEMS: usize = 16;
const SINGLE_BYTES: usize = 64 << 10;

/// Keeps entries in Redis. Clones share the connections.
///
/// It connects when it is first used and again whenever it has to; two connections at most, one for single calls and one
/// for batches. It needs a tokio runtime with I/O and time; [detached](Detach::detach) from it, it has one connection and needs none.
#[derive(Clone)]
pub struct RedisStore(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    info: StoreInfo,
    pub(crate) wait: u32,
    pub(crate) grace: Duration,
    singles: Arc<Lane>,
    batches: Arc<Lane>,
    closed: AtomicBool,
    process: u32,
    /// Whether it is one caller's own, and needs no runtime.
    is_own: bool,
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
            is_own: false,
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
    pub fn storage_key(subject: &Subject) -> String {
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
        if !self.0.is_own && tokio::runtime::Handle::try_current().is_err() {
            return fail(ErrorKind::Config, "this store works only inside a tokio runtime");
        }
        if call.remaining().is_zero() {
            return fail(ErrorKind::Timeout, "the deadline had passed before the call");
        }
        Ok(())
    }

    /// The connection for a call with so many items and bytes.
    pub(crate) fn lane(&self, items: usize, bytes: usize) -> &Arc<Lane> {
        let is_single = items <= SINGLE_ITEMS && bytes <= SINGLE_BYTES;
        if is_single { &self.0.singles } else { &self.0.batches }
    }

    /// The connection for what takes long.
    pub(crate) fn long_lane(&self) -> &Arc<Lane> {
        &self.0.batches
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
        let answers = self.answers(lane, reads, read::say_read, call.deadline).await;
        let profile = |(read, answer): (&Read, Result<Reply>)| read::profile(&read.keys, &answer?, call.now);
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
        let mut answers = self.run(&script::WRITE, &runs, call.deadline).await.into_iter();
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
        let mut answers = self.run(&script::ERASE, &runs, call.deadline).await.into_iter();
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

impl Detach for RedisStore {
    fn detach(&self) -> Detaching<Self> {
        let (connecting, shared) = (self.0.singles.detach(), Arc::downgrade(&self.0));
        Box::pin(async move {
            let lane = connecting.await?;
            let shared = shared.upgrade().ok_or_else(stickystore_transport::not_sent)?;
            Ok(Self(Arc::new(Shared {
                info: shared.info.clone(),
                singles: Arc::clone(&lane),
                batches: lane,
                closed: AtomicBool::new(false),
                is_own: true,
                ..*shared
            })))
        })
    }

    fn is_ready(&self, _: &Subject) -> bool {
        self.0.is_own && self.0.singles.is_ready()
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").finish_non_exhaustive()
    }
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
