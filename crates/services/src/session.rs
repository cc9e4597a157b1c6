//! Sessions: the users of a request are read at once, SDKs decide on them without I/O, and what they saved is written at
//! once.
//!
//! 1. `begin` reads all users that the request is about, in one call of the store.
//! 2. The [`View`] answers an SDK's hooks, on any thread: `lookup` and `save` (Optimizely), `get` and `set` (VWO),
//!    `assignments` and `save_assignments` (GrowthBook), and `assign`. What is saved is seen by what looks up after it.
//! 3. `commit` writes everything in one call of the store, and reports what became of each entry.
//!
//! Or `decide`, which commits before anything is served: it runs the decision, commits, and where another request was
//! faster it decides once more, with the winner in the view. With it no two requests serve one user differently, though
//! both were the first, as long as all datafiles know all variations; the call of a store that fails is an error before
//! anything is served.
//!
//! **What a save may replace** is what its caller provably read and changed, as everywhere; every change is sent under the
//! revision that the session read, and the store compares it. Where a record of VWO's was changed meanwhile, its goals
//! are added to what stands there. Only what was read is ever taken over by
//! [`Unproven::TakeNew`](crate::Unproven::TakeNew).
//!
//! **A winner that a report names** is what the session knows of: what the store told at the commit, or what was read when
//! the session began, where a save was kept without being sent (a war, a missing proof).
//!
//! **A user who could not be read** fails no session: looking it up answers the error (or nothing, by
//! [`Settings::with_failed_lookup`]), and what is saved of it all the same is only added.
//!
//! **Counted** (feature `metrics`, the counters of [`SaveReport`](crate::SaveReport)) is what a commit reports, when it does, by
//! the service whose save it was, or `assign`: what is saved in a view and not committed is not. Of a decision that was made
//! once more, only what the last pass served counts as served.
//!
//! **A session that is dropped with changes** that no commit has reported of says so: with the feature `tracing` by an event
//! on level WARN (target `stickystore`, fields `store`, `users`, `changes`), with the feature `metrics` by the counter
//! `stickystore_uncommitted_changes_total` (label `store`). Who means it says [`Session::discard`].

use std::collections::BTreeMap;

use stickystore_core::{
    AsyncStore, AsyncStoreExt as _, Call, Profile, Read, Result, Store, StoreInfo, Subject, UnixMillis,
    UserId,
};

use crate::settings::Settings;

mod commit;
mod dropped;
mod handed;
#[cfg(feature = "metrics")]
mod numbers;
#[cfg(not(feature = "metrics"))]
#[path = "session/no_numbers.rs"]
mod numbers;
mod overlay;
mod replay;
mod report;
mod retake;
mod said;
mod sent;
mod view;

use commit::{Commit, Step};
use overlay::{Overlay, User};
pub use report::{CommitReport, Decided, NotKept};
pub use view::View;

/// A session over a blocking store.
///
/// ```
/// use stickystore_core::{Namespace, memory::MemoryStore};
/// use stickystore_services::{Settings, session::Session};
///
/// let (store, settings) = (MemoryStore::new(), Settings::new(Namespace::new("shop")?));
/// let session = Session::begin(store, settings, ["ann"])?;
///
/// // The SDK decides: its hooks are given the view.
/// let mut profile = session.view().lookup("ann")?;
/// profile.set_variation("e1", "red");
/// session.view().save(&profile)?;
///
/// let report = session.commit();
/// assert_eq!(report.to_json(), r#"{"users":{"ann":{"entries":{"e1":{"outcome":"inserted"}}}}}"#);
/// # Ok::<(), stickystore_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Session<S> {
    store: S,
    open: Open,
}

impl<S: Store> Session<S> {
    /// Reads these users, each once, in one call.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](stickystore_core::ErrorKind::Invalid) if one is no user id. One that could not be read is no
    /// error here: see [`View::failed`].
    pub fn begin<U: AsRef<str>>(
        store: S,
        settings: Settings,
        users: impl IntoIterator<Item = U>,
    ) -> Result<Self> {
        let begin = Begin::new(settings, users)?;
        let profiles = if begin.reads.is_empty() { Vec::new() } else { store.read(begin.call, &begin.reads) };
        let open = begin.answer(store.info(), profiles);
        Ok(Self { store, open })
    }

