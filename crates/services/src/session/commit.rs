//! The commit: one write for all users of a session, and what is reported of each entry. No I/O.
//!
//! Every change goes under the revision that was read. Where somebody else was faster, what stands there is taken into the
//! view; VWO's records, whose goals are to be added to whatever stands there, are set again as their service does it. What
//! is not known then is read again, for who decides once more.

use stickystore_core::{
    Call, Change, Effect, Entry, EpochCheck, Error, ErrorKind, Key, MAX_CHANGES, Outcome, Profile, Read,
    Result, Subject, Write,
};

use super::overlay::{Base, Pending, Shape, State};
use super::replay::Replay;
use super::report::CommitReport;
use super::said::Said;
use super::view::miscounted;
use crate::optimizely;
use crate::report::{Saved, Why};
use crate::settings::{Settings, Unproven};

/// A commit on its way.
pub(super) struct Commit {
    call: Call,
    unproven: Unproven,
    sent: Vec<Sent>,
    replays: Vec<Replay>,
    /// What is asked or told of which replay.
    waiting: Vec<usize>,
    /// Users of whom it is not known what stands.
    unknown: Vec<Subject>,
    read: Vec<Result<Profile>>,
    learned: bool,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Sending,
    Replaying,
    Refreshing,
    Done,
}

/// A change that is sent, and what became of it.
struct Sent {
    subject: Subject,
    epoch: EpochCheck,
    key: Key,
    pending: Pending,
    /// The user was read.
    is_read: bool,
    became: Became,
}

enum Became {
    /// Nobody has answered.
    Nothing,
    /// Something stands there: this, or what the view has.
    Stands(Option<Box<Entry>>, Saved),
    /// It is not known what stands there.
    Lost(Saved),
    /// It was set again.
    Replayed,
    /// It may be sent again.
    Failed(Saved),
}

/// What a commit needs next.
pub(super) enum Step {
    /// These reads; then [`Commit::was_read`].
    Read(Call, Vec<Read>),
    /// These writes; then [`Commit::was_written`].
    Write(Call, Vec<Write>),
    /// Nothing more: then [`Commit::finish`].
    Done,
}

impl Commit {
    pub(super) fn new(state: &State, settings: &Settings) -> Self {
        let call = settings.call();
        let (mut sent, mut replays) = (Vec::new(), Vec::new());
        for user in state.users.values() {
            let (subject, epoch) = (user.subject.clone(), EpochCheck::Is(user.epoch()));
            for (key, pending) in &user.pending {
                sent.push(Sent {
                    subject: subject.clone(),
                    epoch,
                    key: key.clone(),
                    pending: pending.clone(),
                    is_read: user.base.is_ok(),
                    became: Became::Nothing,
                });
            }
            for (key, records) in &user.records {
                let waits = user.pending.contains_key(key);
                replays.push(Replay::new(subject.clone(), key.clone(), records, settings, call, waits));
            }
        }
        Self {
            call,
            unproven: settings.unproven(),
            sent,
            replays,
            waiting: Vec::new(),
            unknown: Vec::new(),
            read: Vec::new(),
            learned: false,
            phase: Phase::Sending,
        }
    }

    /// What it needs next.
    pub(super) fn next(&mut self) -> Step {
        if self.phase == Phase::Sending {
            if !self.sent.is_empty() {
                return Step::Write(self.call, self.writes());
            }
            self.phase = Phase::Replaying;
        }
        if self.phase == Phase::Replaying {
            let running = || self.replays.iter().enumerate().filter(|(_, replay)| replay.is_running());
            let reads: Vec<_> = running().filter_map(|(at, replay)| Some((at, replay.read()?))).collect();
            if !reads.is_empty() {
                let (waiting, reads) = reads.into_iter().unzip();
                self.waiting = waiting;
                return Step::Read(self.call, reads);
            }
            let writes: Vec<_> = running().filter_map(|(at, replay)| Some((at, replay.write()?))).collect();
            if !writes.is_empty() {
                let (waiting, writes) = writes.into_iter().unzip();
                self.waiting = waiting;
                return Step::Write(self.call, writes);
            }
            self.look_at_replays();
            self.phase = if self.unknown.is_empty() { Phase::Done } else { Phase::Refreshing };
        }
        if self.phase == Phase::Refreshing {
            return Step::Read(self.call, self.unknown.iter().cloned().map(Read::all).collect());
        }
        Step::Done
    }

