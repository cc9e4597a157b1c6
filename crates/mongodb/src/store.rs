//! The store: calls in, operations out, documents back.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fmt, slice};

use futures::stream::{self, StreamExt as _};
use mongodb::bson::{Document, RawDocument, RawDocumentBuf, doc};
use mongodb::options::{FindOneAndUpdateOptions, ReturnDocument, WriteConcern};
use stickystore_core::{
    AsyncScan, AsyncStore, Call, Damaged, Effect, Erase, Error, ErrorKind, Eviction, Finding, Key, Keys,
    Loss, Operation, Outcome, Profile, Read, Result, Scope, Sharing, StoreInfo, Subject, UnixMillis, Write,
    async_trait,
};
use stickystore_transport::too_late_to_send;

use crate::config::Config;
use crate::connection::{Connection, Live, is_repeated, starts_over};
use crate::error::{self, SCHEME, at};
use crate::layout::{self, Shown, Slot};
use crate::pipeline::{self, Run};
use crate::question::{Found, Of, Question, bytewise, left, primary};
use crate::{diagnose, schema};

/// The most users that one question is about: enough that round trips do not count, few enough that an answer is never far
/// away.
const CHUNK_USERS: usize = 128;

/// The most bytes of ids in one question, beyond the first one.
const CHUNK_BYTES: usize = 1 << 20;

/// How many users of one batch are written at the same time: a batch leaves connections for others.
const BATCH_WRITES: usize = 16;

/// How many of these questions are asked at the same time, for the same reason.
const BATCH_READS: usize = 8;

