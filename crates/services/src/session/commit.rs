//! The commit: one write for all users of a session, and what is reported of each entry. No I/O.
//!
//! Every change goes under the revision that was read ([`sent`](super::sent)). Where somebody else was faster, what stands
//! there is taken into the view; what is retired is replaced all the same ([`retake`](super::retake)); VWO's records, whose
//! goals are to be added to whatever stands there, are set again as their service does it ([`replay`](super::replay)). What
//! is not known then is read again, for who decides once more.

use stickystore_core::{Call, MAX_CHANGES, Outcome, Profile, Read, Result, Subject, Write};

use super::overlay::{Base, State};
use super::replay::Replay;
use super::report::CommitReport;
use super::retake::Retakes;
use super::sent::{Became, Sent};
use super::view::miscounted;
use crate::report::Saved;
use crate::settings::Settings;

/// A commit on its way.
pub(super) struct Commit {
    call: Call,
    settings: Settings,
    sent: Vec<Sent>,
    retakes: Retakes,
    replays: Vec<Replay>,
    /// What is asked or told of which replay.
    waiting: Vec<usize>,
    /// Users of whom it is not known what stands.
    unknown: Vec<Subject>,
    read: Vec<Result<Profile>>,
    learned: bool,
    looked: bool,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Sending,
    Looking,
    Retaking,
    Replaying,
    Refreshing,
    Done,
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
    pub(super) fn new(state: &mut State, settings: &Settings) -> Self {
        let call = settings.call();
        let (mut sent, mut replays) = (Vec::new(), Vec::new());
        for user in state.users.values_mut() {
            let subject = &user.subject;
            for (key, pending) in &mut user.pending {
                sent.push(Sent {
                    subject: subject.clone(),
                    epoch: pending.epoch,
                    key: key.clone(),
                    pending: pending.clone(),
                    is_read: user.base.is_ok(),
                    became: Became::Nothing,
                });
                // Until it is answered: a commit may be dropped before.
                pending.in_doubt = true;
            }
            for (key, records) in &user.records {
                let waits = user.pending.contains_key(key);
                replays.push(Replay::new(subject.clone(), key.clone(), records, settings, call, waits));
            }
        }
        Self {
            call,
            settings: settings.clone(),
            sent,
            retakes: Retakes::default(),
            replays,
            waiting: Vec::new(),
            unknown: Vec::new(),
            read: Vec::new(),
            learned: false,
            looked: false,
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
        if self.phase == Phase::Looking {
            let reads = self.retakes.reads(&self.sent);
            if !reads.is_empty() {
                return Step::Read(self.call, reads);
            }
            self.phase = Phase::Replaying;
        }
        if self.phase == Phase::Retaking {
            let writes = self.retakes.writes(&self.sent);
            if !writes.is_empty() {
                return Step::Write(self.call, writes);
            }
            self.phase = Phase::Replaying;
        }
        if self.phase == Phase::Replaying {
            self.look_at_sent();
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
        let asked = match self.phase {
            Phase::Looking => self.retakes.reads(&self.sent).len(),
            Phase::Refreshing => self.unknown.len(),
            _ => self.waiting.len(),
        };
        let answers = if answers.len() == asked { answers } else { vec![Err(miscounted()); asked] };
        if self.phase == Phase::Refreshing {
            self.read = answers;
            self.phase = Phase::Done;
            return;
        }
        if self.phase == Phase::Looking {
            self.retakes.were_read(&mut self.sent, answers, self.call, &self.settings);
            self.phase = Phase::Retaking;
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
            self.phase = Phase::Looking;
            return self.were_sent(answers);
        }
        let retaking = self.phase == Phase::Retaking;
        let waiting = if retaking { self.retakes.take_sent() } else { std::mem::take(&mut self.waiting) };
        let counted = answers.len() == waiting.len() && answers.iter().all(|answers| answers.len() == 1);
        let mut answers = answers.into_iter().flatten();
        for at in waiting {
            let answer = answers.next().filter(|_| counted).unwrap_or_else(|| Err(miscounted()));
            if let (true, Some(sent)) = (retaking, self.sent.get_mut(at)) {
                sent.became = sent.settle(answer, self.settings.unproven());
            } else if let Some(replay) = self.replays.get_mut(at) {
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
                report.tell(user.subject.user.as_str(), &key, said);
            }
        }
        for sent in self.sent {
            sent.finish(state, &mut report);
        }
        for replay in self.replays {
            replay.finish(state, &mut report);
        }
        for (subject, read) in self.unknown.into_iter().zip(self.read) {
            report.unread(read.as_ref().err());
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

    /// What goes into one write each: changes of one user, decided when the same erasures were known of.
    fn chunks(&self) -> impl Iterator<Item = &[Sent]> {
        let users = self.sent.chunk_by(|one, next| one.subject == next.subject && one.epoch == next.epoch);
        users.flat_map(|user| user.chunks(MAX_CHANGES))
    }

    fn were_sent(&mut self, answers: Vec<Vec<Result<Outcome>>>) {
        let counted = answers.iter().map(Vec::len).eq(self.chunks().map(<[_]>::len));
        let mut answers = answers.into_iter().flatten();
        for (at, sent) in self.sent.iter_mut().enumerate() {
            // Of another number of answers nobody can say whose is whose.
            let answer = answers.next().filter(|_| counted).unwrap_or_else(|| Err(miscounted()));
            match &answer {
                Ok(Outcome::Kept(winner)) if self.retakes.takes(at, sent, winner, &self.settings) => {}
                _ => sent.became = sent.settle(answer, self.settings.unproven()),
            }
        }
    }

    /// What of the changes is not known now, or was not known to who decided. Once.
    fn look_at_sent(&mut self) {
        if std::mem::replace(&mut self.looked, true) {
            return;
        }
        for sent in &self.sent {
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
