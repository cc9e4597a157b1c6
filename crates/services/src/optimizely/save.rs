//! The save: which entries of the map become which changes, and what is reported of each. No I/O.
//!
//! A save is: read what it may replace (only then), write everything at once, report. The two faces of the service
//! run these steps and hand the answers back.

use std::time::Duration;

use stickystore_core::{
    Call, Change, Entry, EpochCheck, Error, ErrorKind, Expiry, Key, Keys, MAX_CHANGES, Outcome, Profile,
    Read, Result, Revision, Subject, Value, ValueHash, Write,
};

use super::profile::{Bucketed, UserProfile, bucketed};
use crate::receipt::Proof;
use crate::report::{SaveReport, Saved, Why};
use crate::settings::{Retired, Settings, Unproven};

/// A save on its way.
pub(super) struct Save {
    call: Call,
    subject: Subject,
    epoch: EpochCheck,
    expiry: Expiry,
    replace_back_after: Duration,
    /// Why an insert that finds something else there was not written.
    insert_lost: Why,
    unproven: Unproven,
    retired: Retired,
    /// The user was erased between the reads that prove what was read.
    proofs_disagree: bool,
    /// What is to be replaced now is what stood in the way of inserts: nothing proves that it was read.
    takes_new: bool,
    state: State,
    /// Entries that were read and changed, until it is known whether that revision still stands.
    to_replace: Vec<(Key, Revision, Bucketed)>,
    /// What is sent, or about to be.
    sent: Vec<Sent>,
    report: SaveReport,
}

enum State {
    Reading,
    Writing,
}

/// A change under way, and what is needed to report it.
struct Sent {
    change: Change,
    variation_id: String,
    /// What it replaces.
    old: Option<Value>,
}

/// What a save needs next.
pub(super) enum Step {
    /// This read; then [`Save::was_read`].
    Read(Call, Read),
    /// These writes; then [`Save::was_written`].
    Write(Call, Vec<Write>),
    /// Nothing more.
    Done(SaveReport),
}

impl Save {
    pub(super) fn new(profile: &UserProfile, settings: &Settings) -> Result<Self> {
        let subject = settings.subject(profile.user_id())?;
        let call = settings.call();
        let proofs = profile.proofs_of(&subject);
        let mut save = Self {
            call,
            epoch: EpochCheck::Is(proofs.epoch()),
            expiry: settings.expiry(call.now)?,
            replace_back_after: settings.replace_back_after(),
            insert_lost: if proofs.is_empty() { Why::Unproven } else { Why::Raced },
            unproven: settings.unproven(),
            retired: settings.retired().clone(),
            proofs_disagree: proofs.disagree(),
            takes_new: false,
            state: State::Reading,
            to_replace: Vec::new(),
            sent: Vec::new(),
            report: SaveReport::default(),
            subject,
        };
        for (experiment, why) in profile.refused() {
            let error = Error::new(ErrorKind::Invalid, format!("experiment {experiment:?}: {why}"));
            save.report.set(experiment, Saved::Failed { error });
        }
        for (experiment, entry) in profile.entries() {
            match (Key::new(experiment), proofs.of(experiment, &entry.variation_id)) {
                (Err(error), _) => save.report.set(experiment, Saved::Failed { error }),
                (Ok(_), Proof::Untouched) => save.report.set(experiment, Saved::Unchanged),
                (Ok(key), Proof::Changed(revision)) => save.to_replace.push((key, revision, entry.clone())),
                (Ok(_), Proof::NotRead) if proofs.disagree() => {
                    save.report.set(experiment, Saved::Kept { why: Why::Erased, winner: None });
                }
                (Ok(key), Proof::NotRead) => {
                    let new = Entry::new(entry.value.clone(), save.expiry);
                    save.send(Change::Insert(key, new), entry, None);
                }
            }
        }
        Ok(save)
    }

