//! The store: calls in, users to their servers, answers back.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::future::join_all;
use stickystore_core::{
    AsyncStore, Call, Detach, Detaching, Effect, Erase, Error, ErrorKind, Eviction, Finding, Operation,
    Outcome, Profile, Read, Result, Scope, Sharing, StoreInfo, Subject, UnixMillis, Write, async_trait,
};

use crate::config::Config;
use crate::connection::{Connector, Lane, done};
use crate::diagnose;
use crate::error::{self, SCHEME, at};
use crate::groups::by_user;
use crate::item::{self, Room};
use crate::layout::{self, Found, Item};
use crate::servers::place_of;
use crate::swap::{Erases, Terms, Work, Writes, swap};
use crate::wire::{Command, Reply};

/// The most reads that are sent together to one server: enough that round trips do not count, few enough that an answer is
/// never far away.
const CHUNK_READS: usize = 128;

/// The most users that one call changes at the same time.
const USERS_AT_ONCE: usize = 64;

/// Calls with more users than this take the connections for batches: behind them, single calls would wait.
const SINGLE_USERS: usize = 16;

/// Keeps entries in Memcached. Clones share the connections.
///
/// It connects when it is first used and again whenever it has to; two connections at most to each server, one for single
/// calls and one for batches. It needs a tokio runtime with I/O and time; [detached](Detach::detach) from it, it has one to each
/// server and needs none.
#[derive(Clone)]
pub struct MemcachedStore(Arc<Shared>);

struct Shared {
    info: StoreInfo,
    grace: Duration,
    room: Room,
    max_item: usize,
    names: Vec<String>,
    servers: Vec<Server>,
    closed: AtomicBool,
    process: u32,
    /// Whether it is one caller's own, and needs no runtime.
    is_own: bool,
}

struct Server {
    singles: Arc<Lane>,
    batches: Arc<Lane>,
}

impl MemcachedStore {
    /// A store that connects when it is first used.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if certificates or a host's name are not usable.
    pub fn new(config: &Config) -> Result<Self> {
        let limits = config.limits();
        let info = StoreInfo::new(SCHEME)
            .survives(
                &[],
                "a user may be evicted at any time, whole and the erase mark too; a restart of a server or another list of \
                 servers forgets its users",
            )
            .winner(Scope::ServerList)
            .sharing(Sharing::Network)
            .eviction(Eviction::WholeUsers)
            .limits(limits);
        let room =
            Room { entry_bytes: limits.entry_bytes, item_bytes: limits.user_bytes.unwrap_or(usize::MAX) };
        let lane = |connector: &Connector| Lane::new(connector.clone(), config.connect_timeout);
        let connectors = Connector::all(config).map_err(at(Operation::Open))?;
        let servers = connectors.iter().map(|one| Server { singles: lane(one), batches: lane(one) });
        Ok(Self(Arc::new(Shared {
            info,
            grace: config.grace,
            room,
            max_item: config.max_item,
            names: config.servers.iter().map(|server| server.name.clone()).collect(),
            servers: servers.collect(),
            closed: AtomicBool::new(false),
            process: std::process::id(),
            is_own: false,
        })))
    }

    /// A store that has reached all its servers once.
    ///
    /// # Errors
    /// As [`new`](Self::new), and those of a `ping`.
    pub async fn connect(config: &Config, call: Call) -> Result<Self> {
        let store = Self::new(config)?;
        store.ping_all(call).await.map_err(at(Operation::Open))?;
        Ok(store)
    }

    /// The key of this user's item, for programs that read along.
    pub fn storage_key(subject: &Subject) -> String {
        layout::storage_key(subject)
    }