/// How often an upsert is sent again that another one overtook: the second time it finds the document.
const OVERTAKEN_AT_MOST: usize = 10;

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
            let ping = |live: Arc<Live>| async move {
                live.database().run_command(doc! { "ping": 1 }).selection_criteria(primary()).await
            };
            self.0.connection.run(call.deadline, ping).await
        };
        asked.await.map(drop).map_err(at(operation))
    }

    /// What the collection answers to this.
    pub(crate) async fn find(&self, question: Question, deadline: Instant) -> Result<Found> {
        let find = move |live: Arc<Live>| async move { live.settled(|| question.ask(&live, deadline)).await };
        self.0.connection.run(deadline, find).await
    }

    /// Runs a pipeline, and again if an upsert was overtaken: that one has certainly done nothing. The document as it was
    /// before.
    async fn modify(&self, job: impl Fn() -> Run, deadline: Instant) -> Result<Option<RawDocumentBuf>> {
        for _ in 0..OVERTAKEN_AT_MOST {
            let Run { id, pipeline, projection, creates } = job();
            let modify = move |live: Arc<Live>| async move {
                let left = left(deadline);
                let mut concern = WriteConcern::majority();
                concern.w_timeout = Some(left);
                let mut options = FindOneAndUpdateOptions::default();
                options.projection = projection;
                options.upsert = Some(creates);
                options.return_document = Some(ReturnDocument::Before);
                options.collation = Some(bytewise());
                options.max_time = Some(left);
                options.write_concern = Some(concern);
                let modify = live.collection().find_one_and_update(doc! { "_id": id }, pipeline);
                match modify.with_options(options).await {
                    Ok(before) => Ok(Some(before)),
                    Err(error) if error::is_overtaken(&error) && !is_repeated() => {
                        starts_over();
                        Ok(None)
                    }
                    Err(error) => Err(error),
                }
            };
            if let Some(before) = self.0.connection.run(deadline, modify).await? {
                return Ok(before);
            }
        }
        Err(error::never_found())
    }

    /// Does these jobs, each of the user with this id; an answer for each. Those of one user one after the other, and none
    /// any more after one whose outcome is unknown: it could still happen, and then would be the last.
    async fn modify_all<J: Fn() -> Run + Send + Sync>(
        &self,
        jobs: Vec<(String, J)>,
        deadline: Instant,
    ) -> Vec<Result<Option<RawDocumentBuf>>> {
        if let [(_, job)] = jobs.as_slice() {
            return vec![self.modify(job, deadline).await];
        }
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
                    None => self.modify(job, deadline).await,
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

    /// The profile of one user.
    async fn read_one(&self, call: Call, read: &Read) -> Result<Profile> {
        let (projection, shown) = wanted(slice::from_ref(read));
        let question = Question { of: Of::One(layout::id(&read.subject)), projection };
        let found = self.find(question, call.deadline).await?;
        profile(&read.keys, found.first()?, shown, call.now)
    }

    /// The profiles of these users, who are asked for in chunks; a chunk that failed is that error for each.
    async fn read_many(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        let (projection, shown) = wanted(reads);
        let ids: Vec<_> = reads.iter().map(|read| layout::id(&read.subject)).collect();
        let mut distinct: Vec<_> = ids.iter().map(String::as_str).collect();
        distinct.sort_unstable();
        distinct.dedup();
        let chunks = chunks(&distinct);
        let find = |chunk: &[&str]| {
            let these = chunk.iter().copied().map(str::to_owned).collect();
            let question = Question { of: Of::These(these), projection: projection.clone() };
            self.find(question, call.deadline)
        };
        let questions: Vec<_> = chunks.iter().map(|chunk| find(chunk)).collect();
        let found: Vec<_> = stream::iter(questions).buffered(BATCH_READS).collect().await;
        // In the order of the ids.
        let mut answers: Vec<Result<Option<&RawDocument>>> = Vec::with_capacity(distinct.len());
        for (chunk, found) in chunks.iter().zip(&found) {
            match found.as_ref().map_err(Error::clone).and_then(Found::documents) {
                Ok(documents) => {
                    let first = answers.len();
                    answers.resize(first + chunk.len(), Ok(None));
                    for document in documents {
                        let place = layout::id_of(document).and_then(|id| chunk.binary_search(&id).ok());
                        if let Some(answer) = place.and_then(|place| answers.get_mut(first + place)) {
                            *answer = Ok(Some(document));
                        }
                    }
                }
                Err(error) => answers.extend(chunk.iter().map(|_| Err(error.clone()))),
            }
        }
        let answer = |id: &String| {
            let place = distinct.binary_search(&id.as_str()).ok();
            place.and_then(|place| answers.get(place)).cloned().unwrap_or_else(|| Err(error::odd_answer()))
        };
        let profile = |(read, id): (&Read, &String)| profile(&read.keys, answer(id)?, shown, call.now);
        reads.iter().zip(&ids).map(profile).collect()
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
        let profiles = match reads {
            [read] => vec![self.read_one(call, read).await],
            // By itself, so that a read of one user takes no more room than it needs.
            _ => Box::pin(self.read_many(call, reads)).await,
        };
        profiles.into_iter().map(|profile| profile.map_err(&at)).collect()
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
            pipeline::stood(erase, before.as_deref(), call.now)
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

/// What these reads want of every document, and what of it the answers show then.
fn wanted(reads: &[Read]) -> (Option<Document>, Shown) {
    let projection = projection(reads);
    let shown = if projection.is_some() { Shown::Part } else { Shown::Whole };
    (projection, shown)
}

/// Nothing if one wants everything.
fn projection(reads: &[Read]) -> Option<Document> {
    let mut fields = BTreeSet::new();
    for read in reads {
        let Keys::Only(keys) = &read.keys else { return None };
        fields.extend(keys.iter().map(layout::field));
    }
    layout::projection(fields.iter().map(AsRef::as_ref))
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
    document: Option<&RawDocument>,
    shown: Shown,
    now: UnixMillis,
) -> Result<Profile> {
    let user = layout::decode(document, shown, now)?;
    let (mut entries, mut damaged) = (Vec::with_capacity(user.slots.len()), Vec::new());
    for (name, slot) in user.slots {
        // A name that no key of ours can have is told apart as well as it can be.
        let (key, is_ours) = match layout::key_of(name) {
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
