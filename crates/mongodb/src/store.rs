//! The store: calls in, operations out, documents back.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use futures::stream::{self, StreamExt as _};
use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::options::{
    Collation, FindOneAndUpdateOptions, FindOptions, ReadConcern, ReadPreference, ReturnDocument,
    SelectionCriteria, WriteConcern,
};
use stickystore_core::{
    AsyncScan, AsyncStore, Call, Damaged, Effect, Erase, Error, ErrorKind, Eviction, Finding, Key, Keys,
    Loss, Operation, Outcome, Profile, Read, Result, Scope, Sharing, StoreInfo, Subject, UnixMillis, Write,
    async_trait,
};
use stickystore_transport::too_late_to_send;

use crate::config::Config;
use crate::connection::{Connection, answered};
use crate::error::{self, SCHEME, at};
use crate::layout::{self, Shown, Slot};
use crate::pipeline::{self, Run};
use crate::{diagnose, schema};

/// The most users that one question is about: enough that round trips do not count, few enough that an answer is never far
/// away.
const CHUNK_USERS: usize = 128;

/// The most bytes of ids in one question, beyond the first one.
const CHUNK_BYTES: usize = 1 << 20;

/// How many users of one batch are written at the same time: a batch leaves connections for others.
const BATCH_WRITES: usize = 16;

/// How long `close` waits for the servers at most, whatever its deadline says.
const GOODBYE: Duration = Duration::from_secs(1);

/// Keeps entries in MongoDB. Clones share the connections.
///
/// It connects when it is first used and again whenever it has to. It needs a tokio runtime with I/O and time.
#[derive(Clone)]
pub struct MongodbStore(Arc<Shared>);

struct Shared {
    info: StoreInfo,
    connection: Connection,
    closed: AtomicBool,
    process: u32,
}

impl MongodbStore {
    /// A store that connects when it is first used.
    ///
    /// # Errors
    /// None now; what is wrong with the configuration, [`Config`] has said.
    pub fn new(config: &Config) -> Result<Self> {
        let kept = "by a replica set of three members or more; of fewer, what the journal and the members that are left keep";
        let info = StoreInfo::new(SCHEME)
            .survives(&[Loss::ProcessExit, Loss::ServerRestart, Loss::PowerLoss, Loss::NodeLoss], kept)
            .winner(Scope::ReplicaSet)
            .sharing(Sharing::Network)
            .eviction(Eviction::Never)
            .limits(config.limits);
        Ok(Self(Arc::new(Shared {
            info,
            connection: Connection::new(config.clone()),
            closed: AtomicBool::new(false),
            process: std::process::id(),
        })))
    }

    /// A store that has reached its servers once.
    ///
    /// # Errors
    /// Those of a `ping`.
    pub async fn connect(config: &Config, call: Call) -> Result<Self> {
        let store = Self::new(config)?;
        store.ask(call, Operation::Open).await?;
        Ok(store)
    }

    /// Makes what the store is faster and smaller with, if it is not there: the index by which the server sweeps what has
    /// expired. It needs the right to make indexes, which nothing else here does.
    ///
    /// # Errors
    /// Those of every call; [`ErrorKind::Config`] if there is an index of that kind that sweeps differently.
    pub async fn apply_schema(config: &Config, call: Call) -> Result<()> {
        let store = Self::new(config)?;
        let applied = schema::apply(&store, call).await.map_err(at(Operation::Open));
        let _ = store.close(call).await;
        applied
    }

    /// What [`apply_schema`](Self::apply_schema) makes, as a line for `mongosh`.
    pub fn schema(config: &Config) -> String {
        schema::line(config)
    }

    /// The `_id` of this user's document, for programs that read along.
    pub fn document_id(subject: &Subject) -> String {
        layout::id(subject)
    }

    /// How often the driver has sent an operation a second time, after the connection was lost or another member became the
    /// primary: the server recognises a write that it has done already.
    pub fn driver_retries(&self) -> u64 {
        self.0.connection.repeated()
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.0.connection
    }