    /// What an SDK's hooks are given. It may be cloned, and used from any thread, until the session ends.
    pub fn view(&self) -> &View {
        &self.open.0
    }

    /// Writes what was saved, all of it in one call, and says what became of each entry.
    ///
    /// What failed may be committed again, by the same session: an attempt that was applied unnoticed is known again.
    pub fn commit(&self) -> CommitReport {
        let report = self.commit_pass();
        report.count(true);
        report
    }

    fn commit_pass(&self) -> CommitReport {
        let mut commit = self.open.commit();
        loop {
            match commit.next() {
                Step::Read(call, reads) => commit.was_read(self.store.read(call, &reads)),
                Step::Write(call, writes) => commit.was_written(self.store.write(call, &writes)),
                Step::Done => return self.open.finish(commit),
            }
        }
    }

    /// Decides, and commits before the decision is served.
    ///
    /// Where another request won, what it wrote is in the view, and `decide` is called once more; what it decides then is
    /// committed too and is the answer, even if it was not kept again: [`Decided::report`] says so. What the first pass
    /// saved is written unless another won, so `decide` should give up nothing between its passes.
    ///
    /// # Errors
    /// [`NotKept`], with what was decided in it, if an entry failed, or if another request won and what it wrote could not be
    /// read: the next request may be answered differently.
    pub fn decide<T>(
        &self,
        mut decide: impl FnMut(&View) -> T,
    ) -> std::result::Result<Decided<T>, Box<NotKept<T>>> {
        self.open.new_pass();
        let value = decide(self.view());
        let first = match judge_first(value, self.commit_pass()) {
            Ok(judged) => return judged,
            Err(first) => first,
        };
        self.open.new_pass();
        let value = decide(self.view());
        judge(value, self.commit_pass(), Some(first))
    }

    /// Ends the session without its changes, and without saying so.
    pub fn discard(self) {
        self.open.discard();
    }
}

/// A session over an async store; the same as [`Session`]. Its view is the same too, and blocks nothing.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use stickystore_core::{Immediate, Namespace, memory::MemoryStore};
/// use stickystore_services::{Settings, session::AsyncSession};
///
/// let (store, settings) = (Immediate::new(MemoryStore::new()), Settings::new(Namespace::new("shop")?));
/// let session = AsyncSession::begin(store, settings, ["ann"]).await?;
/// let decided = session.decide(|view| view.assign("ann", "button", || "red")).await?;
/// assert_eq!(decided.value?.text().as_deref(), Some("red"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AsyncSession<S> {
    store: S,
    open: Open,
}

impl<S: AsyncStore> AsyncSession<S> {
    /// See [`Session::begin`].
    ///
    /// # Errors
    /// As there.
    pub async fn begin<U: AsRef<str>>(
        store: S,
        settings: Settings,
        users: impl IntoIterator<Item = U>,
    ) -> Result<Self> {
        let begin = Begin::new(settings, users)?;
        let profiles =
            if begin.reads.is_empty() { Vec::new() } else { store.read_many(begin.call, &begin.reads).await };
        let open = begin.answer(store.info(), profiles);
        Ok(Self { store, open })
    }

    /// See [`Session::view`].
    pub fn view(&self) -> &View {
        &self.open.0
    }

    /// See [`Session::commit`]. If its future is dropped, what was saved is still there to be committed.
    pub async fn commit(&self) -> CommitReport {
        let report = self.commit_pass().await;
        report.count(true);
        report
    }

    async fn commit_pass(&self) -> CommitReport {
        let mut commit = self.open.commit();
        loop {
            match commit.next() {
                Step::Read(call, reads) => commit.was_read(self.store.read_many(call, &reads).await),
                Step::Write(call, writes) => commit.was_written(self.store.write(call, &writes).await),
                Step::Done => return self.open.finish(commit),
            }
        }
    }

