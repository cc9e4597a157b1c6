//! What goes together: reads in one line, writes and erases in another.

use std::collections::HashMap;
use std::time::Duration;

use stickystore_core::{
    AsyncStore, Call, Change, Erase, Error, ErrorKind, Keys, Operation, Outcome, Profile, Read, Result,
    Subject, UnixMillis, Write,
};

/// How far the `now` of calls in one batch may lie apart.
pub(super) const SPREAD: Duration = Duration::from_millis(50);

/// What a line is made of.
pub(super) trait Kind: Send + Sync + 'static {
    type Item: Send + Sync + 'static;
    type Answer: Send + 'static;
    /// For errors of our own.
    const OPERATION: Operation;
    /// Whether what is asked for one user has to go one after the other.
    const IN_ORDER: bool;

    /// Whether both can be in one call of the store.
    fn fit(one: &Self::Item, other: &Self::Item) -> bool;

    /// The time under which items go whose callers' times are between these.
    fn moment(earliest: UnixMillis, latest: UnixMillis) -> UnixMillis;

    /// One call of the store: an answer for each item, in order.
    fn send<S: AsyncStore>(
        store: &S,
        call: Call,
        items: Vec<Self::Item>,
    ) -> impl Future<Output = Vec<Self::Answer>> + Send;

    /// What the answer is to a caller with this time of its own.
    fn answer_at(answer: Self::Answer, now: UnixMillis) -> Self::Answer;
}

/// What a caller asks, which becomes an item where it has to wait.
pub(super) trait Ask<K: Kind> {
    fn subject(&self) -> &Subject;

    fn bytes(&self) -> usize;

    /// Whether a `now` that is later by at most [`SPREAD`] would not do for it.
    fn ends_soon(&self, now: UnixMillis) -> bool;

    fn item(&self) -> K::Item;
}

#[derive(Debug)]
pub(super) struct Reading;

impl Kind for Reading {
    type Item = Read;
    type Answer = Result<Profile>;
    const OPERATION: Operation = Operation::Read;
    const IN_ORDER: bool = false;

    fn fit(_: &Read, _: &Read) -> bool {
        true
    }

    /// The earliest sees all that any of them may see.
    fn moment(earliest: UnixMillis, _: UnixMillis) -> UnixMillis {
        earliest
    }

    async fn send<S: AsyncStore>(store: &S, call: Call, reads: Vec<Read>) -> Vec<Result<Profile>> {
        let (reads, places) = distinct(reads);
        let answers = store.read(call, &reads).await;
        if places.len() == reads.len() || answers.len() != reads.len() {
            return answers;
        }
        places.into_iter().filter_map(|place| answers.get(place).cloned()).collect()
    }

    fn answer_at(answer: Result<Profile>, now: UnixMillis) -> Result<Profile> {
        let profile = answer?;
        if profile.entries().all(|(_, entry)| entry.is_live(now)) {
            return Ok(profile);
        }
        let (epoch, damaged) = (profile.epoch(), profile.damaged().to_vec());
        Ok(Profile::new(epoch, profile, damaged, now))
    }
}

impl Ask<Reading> for Read {
    fn subject(&self) -> &Subject {
        &self.subject
    }

    fn bytes(&self) -> usize {
        0
    }

    fn ends_soon(&self, _: UnixMillis) -> bool {
        false
    }

    fn item(&self) -> Read {
        self.clone()
    }
}

/// Whole users once each, and where each read finds its answer.
fn distinct(reads: Vec<Read>) -> (Vec<Read>, Vec<usize>) {
    let mut kept: Vec<Read> = Vec::with_capacity(reads.len());
    let mut places = Vec::with_capacity(reads.len());
    let mut whole = HashMap::with_capacity(reads.len());
    for read in reads {
        let place = match read.keys {
            Keys::All => *whole.entry(read.subject.clone()).or_insert(kept.len()),
            _ => kept.len(),
        };
        if place == kept.len() {
            kept.push(read);
        }
        places.push(place);
    }
    (kept, places)
}

#[derive(Debug)]
pub(super) struct Changing;

/// What changes a user.
#[derive(Debug)]
pub(super) enum Changes {
    Write(Write),
    Erase(Erase),
}

/// The answer to it.
#[derive(Debug)]
pub(super) enum Changed {
    Written(Vec<Result<Outcome>>),
    Erased(Result<bool>),
}

impl Changed {
    pub(super) fn written(self) -> Vec<Result<Outcome>> {
        match self {
            Self::Written(answers) => answers,
            Self::Erased(_) => Vec::new(),
        }
    }

    pub(super) fn erased(self) -> Result<bool> {
        match self {
            Self::Erased(answer) => answer,
            Self::Written(_) => Err(Error::new(ErrorKind::Unexpected, "an erase was answered as a write")),
        }
    }
}

impl Kind for Changing {
    type Item = Changes;
    type Answer = Changed;
    const OPERATION: Operation = Operation::Write;
    const IN_ORDER: bool = true;

    fn fit(one: &Changes, other: &Changes) -> bool {
        matches!(
            (one, other),
            (Changes::Write(_), Changes::Write(_)) | (Changes::Erase(_), Changes::Erase(_))
        )
    }

    /// The latest has come for all of them.
    fn moment(_: UnixMillis, latest: UnixMillis) -> UnixMillis {
        latest
    }

    async fn send<S: AsyncStore>(store: &S, call: Call, items: Vec<Changes>) -> Vec<Changed> {
        let (mut writes, mut erases) = (Vec::with_capacity(items.len()), Vec::new());
        for item in items {
            match item {
                Changes::Write(write) => writes.push(write),
                Changes::Erase(erase) => erases.push(erase),
            }
        }
        // Only items that fit each other are sent together: one of the two is empty.
        if erases.is_empty() {
            store.write(call, &writes).await.into_iter().map(Changed::Written).collect()
        } else {
            store.erase(call, &erases).await.into_iter().map(Changed::Erased).collect()
        }
    }

    fn answer_at(answer: Changed, _: UnixMillis) -> Changed {
        answer
    }
}

impl Ask<Changing> for Write {
    fn subject(&self) -> &Subject {
        Self::subject(self)
    }

    fn bytes(&self) -> usize {
        self.changes().iter().filter_map(Change::entry).map(stickystore_core::Entry::size_bytes).sum()
    }

    fn ends_soon(&self, now: UnixMillis) -> bool {
        let later = now.saturating_add(SPREAD);
        let mut entries = self.changes().iter().filter_map(Change::entry);
        entries.any(|entry| entry.is_live(now) && !entry.is_live(later))
    }

    fn item(&self) -> Changes {
        Changes::Write(self.clone())
    }
}

impl Ask<Changing> for Erase {
    fn subject(&self) -> &Subject {
        &self.subject
    }

    fn bytes(&self) -> usize {
        0
    }

    fn ends_soon(&self, now: UnixMillis) -> bool {
        now < self.mark_until && self.mark_until <= now.saturating_add(SPREAD)
    }

    fn item(&self) -> Changes {
        Changes::Erase(self.clone())
    }
}