    /// The checks that come before every call.
    pub(crate) fn admit(&self, call: Call) -> Result<()> {
        let fail = |kind, context: &str| Err(Error::new(kind, context).with_effect(Effect::NotApplied));
        if self.0.closed.load(Ordering::Acquire) {
            return Err(error::closed());
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

    /// Asks the primary whether it is there.
    async fn ask(&self, call: Call, operation: Operation) -> Result<()> {
        let asked = async {
            self.admit(call)?;
            let ping = move |live: Arc<crate::connection::Live>| async move {
                live.database().run_command(doc! { "ping": 1 }).selection_criteria(primary()).await
            };
            self.0.connection.run(call.deadline, ping).await
        };
        asked.await.map(drop).map_err(at(operation))
    }

    /// The documents that match, at most so many, in the order of their ids if there may be more.
    pub(crate) async fn find(
        &self,
        filter: Document,
        projection: Option<Document>,
        limit: usize,
        deadline: Instant,
    ) -> Result<Vec<RawDocumentBuf>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut options = FindOptions::default();
        options.projection = projection;
        options.limit = Some(limit);
        options.batch_size = u32::try_from(limit).ok();
        options.sort = Some(doc! { "_id": 1 });
        options.collation = Some(bytewise());
        options.read_concern = Some(ReadConcern::majority());
        options.selection_criteria = Some(primary());
        let find = move |live: Arc<crate::connection::Live>| {
            let (filter, mut options) = (filter.clone(), options.clone());
            options.max_time = Some(left(deadline));
            async move {
                let find = || async {
                    let question = live.collection().find(filter.clone()).with_options(options.clone());
                    let mut cursor = question.await?;
                    answered();
                    let mut found = Vec::new();
                    while cursor.advance().await? {
                        found.push(cursor.current().to_owned());
                    }
                    Ok(found)
                };
                live.settled(find).await
            }
        };
        self.0.connection.run(deadline, find).await
    }

    /// Runs a pipeline; the document as it was before.
    async fn modify(&self, run: Run, deadline: Instant) -> Result<Option<RawDocumentBuf>> {
        let Run { id, pipeline, projection, creates } = run;
        let mut options = FindOneAndUpdateOptions::default();
        options.projection = projection;
        options.upsert = Some(creates);
        options.return_document = Some(ReturnDocument::Before);
        options.collation = Some(bytewise());
        let modify = move |live: Arc<crate::connection::Live>| {
            let (id, pipeline, mut options) = (id.clone(), pipeline.clone(), options.clone());
            let left = left(deadline);
            options.max_time = Some(left);
            let mut concern = WriteConcern::majority();
            concern.w_timeout = Some(left);
            options.write_concern = Some(concern);
            async move {
                live.collection()
                    .find_one_and_update(doc! { "_id": id }, pipeline)
                    .with_options(options)
                    .await
            }
        };
        self.0.connection.run(deadline, modify).await
    }

    /// Does these jobs, each of the user with this id; an answer for each. Those of one user one after the other, and none
    /// any more after one whose outcome is unknown: it could still happen, and then would be the last.
    async fn modify_all<J: Fn() -> Run + Send>(
        &self,
        jobs: Vec<(String, J)>,
        deadline: Instant,
    ) -> Vec<Result<Option<RawDocumentBuf>>> {
        let mut users: HashMap<String, Vec<(usize, J)>> = HashMap::new();
        for (place, (id, job)) in jobs.into_iter().enumerate() {
            users.entry(id).or_default().push((place, job));
        }
        let one_user = |jobs: Vec<(usize, J)>| async move {
            let mut answers = Vec::with_capacity(jobs.len());
            let mut failed: Option<Error> = None;
            for (place, job) in jobs {
                let answer = match &failed {
                    Some(failed) => Err(failed.clone().with_effect(Effect::NotApplied)),
                    // What cannot be sent any more need not be made.
                    None if Instant::now() >= deadline => Err(too_late_to_send()),
                    None => self.modify(job(), deadline).await,
                };
                let unknown = answer.as_ref().err().filter(|error| error.effect() == Effect::Unknown);
                failed = failed.or_else(|| unknown.cloned());
                answers.push((place, answer));
            }
            answers
        };
        let mut answers: Vec<_> =
            stream::iter(users.into_values()).map(one_user).buffer_unordered(BATCH_WRITES).concat().await;
        answers.sort_unstable_by_key(|(place, _)| *place);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    /// The documents of these reads by their ids, in chunks; a chunk that failed is that error for each.
    async fn read_all(
        &self,
        reads: &[Read],
        deadline: Instant,
    ) -> Vec<(Result<Option<RawDocumentBuf>>, Shown)> {
        let projection = wanted(reads);
        let shown = if projection.is_some() { Shown::Part } else { Shown::Whole };
        let ids: Vec<_> = reads.iter().map(|read| layout::id(&read.subject)).collect();
        let distinct: BTreeSet<_> = ids.iter().map(String::as_str).collect();
        let distinct: Vec<_> = distinct.into_iter().collect();
        let chunks = chunks(&distinct);
        let find = |chunk: &[&str]| {
            let filter = match chunk {
                [id] => doc! { "_id": *id },
                ids => doc! { "_id": { "$in": ids.to_vec() } },
            };
            self.find(filter, projection.clone(), chunk.len(), deadline)
        };
        let found = join_all(chunks.iter().map(|chunk| find(chunk))).await;
        let mut by_id: HashMap<&str, Result<&RawDocumentBuf>> = HashMap::new();
        for (chunk, found) in chunks.iter().zip(&found) {
            match found {
                Ok(documents) => {
                    let named = documents.iter().filter_map(|one| Some((layout::id_of(one)?, Ok(one))));
                    by_id.extend(named);
                }
                Err(error) => by_id.extend(chunk.iter().map(|id| (*id, Err(error.clone())))),
            }
        }
        let answer = |id: &String| by_id.get(id.as_str()).cloned().transpose().map(Option::<&_>::cloned);
        ids.iter().map(|id| (answer(id), shown)).collect()
    }
}

#[async_trait]
impl AsyncStore for MongodbStore {
    fn info(&self) -> &StoreInfo {
        &self.0.info
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        let at = at(Operation::Read);
        if let Err(error) = self.admit(call) {
            return vec![Err(at(error)); reads.len()];
        }
        let found = self.read_all(reads, call.deadline).await;
        let profile = |(read, (found, shown)): (&Read, (Result<Option<RawDocumentBuf>>, Shown))| {
            profile(&read.keys, found?.as_ref(), shown, call.now)
        };
        reads.iter().zip(found).map(|item| profile(item).map_err(&at)).collect()
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let at = at(Operation::Write);
        if let Err(error) = self.admit(call) {
            let error = at(error);
            return writes.iter().map(|write| vec![Err(error.clone()); write.changes().len()]).collect();
        }
        let (grace, limits) = (self.0.connection.config().grace, self.0.info.limits);
        let plans: Vec<_> = writes.iter().map(|write| pipeline::plan(write, call, grace, limits)).collect();
        let jobs = plans.iter().filter(|plan| plan.is_sent()).map(|plan| (plan.id(), || plan.run()));
        let mut befores = self.modify_all(jobs.collect(), call.deadline).await.into_iter();
        let mut before = || befores.next().unwrap_or_else(|| Err(error::odd_answer()));
        let outcomes = plans.into_iter().map(|plan| plan.finish(&mut before));
        outcomes.map(|outcomes| outcomes.into_iter().map(|outcome| outcome.map_err(&at)).collect()).collect()
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        let at = at(Operation::Erase);
        if let Err(error) = self.admit(call) {
            return vec![Err(at(error)); erases.len()];
        }
        let grace = self.0.connection.config().grace;
        let refused: Vec<_> =
            erases.iter().map(|erase| pipeline::is_in_time(erase, call.now).err()).collect();
        let jobs = erases.iter().zip(&refused).filter(|(_, refused)| refused.is_none());
        let jobs = jobs
            .map(|(erase, _)| (layout::id(&erase.subject), move || pipeline::erasing(erase, call, grace)));
        let mut befores = self.modify_all(jobs.collect(), call.deadline).await.into_iter();
        let mut stood = |erase: &Erase| {
            let before = befores.next().unwrap_or_else(|| Err(error::odd_answer()))?;
            pipeline::stood(erase, before.as_ref(), call.now)
        };
        let answers = erases.iter().zip(refused);
        answers.map(|(erase, refused)| refused.map_or_else(|| stood(erase), Err).map_err(&at)).collect()
    }

    async fn ping(&self, call: Call) -> Result<()> {
        self.ask(call, Operation::Ping).await
    }

    async fn close(&self, call: Call) -> Result<()> {
        self.0.closed.store(true, Ordering::Release);
        // A forked child must not say goodbye over its parent's sockets, and nobody can without a runtime.
        if self.0.process == std::process::id() && tokio::runtime::Handle::try_current().is_ok() {
            self.0.connection.disconnect(call.remaining().min(GOODBYE)).await;
        }
        Ok(())
    }

    async fn diagnose(&self, call: Call) -> Vec<Finding> {
        diagnose::diagnose(self, call).await
    }

    fn scan(&self) -> Option<&dyn AsyncScan> {
        Some(self)
    }
}

impl fmt::Debug for MongodbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongodbStore").finish_non_exhaustive()
    }
}

