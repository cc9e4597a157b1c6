//! `assign`, for who has no SDK: what a user has under a key, or a value that is computed and kept.
//!
//! What is answered is what the store keeps, whoever wrote it. One read, and for a new user one insert.

use std::time::Duration;

use stickystore_core::{
    AsyncStore, AsyncStoreExt as _, Call, Change, Entry, EpochCheck, Error, ErrorKind, Expiry, Key, Keys,
    Outcome, Profile, Read, Result, Store, StoreExt as _, Subject, Value, ValueHash, Write,
};

use crate::settings::{Retired, Settings};

mod value;

pub use value::IntoValue;

/// What a user is assigned: the one that the store keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Assigned {
    /// What stands in the store.
    pub entry: Entry,
    /// Whether it stood there before.
    pub how: How,
}

/// How an entry came to be assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum How {
    /// By this call.
    New,
    /// By an earlier one, or by one that was faster.
    Existing,
}

impl Assigned {
    /// The variation, if it was assigned as text.
    pub fn text(&self) -> Option<std::borrow::Cow<'_, str>> {
        self.entry.value.as_string()
    }
}

/// What the user has under this key; if that is nothing, `value` is asked once and what it gives is kept.
///
/// ```
/// use stickystore_core::{Namespace, memory::MemoryStore};
/// use stickystore_services::{Settings, assign::assign};
///
/// let (store, settings) = (MemoryStore::new(), Settings::new(Namespace::new("shop")?));
/// assign(&store, &settings, "ann", "button", || "red")?;
/// let later = assign(&store, &settings, "ann", "button", || "blue")?;
/// assert_eq!(later.text().as_deref(), Some("red"));
/// # Ok::<(), stickystore_core::Error>(())
/// ```
///
/// # Errors
/// What the store answers; [`ErrorKind::Corrupt`] if what stands there is damaged; [`ErrorKind::Timeout`] if the user
/// was being erased until the deadline. If its effect is unknown, the value may have been kept: assign again.
pub fn assign<V: IntoValue>(
    store: &(impl Store + ?Sized),
    settings: &Settings,
    user: &str,
    key: &str,
    value: impl FnOnce() -> V,
) -> Result<Assigned> {
    let mut assign = Assign::new(settings, user, key, value)?;
    loop {
        match assign.next_step()? {
            Step::Read(call, read) => assign.was_read(store.read_one(call, read)),
            Step::Write(call, write) => assign.was_written(store.write_one(call, write)),
            Step::Done(assigned) => return assigned,
        }
    }
}

/// The same as [`assign`](fn@assign), async.
///
/// # Errors
/// As there.
pub async fn assign_async<V: IntoValue>(
    store: &(impl AsyncStore + ?Sized),
    settings: &Settings,
    user: &str,
    key: &str,
    value: impl FnOnce() -> V,
) -> Result<Assigned> {
    let mut assign = Assign::new(settings, user, key, value)?;
    loop {
        match assign.next_step()? {
            Step::Read(call, read) => assign.was_read(store.read_one(call, read).await),
            Step::Write(call, write) => assign.was_written(store.write_one(call, write).await),
            Step::Done(assigned) => return assigned,
        }
    }
}

/// One [`assign`](fn@assign) under way, without its I/O: for who does the steps in a way of their own, as from a queue.
///
/// [`next_step`](Self::next_step) says what is wanted of the store; [`was_read`](Self::was_read) and
/// [`was_written`](Self::was_written) take its answer.
#[derive(Debug)]
pub struct Assign<F> {
    subject: Subject,
    key: Key,
    call: Call,
    expiry: Expiry,
    retired: Retired,
    replace_back_after: Duration,
    /// Asked at most once.
    value: Option<F>,
    /// The same on every attempt, so that one that was applied unnoticed is known again.
    entry: Option<Entry>,
    state: State,
}

#[derive(Debug)]
enum State {
    Read,
    Insert(EpochCheck),
    /// What stands there is retired: this.
    Replace(Box<Entry>),
    Done(Result<Assigned>),
}

/// What an [`Assign`] needs next.
#[derive(Debug)]
#[non_exhaustive]
pub enum Step {
    /// This read.
    Read(Call, Read),
    /// This write, of one change.
    Write(Call, Write),
    /// Nothing: it has come to this.
    Done(Result<Assigned>),
}

impl<F: FnOnce() -> V, V: IntoValue> Assign<F> {
    /// It begins with a read.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the user or the key is no identifier, or the time to live leads too far.
    pub fn new(settings: &Settings, user: &str, key: &str, value: F) -> Result<Self> {
        let call = settings.call();
        Ok(Self {
            subject: settings.subject(user)?,
            key: Key::new(key)?,
            call,
            expiry: settings.expiry(call.now)?,
            retired: settings.retired().clone(),
            replace_back_after: settings.replace_back_after(),
            value: Some(value),
            entry: None,
            state: State::Read,
        })
    }