    /// What it needs next.
    pub(super) fn next(&mut self) -> Step {
        match self.state {
            State::Reading if !self.to_replace.is_empty() => {
                let keys = self.to_replace.iter().map(|(key, _, _)| key.clone());
                let keys = Keys::only(keys).unwrap_or(Keys::All);
                Step::Read(self.call, Read::some(self.subject.clone(), keys))
            }
            State::Reading | State::Writing if !self.sent.is_empty() => Step::Write(self.call, self.writes()),
            _ => Step::Done(std::mem::take(&mut self.report)),
        }
    }

    /// What stands there of what it may replace.
    pub(super) fn was_read(&mut self, stored: &Result<Profile>) {
        self.state = State::Writing;
        for (key, revision, entry) in std::mem::take(&mut self.to_replace) {
            match stored {
                Ok(stored) => self.plan_replace(key, revision, &entry, stored),
                // A layer below may have sent an insert twice: it can come late, once what it met has gone.
                Err(error) if self.takes_new => {
                    let error = error.clone().with_effect(stickystore_core::Effect::Unknown);
                    self.report.set(key.as_str(), Saved::Failed { error });
                }
                Err(error) => self.report.set(key.as_str(), Saved::Failed { error: unwritten(error) }),
            }
        }
    }

    /// What became of what was sent.
    pub(super) fn was_written(&mut self, answers: Vec<Vec<Result<Outcome>>>) {
        self.state = State::Reading;
        let sent = std::mem::take(&mut self.sent);
        let counts = answers.iter().map(Vec::len);
        let answers: Vec<_> = if counts.eq(sent.chunks(MAX_CHANGES).map(<[_]>::len)) {
            answers.into_iter().flatten().collect()
        } else {
            // Whose answer is whose, nobody can say.
            let context = "the store gave another number of answers than was asked for";
            vec![Err(Error::new(ErrorKind::Unexpected, context)); sent.len()]
        };
        for (sent, answer) in sent.into_iter().zip(answers) {
            if let Some(taken) = self.takes(&sent, &answer) {
                self.to_replace.push(taken);
                continue;
            }
            let key = sent.change.key().as_str().to_owned();
            self.report.set(&key, self.settle(sent, answer));
        }
        self.takes_new = !self.to_replace.is_empty();
    }

    /// What an insert is to replace that has met it, if it may: another variation, of the same shape. What is retired it
    /// may, everything else by the policy for what nothing proves.
    fn takes(&self, sent: &Sent, answer: &Result<Outcome>) -> Option<(Key, Revision, Bucketed)> {
        let takes_new = self.unproven == Unproven::TakeNew && self.insert_lost == Why::Unproven;
        match (&sent.change, answer) {
            (Change::Insert(key, new), Ok(Outcome::Kept(winner))) => {
                let stands = bucketed(winner.value.as_str()).ok()?;
                if !takes_new && !self.retired.has(key.as_str(), &stands) {
                    return None;
                }
                let variation_id = sent.variation_id.clone();
                let new = Bucketed { variation_id, value: new.value.clone() };
                (stands != new.variation_id).then(|| (key.clone(), winner.revision, new))
            }
            _ => None,
        }
    }