    /// What was asked for.
    pub(super) fn was_read(&mut self, answers: Vec<Result<Profile>>) {
        let asked = if self.phase == Phase::Refreshing { self.unknown.len() } else { self.waiting.len() };
        let answers = if answers.len() == asked { answers } else { vec![Err(miscounted()); asked] };
        if self.phase == Phase::Refreshing {
            self.read = answers;
            self.phase = Phase::Done;
            return;
        }
        for (at, answer) in std::mem::take(&mut self.waiting).into_iter().zip(answers) {
            if let Some(replay) = self.replays.get_mut(at) {
                replay.was_read(answer);
            }
        }
    }

    /// What became of what was sent.
    pub(super) fn was_written(&mut self, answers: Vec<Vec<Result<Outcome>>>) {
        if self.phase == Phase::Sending {
            self.phase = Phase::Replaying;
            return self.were_sent(answers);
        }
        let waiting = std::mem::take(&mut self.waiting);
        let counted = answers.len() == waiting.len() && answers.iter().all(|answers| answers.len() == 1);
        let mut answers = answers.into_iter().flatten();
        for at in waiting {
            let answer = answers.next().filter(|_| counted).unwrap_or_else(|| Err(miscounted()));
            if let Some(replay) = self.replays.get_mut(at) {
                replay.was_written(answer);
            }
        }
    }

    /// Brings what is known now into the view, and says what became of everything.
    pub(super) fn finish(self, state: &mut State) -> CommitReport {
        let mut report = CommitReport::default();
        if self.learned {
            report.learn();
        }
        for user in state.users.values_mut() {
            for (key, said) in std::mem::take(&mut user.said) {
                report.of(user.subject.user.as_str()).set(&key, said.saved);
                report.of(user.subject.user.as_str()).set_goals_added(&key, said.goals_added);
            }
        }
        for sent in self.sent {
            sent.finish(state, &mut report);
        }
        for replay in self.replays {
            replay.finish(state, &mut report);
        }
        for (subject, read) in self.unknown.into_iter().zip(self.read) {
            if let Ok(user) = state.user(subject.user.as_str()) {
                user.base = read.map(Base::of);
            }
        }
        report
    }

    fn writes(&self) -> Vec<Write> {
        let chunks = self.chunks();
        let write = |chunk: &[Sent]| {
            let first = chunk.first()?;
            let changes = chunk.iter().map(|sent| sent.pending.change.clone()).collect();
            // A user has no key twice and a chunk no more changes than are allowed, so none is refused.
            Write::new(first.subject.clone(), first.epoch, changes).ok()
        };
        chunks.filter_map(write).collect()
    }

    /// What goes into one write each: changes of one user.
    fn chunks(&self) -> impl Iterator<Item = &[Sent]> {
        let users = self.sent.chunk_by(|one, next| one.subject == next.subject);
        users.flat_map(|user| user.chunks(MAX_CHANGES))
    }

    fn were_sent(&mut self, answers: Vec<Vec<Result<Outcome>>>) {
        let counted = answers.iter().map(Vec::len).eq(self.chunks().map(<[_]>::len));
        let mut answers = answers.into_iter().flatten();
        for sent in &mut self.sent {
            // Of another number of answers nobody can say whose is whose.
            let answer = answers.next().filter(|_| counted).unwrap_or_else(|| Err(miscounted()));
            sent.became = sent.settle(answer, self.unproven);
            match &sent.became {
                Became::Lost(_) => {
                    self.learned = true;
                    self.unknown.push(sent.subject.clone());
                }
                Became::Stands(_, Saved::Kept { .. }) => {
                    self.learned = true;
                    if !sent.is_read {
                        self.unknown.push(sent.subject.clone());
                    }
                }
                Became::Replayed => {
                    let of = |replay: &&mut Replay| replay.is_of(&sent.subject, &sent.key);
                    self.replays.iter_mut().filter(of).for_each(Replay::start);
                }
                Became::Nothing | Became::Stands(..) | Became::Failed(_) => {}
            }
        }
        self.unknown.dedup();
    }

    fn look_at_replays(&mut self) {
        for replay in self.replays.iter().filter(|replay| replay.has_run()) {
            self.learned |= replay.has_lost();
            self.unknown.push(replay.subject().clone());
        }
        self.unknown.sort_unstable();
        self.unknown.dedup();
    }
}