    /// The name of the server that keeps this user, as `host:port`.
    pub fn server_of(&self, subject: &Subject) -> &str {
        let place = place_of(&self.0.names, &layout::storage_key(subject));
        self.0.names.get(place).map_or("", String::as_str)
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

    /// Every server's name, and the connection for what takes long.
    pub(crate) fn long_lanes(&self) -> impl Iterator<Item = (&str, &Arc<Lane>)> {
        self.0.names.iter().map(String::as_str).zip(self.0.servers.iter().map(|server| &server.batches))
    }

    /// The servers' names in order, a line each.
    pub(crate) fn list(&self) -> String {
        let mut names = self.0.names.clone();
        names.sort_unstable();
        names.into_iter().map(|name| name + "\n").collect()
    }

    /// The largest item that is sent.
    pub(crate) fn max_item(&self) -> usize {
        self.0.max_item
    }

    /// The connection for a call with so many users to the server that keeps this key.
    fn lane(&self, key: &str, users: usize) -> Option<&Arc<Lane>> {
        let server = self.0.servers.get(place_of(&self.0.names, key))?;
        Some(if users <= SINGLE_USERS { &server.singles } else { &server.batches })
    }

    async fn ping_all(&self, call: Call) -> Result<()> {
        self.admit(call)?;
        let ping = async |server: &Server| {
            let connection = server.singles.connection(call.deadline).await?;
            done(&connection.run(call.deadline, connection.link().one(&Command::Noop)).await?)
        };
        join_all(self.0.servers.iter().map(ping)).await.into_iter().collect()
    }

    /// Reads one user.
    async fn profile(&self, call: Call, read: &Read) -> Result<Profile> {
        let key = layout::storage_key(&read.subject);
        let lane = self.lane(&key, 1).ok_or_else(error::odd_answer)?;
        let connection = lane.connection(call.deadline).await?;
        let get = Command::Get { key: &key };
        let reply = connection.run(call.deadline, connection.link().one(&get)).await?;
        read_from(reply, read, call.now)
    }

    /// Reads from all servers at once.
    async fn profiles(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        if let [read] = reads {
            return vec![self.profile(call, read).await];
        }
        let mut shares = vec![Vec::new(); self.0.servers.len()];
        let keys: Vec<_> = reads.iter().map(|read| layout::storage_key(&read.subject)).collect();
        for (place, key) in keys.iter().enumerate() {
            if let Some(share) = shares.get_mut(place_of(&self.0.names, key)) {
                share.push(place);
            }
        }
        shares.retain(|share| !share.is_empty());
        let share = async |places: Vec<usize>| {
            let asked: Vec<_> = places.iter().filter_map(|place| keys.get(*place)).collect();
            let lane = asked.first().and_then(|key| self.lane(key, reads.len()));
            let replies = match lane {
                Some(lane) => get(lane, &asked, call.deadline).await,
                None => Vec::new(),
            };
            places.into_iter().zip(replies)
        };
        let mut profiles: Vec<_> = reads.iter().map(|_| None).collect();
        for (place, reply) in join_all(shares.into_iter().map(share)).await.into_iter().flatten() {
            if let (Some(profile), Some(read)) = (profiles.get_mut(place), reads.get(place)) {
                *profile = Some(reply.and_then(|reply| read_from(reply, read, call.now)));
            }
        }
        profiles.into_iter().map(|profile| profile.unwrap_or_else(|| Err(error::odd_answer()))).collect()
    }

    /// Does the work on many users at once, though not on all.
    async fn work<W: Work>(&self, call: Call, works: &[W]) -> Vec<Vec<Result<W::Answer>>> {
        let terms = Terms { call, grace: self.0.grace, room: self.0.room };
        let one = async |work: &W| {
            let key = layout::storage_key(work.subject());
            match self.lane(&key, works.len()) {
                Some(lane) => swap(lane, &key, work, terms).await,
                None => vec![Err(error::odd_answer()); work.count()],
            }
        };
        if let [work] = works {
            return vec![one(work).await];
        }
        futures::stream::iter(works.iter().map(one)).buffered(USERS_AT_ONCE).collect().await
    }
}

#[async_trait]
impl AsyncStore for MemcachedStore {
    fn info(&self) -> &StoreInfo {
        &self.0.info
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        let at = at(Operation::Read);
        if let Err(error) = self.admit(call) {
            return vec![Err(at(error)); reads.len()];
        }
        let profiles = self.profiles(call, reads).await;
        profiles.into_iter().map(|profile| profile.map_err(&at)).collect()
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let at = at(Operation::Write);
        if let Err(error) = self.admit(call) {
            let error = at(error);
            return writes.iter().map(|write| vec![Err(error.clone()); write.changes().len()]).collect();
        }
        let (places, groups) = by_user(writes.iter().map(Write::subject));
        let writes_at = |places: &[usize]| places.iter().filter_map(|place| writes.get(*place)).collect();
        let works: Vec<_> =
            groups.iter().map(|(subject, places)| Writes(subject, writes_at(places))).collect();
        let mut answers: Vec<_> = self.work(call, &works).await.into_iter().map(Vec::into_iter).collect();
        // Each user's answers are in the order of its writes.
        let mut take = |(write, group): (&Write, usize)| {
            let mut next = || answers.get_mut(group).and_then(Iterator::next);
            let outcomes = write.changes().iter().map(|_| next().unwrap_or_else(|| Err(error::odd_answer())));
            outcomes.map(|outcome| outcome.map_err(&at)).collect()
        };
        writes.iter().zip(places).map(&mut take).collect()
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        let at = at(Operation::Erase);
        if let Err(error) = self.admit(call) {
            return vec![Err(at(error)); erases.len()];
        }
        let (places, groups) = by_user(erases.iter().map(|erase| &erase.subject));
        let erases_at = |places: &[usize]| places.iter().filter_map(|place| erases.get(*place)).collect();
        let works: Vec<_> =
            groups.iter().map(|(subject, places)| Erases(subject, erases_at(places))).collect();
        let mut answers: Vec<_> = self.work(call, &works).await.into_iter().map(Vec::into_iter).collect();
        let mut next = |group: usize| answers.get_mut(group).and_then(Iterator::next);
        let answer = |group| next(group).unwrap_or_else(|| Err(error::odd_answer())).map_err(&at);
        places.into_iter().map(answer).collect()
    }