    /// Replaces exactly the revision that was proved, if it still stands and that is no war.
    fn plan_replace(&mut self, key: Key, revision: Revision, entry: &Bucketed, stored: &Profile) {
        if let Some(damaged) = stored.damaged().iter().find(|damaged| damaged.key == key) {
            let error = Error::new(ErrorKind::Corrupt, format!("the stored entry {}", damaged.damage));
            return self.report.set(key.as_str(), Saved::Failed { error });
        }
        if self.takes_new && stored.epoch().is_some() && self.epoch != EpochCheck::Is(stored.epoch()) {
            let winner = stored.get(key.as_str()).map(|stands| stands.value.clone());
            return self.report.set(key.as_str(), Saved::Kept { why: Why::Erased, winner });
        }
        let Some(stands) = stored.get(key.as_str()) else {
            // A mark that has ended since is no erasure since.
            let knows = self.epoch == EpochCheck::Is(stored.epoch()) && !self.proofs_disagree;
            let erased = stored.epoch().is_some() && !knows;
            let why = if erased { Why::Erased } else { Why::Gone };
            return self.report.set(key.as_str(), Saved::Kept { why, winner: None });
        };
        if stands.revision != revision {
            let kept = self.kept(Why::Raced, stands.value.clone(), &entry.variation_id);
            return self.report.set(key.as_str(), kept);
        }
        let old = bucketed(stands.value.as_str()).unwrap_or_else(|_| stands.value.as_str().to_owned());
        let (old, new) = (ValueHash::of(&old), ValueHash::of(&entry.variation_id));
        let Some(was) = stands.was.after_replacing(old, new, self.call.now, self.replace_back_after) else {
            let kept = Saved::Kept { why: Why::War, winner: Some(stands.value.clone()) };
            return self.report.set(key.as_str(), kept);
        };
        let new =
            Entry::new(entry.value.clone(), self.expiry).with_was(was).with_unknown(stands.unknown.clone());
        self.send(Change::Replace(key, revision, new), entry, Some(stands.value.clone()));
    }

    fn send(&mut self, change: Change, entry: &Bucketed, old: Option<Value>) {
        self.sent.push(Sent { change, variation_id: entry.variation_id.clone(), old });
    }

    fn writes(&self) -> Vec<Write> {
        let changes: Vec<_> = self.sent.iter().map(|sent| sent.change.clone()).collect();
        // A map has no key twice and a chunk no more changes than are allowed, so none is refused.
        let write = |chunk: &[Change]| Write::new(self.subject.clone(), self.epoch, chunk.to_vec()).ok();
        changes.chunks(MAX_CHANGES).filter_map(write).collect()
    }

    /// What is reported where something else stands, by the policy for what nothing proves.
    fn kept(&self, why: Why, winner: Value, variation_id: &str) -> Saved {
        match kept(why, winner, variation_id) {
            Saved::Kept { why: Why::Unproven, .. } if self.unproven == Unproven::Error => Saved::unproven(),
            kept => kept,
        }
    }

    fn settle(&self, sent: Sent, answer: Result<Outcome>) -> Saved {
        let lost = match sent.change {
            Change::Insert(..) => self.insert_lost,
            _ => Why::Raced,
        };
        match (answer, sent.old) {
            (Ok(Outcome::Inserted), None) => Saved::Inserted,
            (Ok(Outcome::Replaced), Some(old)) => Saved::Replaced { old },
            (Ok(Outcome::Unchanged), Some(_)) => Saved::Unchanged,
            (Ok(Outcome::Kept(winner)), _) => self.kept(lost, winner.value, &sent.variation_id),
            (Ok(Outcome::Erased), _) => Saved::Kept { why: Why::Erased, winner: None },
            (Ok(Outcome::Gone), Some(_)) => Saved::Kept { why: Why::Gone, winner: None },
            (Ok(Outcome::Expired), _) => {
                let error = Error::new(ErrorKind::Timeout, "the entry expired before it could be written");
                Saved::Failed { error: unwritten(&error) }
            }
            (Ok(other), _) => {
                let context =
                    format!("the store answered {other:?}, which is no answer to what it was asked");
                Saved::Failed { error: Error::new(ErrorKind::Unexpected, context) }
            }
            (Err(error), _) => Saved::Failed { error },
        }
    }
}

/// Kept, or unchanged where what stands there is what was to be saved. What is of another shape was never handed out.
fn kept(why: Why, winner: Value, variation_id: &str) -> Saved {
    match bucketed(winner.as_str()) {
        Ok(standing) if standing == variation_id => Saved::Unchanged,
        Ok(_) => Saved::Kept { why, winner: Some(winner) },
        Err(_) => Saved::Kept { why: Why::Unproven, winner: Some(winner) },
    }
}

/// A read that failed before a write was sent: nothing was applied.
fn unwritten(error: &Error) -> Error {
    error.clone().with_effect(stickystore_core::Effect::NotApplied)
}