impl Sent {
    fn settle(&self, answer: Result<Outcome>, unproven: Unproven) -> Became {
        let ours = || self.pending.change.entry().cloned().map(Box::new);
        match answer {
            Ok(Outcome::Inserted) => Became::Stands(ours(), Saved::Inserted),
            Ok(Outcome::Replaced) => match self.pending.old.clone() {
                Some(old) => Became::Stands(ours(), Saved::Replaced { old }),
                None => Became::Stands(ours(), Saved::Inserted),
            },
            Ok(Outcome::Unchanged) => Became::Stands(None, Saved::Unchanged),
            Ok(Outcome::Kept(_) | Outcome::Gone | Outcome::Erased) if self.pending.shape == Shape::Vwo => {
                Became::Replayed
            }
            Ok(Outcome::Kept(winner)) => {
                let saved = self.kept(&winner, unproven);
                Became::Stands(Some(Box::new(winner)), saved)
            }
            Ok(Outcome::Gone) => Became::Lost(Saved::Kept { why: Why::Gone, winner: None }),
            Ok(Outcome::Erased) => Became::Lost(Saved::Kept { why: Why::Erased, winner: None }),
            Ok(Outcome::Expired) => {
                let error = Error::new(ErrorKind::Timeout, "the entry expired before it could be written");
                Became::Failed(Saved::Failed { error: error.with_effect(Effect::NotApplied) })
            }
            Ok(other) => {
                let context =
                    format!("the store answered {other:?}, which is no answer to what it was asked");
                Became::Failed(Saved::Failed { error: Error::new(ErrorKind::Unexpected, context) })
            }
            Err(error) => Became::Failed(Saved::Failed { error }),
        }
    }

    /// What is said where this stands: it may be what was to be kept.
    fn kept(&self, winner: &Entry, unproven: Unproven) -> Saved {
        let ours = self.pending.change.entry().map(|entry| &entry.value);
        let is_same = ours.is_some_and(|ours| match self.pending.shape {
            Shape::Optimizely => optimizely::is_same(ours, &winner.value),
            Shape::GrowthBook => ours.as_string() == winner.value.as_string(),
            Shape::Vwo | Shape::Assigned => *ours == winner.value,
        });
        // Of a user who could not be read, nothing proves that this had been.
        let why = if self.is_read { Why::Raced } else { Why::Unproven };
        match why {
            _ if is_same => Saved::Unchanged,
            Why::Unproven if unproven == Unproven::Error => Saved::unproven(),
            why => Saved::Kept { why, winner: Some(winner.value.clone()) },
        }
    }

    fn finish(self, state: &mut State, report: &mut CommitReport) {
        let (user_id, key) = (self.subject.user.as_str(), self.key.as_str());
        let Ok(user) = state.user(user_id) else { return };
        let ours = self.pending.change.entry().map(|entry| entry.revision);
        let now = user.pending.get_mut(&self.key);
        let is_as_sent = now.as_ref().and_then(|now| now.change.entry()).map(|entry| entry.revision) == ours;
        match (&self.became, now) {
            (Became::Failed(_) | Became::Nothing, Some(now)) if is_as_sent => now.told = true,
            (Became::Failed(_) | Became::Nothing, _) => {}
            (_, Some(_)) if is_as_sent => drop(user.pending.remove(&self.key)),
            // Saved again while the commit was under way: over what stands there now, if that is what we sent.
            (Became::Stands(Some(stands), _), Some(now)) if Some(stands.revision) == ours => {
                if let Some(entry) = now.change.entry().cloned() {
                    now.change = Change::Replace(self.key.clone(), stands.revision, entry);
                    now.old = Some(stands.value.clone());
                }
            }
            _ => {}
        }
        let saved = match self.became {
            Became::Stands(stands, saved) => {
                if let (Some(stands), Ok(base)) = (stands, &mut user.base) {
                    base.entries.insert(self.key.clone(), *stands);
                }
                saved
            }
            Became::Lost(saved) => saved,
            // What failed may be sent again, its records too.
            Became::Failed(saved) => return report.of(user_id).set(key, saved),
            Became::Replayed | Became::Nothing => return,
        };
        if self.pending.shape == Shape::Vwo && is_as_sent {
            user.records.remove(&self.key);
        }
        let report = report.of(user_id);
        let before = report.get(key).cloned();
        // What a set had made of it, its service has said: it may have added a goal, and kept the rest.
        let is_said = self.pending.shape == Shape::Vwo && matches!(saved, Saved::Replaced { .. });
        match before {
            Some(_) if is_said => {}
            Some(before @ (Saved::Kept { .. } | Saved::Failed { .. })) => {
                let mut said = Said { saved: before, goals_added: Vec::new() };
                said.and(Said { saved, goals_added: Vec::new() });
                report.set(key, said.saved);
            }
            _ => report.set(key, saved),
        }
    }
}