/// Whatever the URL says: other members may be behind.
pub(crate) fn primary() -> SelectionCriteria {
    SelectionCriteria::ReadPreference(ReadPreference::Primary)
}

/// Whatever the collection says: ids, revisions and values are the same only if their bytes are.
fn bytewise() -> Collation {
    Collation::builder().locale("simple").build()
}

/// How long the server may take: what comes later is of no use to the caller.
fn left(deadline: Instant) -> Duration {
    // Zero would mean without end.
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

/// What these reads want of every document; nothing if one wants everything.
fn wanted(reads: &[Read]) -> Option<Document> {
    let mut fields = BTreeSet::new();
    for read in reads {
        let Keys::Only(keys) = &read.keys else { return None };
        fields.extend(keys.iter().map(layout::field));
    }
    layout::projection(fields.iter().map(String::as_str))
}

/// Which of these are asked for together.
fn chunks<'a>(ids: &'a [&'a str]) -> Vec<&'a [&'a str]> {
    let mut chunks = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (i, id) in ids.iter().enumerate() {
        if i > start && (i - start >= CHUNK_USERS || bytes + id.len() > CHUNK_BYTES) {
            chunks.extend(ids.get(start..i));
            (start, bytes) = (i, 0);
        }
        bytes += id.len();
    }
    chunks.extend(ids.get(start..).filter(|rest| !rest.is_empty()));
    chunks
}

/// A profile from a user's document.
pub(crate) fn profile(
    keys: &Keys,
    document: Option<&RawDocumentBuf>,
    shown: Shown,
    now: UnixMillis,
) -> Result<Profile> {
    let user = layout::decode(document.map(AsRef::as_ref), shown, now)?;
    let (mut entries, mut damaged) = (Vec::new(), Vec::new());
    for (name, slot) in user.slots {
        // A name that no key of ours can have is told apart as well as it can be.
        let (key, is_ours) = match layout::key_of(&name) {
            Some(key) => (key, true),
            None => (Key::new(name).or_else(|_| Key::new("?"))?, false),
        };
        if let Keys::Only(keys) = keys
            && !keys.contains(&key)
        {
            continue;
        }
        match slot {
            Slot::Live(entry) if is_ours => entries.push((key, entry)),
            Slot::Live(_) => {
                damaged.push(Damaged::new(key, stickystore_core::Damage::new("has a name that is no key")));
            }
            Slot::Ended => {}
            Slot::Damaged(damage, _) => damaged.push(Damaged::new(key, damage)),
        }
    }
    let epoch = user.mark.filter(|mark| mark.is_live(now)).map(|mark| mark.epoch);
    Ok(Profile::new(epoch, entries, damaged, now))
}