    /// What it needs now.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn next_step(&mut self) -> Result<Step> {
        match std::mem::replace(&mut self.state, State::Read) {
            State::Read => {
                Ok(Step::Read(self.call, Read::some(self.subject.clone(), Keys::only([self.key.clone()])?)))
            }
            State::Insert(epoch) => {
                let changes = self.entry.clone().map(|entry| Change::Insert(self.key.clone(), entry));
                Ok(Step::Write(
                    self.call,
                    Write::new(self.subject.clone(), epoch, changes.into_iter().collect())?,
                ))
            }
            State::Replace(stands) => {
                let new = self.entry.clone().and_then(|new| self.replacing(&stands, new));
                let Some(new) = new else {
                    return Ok(Step::Done(Ok(Assigned { entry: *stands, how: How::Existing })));
                };
                let change = Change::Replace(self.key.clone(), stands.revision, new);
                // What it replaces stands there, whatever was erased before.
                Ok(Step::Write(
                    self.call,
                    Write::new(self.subject.clone(), EpochCheck::Ignore, vec![change])?,
                ))
            }
            State::Done(done) => Ok(Step::Done(done)),
        }
    }

    /// Takes the answer to its read.
    pub fn was_read(&mut self, profile: Result<Profile>) {
        self.state = match profile {
            // A layer below may have sent a write twice: it can come late, once what it met has gone.
            Err(error) if self.entry.is_some() => {
                State::Done(Err(error.with_effect(stickystore_core::Effect::Unknown)))
            }
            Err(error) => State::Done(Err(error)),
            Ok(profile) => match (profile.damaged().first(), profile.get(self.key.as_str())) {
                (Some(damaged), _) => State::Done(Err(Error::new(
                    ErrorKind::Corrupt,
                    format!("the stored entry {}; it stays until it is put over or removed", damaged.damage),
                ))),
                (None, Some(entry)) => {
                    let is_ours = self.entry.as_ref().is_some_and(|ours| ours.revision == entry.revision);
                    let how = if is_ours { How::New } else { How::Existing };
                    if !is_ours && self.retired.has_value(self.key.as_str(), &entry.value) {
                        self.compute();
                        State::Replace(Box::new(entry.clone()))
                    } else {
                        State::Done(Ok(Assigned { entry: entry.clone(), how }))
                    }
                }
                (None, None) => {
                    self.compute();
                    State::Insert(EpochCheck::Is(profile.epoch()))
                }
            },
        };
    }

    /// Takes the answer to its write.
    pub fn was_written(&mut self, answers: Vec<Result<Outcome>>) {
        let answer = answers.into_iter().next();
        let has_time = !self.call.remaining().is_zero();
        self.state = match (answer, self.entry.clone()) {
            (Some(Ok(Outcome::Inserted | Outcome::Replaced)), Some(entry)) => {
                State::Done(Ok(Assigned { entry, how: How::New }))
            }
            (Some(Ok(Outcome::Kept(winner))), _)
                if has_time && self.retired.has_value(self.key.as_str(), &winner.value) =>
            {
                State::Read
            }
            // What was retired has gone meanwhile.
            (Some(Ok(Outcome::Gone)), _) if has_time => State::Read,
            (Some(Ok(Outcome::Gone)), _) => {
                let context = "others kept writing to the entry until the deadline; assign again";
                let error = Error::new(ErrorKind::Timeout, context);
                State::Done(Err(error.with_effect(stickystore_core::Effect::Unknown)))
            }
            (Some(Ok(Outcome::Kept(winner))), _) => {
                State::Done(Ok(Assigned { entry: winner, how: How::Existing }))
            }
            // Erased since it was read, or the mark has just ended: what is true now decides.
            (Some(Ok(Outcome::Erased)), _) if has_time => State::Read,
            (Some(Ok(Outcome::Erased)), _) => {
                let context = "the user is being erased; nothing was assigned by the deadline";
                let error = Error::new(ErrorKind::Timeout, context);
                State::Done(Err(error.with_effect(stickystore_core::Effect::NotApplied)))
            }
            (Some(Ok(Outcome::Expired)), _) => {
                let context = "the entry expired before it could be written; give it a longer time to live";
                let error = Error::new(ErrorKind::Timeout, context);
                State::Done(Err(error.with_effect(stickystore_core::Effect::NotApplied)))
            }
            (Some(Err(error)), _) => State::Done(Err(error)),
            (Some(Ok(_)) | None, _) => {
                let context = "the store gave an answer that an insert does not have";
                State::Done(Err(Error::new(ErrorKind::Unexpected, context)))
            }
        };
    }

    /// Asks for the value, once.
    fn compute(&mut self) {
        if self.entry.is_none() {
            self.entry = self.value.take().map(|value| Entry::new(value().into_value(), self.expiry));
        }
    }

    /// Our entry in the place of a retired one; nothing if it is the same, or if it would bring back what was replaced a
    /// short while ago.
    fn replacing(&mut self, stands: &Entry, new: Entry) -> Option<Entry> {
        if stands.value == new.value {
            return None;
        }
        let hash = |value: &Value| ValueHash::of(&value.as_string().unwrap_or(value.as_str().into()));
        let (old, next) = (hash(&stands.value), hash(&new.value));
        let was = stands.was.after_replacing(old, next, self.call.now, self.replace_back_after)?;
        let new = new.with_was(was).with_unknown(stands.unknown.clone());
        self.entry = Some(new.clone());
        Some(new)
    }
}