    async fn ping(&self, call: Call) -> Result<()> {
        self.ping_all(call).await.map_err(at(Operation::Ping))
    }

    async fn close(&self, _call: Call) -> Result<()> {
        self.0.closed.store(true, Ordering::Release);
        // A forked child must not say goodbye over its parent's sockets.
        if self.0.process == std::process::id() {
            for server in &self.0.servers {
                server.singles.disconnect();
                server.batches.disconnect();
            }
        }
        Ok(())
    }

    async fn diagnose(&self, call: Call) -> Vec<Finding> {
        diagnose::diagnose(self, call).await
    }
}

impl Detach for MemcachedStore {
    fn detach(&self) -> Detaching<Self> {
        let connecting: Vec<_> = self.0.servers.iter().map(|server| server.singles.detach()).collect();
        let shared = Arc::downgrade(&self.0);
        Box::pin(async move {
            let lanes: Result<Vec<_>> = join_all(connecting).await.into_iter().collect();
            let server = |lane| Server { singles: Arc::clone(&lane), batches: lane };
            let servers = lanes?.into_iter().map(server).collect();
            let shared = shared.upgrade().ok_or_else(stickystore_transport::not_sent)?;
            Ok(Self(Arc::new(Shared {
                info: shared.info.clone(),
                names: shared.names.clone(),
                servers,
                closed: AtomicBool::new(false),
                is_own: true,
                ..*shared
            })))
        })
    }

    fn is_ready(&self, subject: &Subject) -> bool {
        self.0.is_own && self.lane(&layout::storage_key(subject), 1).is_some_and(|lane| lane.is_ready())
    }
}

impl fmt::Debug for MemcachedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemcachedStore").finish_non_exhaustive()
    }
}

/// Reads these keys in chunks, one chunk after the other; an answer for each. After a chunk that got none, the remaining ones
/// are not sent.
async fn get(lane: &Arc<Lane>, keys: &[&String], deadline: Instant) -> Vec<Result<Reply>> {
    let mut replies = Vec::with_capacity(keys.len());
    for chunk in keys.chunks(CHUNK_READS) {
        let commands: Vec<_> = chunk.iter().map(|key| Command::Get { key }).collect();
        let answered = match lane.connection(deadline).await {
            Ok(connection) => connection.run(deadline, connection.link().send(&commands)).await,
            Err(error) => Err(error),
        };
        match answered {
            Ok(answers) => replies.extend(answers.into_iter().map(Ok)),
            Err(error) => {
                replies.resize(keys.len(), Err(error));
                break;
            }
        }
    }
    replies
}

fn read_from(reply: Reply, read: &Read, now: UnixMillis) -> Result<Profile> {
    match reply {
        Reply::Found { value, .. } => item::read(&value, &read.subject, &read.keys, now),
        Reply::Missing => item::profile(&Found::Item(Item::default()), &read.keys, now),
        Reply::Refused(refusal) => Err(error::refused(refusal)),
        _ => Err(error::odd_answer()),
    }
}