    /// See [`Session::decide`].
    ///
    /// # Errors
    /// As there.
    pub async fn decide<T>(
        &self,
        mut decide: impl FnMut(&View) -> T,
    ) -> std::result::Result<Decided<T>, Box<NotKept<T>>> {
        self.open.new_pass();
        let value = decide(self.view());
        let first = match judge_first(value, self.commit_pass().await) {
            Ok(judged) => return judged,
            Err(first) => first,
        };
        self.open.new_pass();
        let value = decide(self.view());
        judge(value, self.commit_pass().await, Some(first))
    }

    /// See [`Session::discard`].
    pub fn discard(self) {
        self.open.discard();
    }
}

/// What both faces do around the read of a `begin`.
struct Begin {
    call: Call,
    settings: Settings,
    reads: Vec<Read>,
}

impl Begin {
    fn new<U: AsRef<str>>(settings: Settings, users: impl IntoIterator<Item = U>) -> Result<Self> {
        let subjects: Result<Vec<Subject>> =
            users.into_iter().map(|user| settings.subject(user.as_ref())).collect();
        let mut subjects = subjects?;
        subjects.sort_unstable();
        subjects.dedup();
        let reads = subjects.into_iter().map(Read::all).collect();
        Ok(Self { call: settings.call(), settings, reads })
    }

    fn answer(self, info: &StoreInfo, profiles: Vec<Result<Profile>>) -> Open {
        let count = self.reads.len();
        let profiles = if profiles.len() == count { profiles } else { vec![Err(view::miscounted()); count] };
        let user = |(read, profile): (Read, _)| (read.subject.user.clone(), User::new(read.subject, profile));
        let users: BTreeMap<UserId, User> = self.reads.into_iter().zip(profiles).map(user).collect();
        let begun: UnixMillis = self.call.now;
        Open(View::new(Overlay::new(info.clone(), users), self.settings, begun))
    }
}

/// A session that has not ended: dropped, it says what was not committed.
#[derive(Debug)]
struct Open(View);

impl Open {
    fn commit(&self) -> Commit {
        Commit::new(&mut self.0.overlay().state(), self.0.settings())
    }

    fn finish(&self, commit: Commit) -> CommitReport {
        commit.finish(&mut self.0.overlay().state())
    }

    /// What was handed out before is no longer what those hold who decide.
    fn new_pass(&self) {
        self.0.overlay().state().users.values_mut().for_each(|user| user.handed = handed::Handed::default());
    }

    fn discard(&self) {
        for user in self.0.overlay().state().users.values_mut() {
            user.pending.clear();
            user.records.clear();
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut state = self.0.overlay().state();
        state.ended = true;
        let changes = state.users.values().map(User::uncommitted);
        let (users, changes) =
            changes.filter(|changes| *changes > 0).fold((0, 0), |(n, all), one| (n + 1, all + one));
        drop(state);
        if changes > 0 {
            dropped::tell(self.0.info().scheme, users, changes);
        }
    }
}

/// What a decision comes to whose first pass is committed, with its own report where it is decided once more.
fn judge_first<T>(value: T, report: CommitReport) -> std::result::Result<Judged<T>, CommitReport> {
    if !report.has_learned() {
        return Ok(judge(value, report, None));
    }
    report.count(false);
    // It would be decided without what won.
    match report.is_unread().cloned() {
        Some(error) => Ok(Err(Box::new(NotKept { value, error, report, first: None }))),
        None => Err(report),
    }
}

type Judged<T> = std::result::Result<Decided<T>, Box<NotKept<T>>>;

/// What a decision comes to whose last pass is committed.
fn judge<T>(value: T, report: CommitReport, first: Option<CommitReport>) -> Judged<T> {
    report.count(true);
    match report.error().cloned() {
        Some(error) => Err(Box::new(NotKept { value, error, report, first })),
        None => Ok(Decided { value, report, first }),
    }
}
