//! Reads of users who are not held: each by one read of the store, whoever asks meanwhile.

use std::sync::Arc;

use futures::future::join_all;
use stickystore_core::{
    AsyncStore, Call, Error, ErrorKind, Keys, Operation, Profile, Read, Result, UnixMillis,
};

use super::flight::{Answers, Reading, reading};
use super::memory::Way;
use super::{Inner, is_within, numbers};

/// How long after its own deadline a caller waits for a read of somebody else's, who may have given it less time or more.
const OVERRUN: std::time::Duration = std::time::Duration::from_millis(20);

/// Reads that are answered one after the other.
pub(super) struct Pending<'a, S: AsyncStore> {
    inner: &'a Arc<Inner<S>>,
    call: Call,
    reads: &'a [Read],
    answers: Vec<Option<Result<Profile>>>,
    /// What is left after a read of somebody else's that is no answer to this caller.
    is_alone: bool,
}

/// Where an answer comes from.
struct Source {
    /// Which of the reads it answers.
    read: usize,
    /// Which of the round's readings.
    reading: usize,
    place: usize,
    /// As of when, where it is somebody else's.
    joined: Option<UnixMillis>,
}

impl<'a, S: AsyncStore> Pending<'a, S> {
    /// These reads, with the answers that are there already.
    pub(super) fn new(
        inner: &'a Arc<Inner<S>>,
        call: Call,
        reads: &'a [Read],
        answers: Vec<Option<Result<Profile>>>,
    ) -> Self {
        Self { inner, call, reads, answers, is_alone: false }
    }

    /// All answers.
    pub(super) async fn answers(mut self) -> Vec<Result<Profile>> {
        loop {
            let missing: Vec<_> = self.missing().collect();
            if missing.is_empty() {
                break;
            }
            let alone = if self.is_alone { missing } else { self.together(&missing).await };
            self.alone(&alone).await;
        }
        let answers = self.answers.into_iter().flatten();
        answers.zip(self.reads).map(|(answer, read)| self.inner.or_stale(self.call, read, answer)).collect()
    }

    fn missing(&self) -> impl Iterator<Item = usize> {
        let answers = self.answers.iter().enumerate();
        answers.filter(|(_, answer)| answer.is_none()).map(|(at, _)| at)
    }

    /// Reads these with others who read them; gives those that cannot be.
    async fn together(&mut self, missing: &[usize]) -> Vec<usize> {
        let (inner, call) = (self.inner, self.call);
        let subjects = missing.iter().filter_map(|at| self.reads.get(*at)).map(|read| &read.subject);
        let is_fresh = |held: &super::Held| inner.is_fresh(held, call.now);
        let is_too_old = |of| of != call.now && !is_within(of, call.now, inner.age_millis);
        let ways = inner.memory.board(call.now, subjects, is_fresh, is_too_old, |ticket, reads| {
            reading(Arc::clone(inner), ticket, call, reads)
        });
        let (mut readings, mut sources, mut alone) = (Vec::<Reading>::new(), Vec::new(), Vec::new());
        let mut on = |reading: Reading, read, place, joined| {
            let known = readings.iter().position(|known| known.ptr_eq(&reading));
            let at = known.unwrap_or_else(|| {
                readings.push(reading);
                readings.len() - 1
            });
            sources.push(Source { read, reading: at, place, joined });
        };
        for (&at, way) in missing.iter().zip(ways) {
            match way {
                Way::Held(held) => self.answer(at, Ok(held.profile(call.now))),
                Way::Lead(reading, place) => on(reading, at, place, None),
                Way::Join(reading, place, of) => on(reading, at, place, Some(of)),
                Way::Alone => alone.push(at),
            }
        }
        numbers::missed(inner.info.scheme, missing.len());
        let is_joined = sources.iter().any(|source| source.joined.is_some());
        let landed = self.landed(readings, is_joined).await;
        for source in sources {
            match landed
                .as_ref()
                .map(|landed| landed.get(source.reading).and_then(|all| all.get(source.place)))
            {
                Some(Some(answer)) => match self.suits(answer, source.joined) {
                    Some(answer) => self.answer(source.read, answer),
                    None => self.is_alone = true,
                },
                Some(None) => {
                    self.answer(source.read, Err(self.fail(ErrorKind::Unexpected, "a read was lost")));
                }
                None => {
                    let context = "the deadline passed while another call read the same user";
                    self.answer(source.read, Err(self.fail(ErrorKind::Timeout, context)));
                }
            }
        }
        alone
    }

    /// Drives all of these; nothing if the deadline passes before those of others are there.
    async fn landed(&self, readings: Vec<Reading>, is_joined: bool) -> Option<Vec<Answers>> {
        let landed = join_all(readings);
        if !is_joined {
            return Some(landed.await);
        }
        tokio::time::timeout_at((self.call.deadline + OVERRUN).into(), landed).await.ok()
    }

    /// An answer for this caller from somebody's read. None if it has to read by itself: the other had less time, or asked at
    /// another time and met an erase mark, which may have ended since, or nothing, which is not believed for so long.
    fn suits(&self, answer: &Result<Profile>, joined: Option<UnixMillis>) -> Option<Result<Profile>> {
        let Some(of) = joined else {
            return Some(answer.clone());
        };
        match answer {
            Ok(profile) if of == self.call.now => Some(Ok(profile.clone())),
            Ok(profile) if profile.epoch().is_some() => None,
            Ok(profile) if is_nothing(profile) && !is_within(of, self.call.now, self.inner.absent_millis) => {
                None
            }
            Ok(profile) => Some(Ok(narrowed(profile.clone(), &Keys::All, self.call.now))),
            Err(error) if error.kind() == ErrorKind::Timeout && !self.call.remaining().is_zero() => None,
            Err(error) => Some(Err(error.clone())),
        }
    }

    /// Reads these by themselves, and keeps nothing of it.
    async fn alone(&mut self, alone: &[usize]) {
        if alone.is_empty() {
            return;
        }
        let reads: Vec<_> = alone.iter().filter_map(|at| self.reads.get(*at)).cloned().collect();
        let mut answers = self.inner.store.read(self.call, &reads).await.into_iter();
        for &at in alone {
            let answer = answers.next().unwrap_or_else(|| {
                Err(self.fail(ErrorKind::Unexpected, "the store gave fewer answers than was asked for"))
            });
            self.answer(at, answer);
        }
    }

    fn answer(&mut self, at: usize, answer: Result<Profile>) {
        let (Some(slot), Some(read)) = (self.answers.get_mut(at), self.reads.get(at)) else {
            return;
        };
        *slot = Some(answer.map(|profile| match &read.keys {
            Keys::All => profile,
            keys => narrowed(profile, keys, self.call.now),
        }));
    }

    fn fail(&self, kind: ErrorKind, context: &str) -> Error {
        Error::new(kind, context).with_origin(self.inner.info.scheme, Operation::Read)
    }
}

fn is_nothing(profile: &Profile) -> bool {
    profile.is_empty() && profile.damaged().is_empty()
}

/// Only these keys of a profile, and only what is live.
pub(super) fn narrowed(profile: Profile, keys: &Keys, now: UnixMillis) -> Profile {
    let wanted = |key: &_| match keys {
        Keys::Only(only) => only.contains(key),
        _ => true,
    };
    let damaged = profile.damaged().iter().filter(|damaged| wanted(&damaged.key)).cloned().collect();
    let epoch = profile.epoch();
    Profile::new(epoch, profile.into_iter().filter(|(key, _)| wanted(key)), damaged, now)
}
