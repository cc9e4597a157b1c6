//! The set: which change it becomes, again if somebody else was faster, and what is reported. No I/O.
//!
//! A new record is one insert. One that its caller had read is one replacement of exactly that revision. Only where
//! something has to be added to what somebody else wrote is the entry read: in the same read as the user's epoch, so
//! that what was erased meanwhile is not brought back by a union. A union that loses a race reads again, until the
//! deadline; an entry that has vanished is not made anew.

use std::time::Duration;

use stickystore_core::{
    Call, Change, Effect, Entry, Epoch, EpochCheck, Error, ErrorKind, Expiry, Key, Keys, Outcome, Profile,
    Read, Result, Revision, Subject, Value, ValueHash, Write,
};

use super::content::Content;
use super::ledger::{Ledger, Verdict, verdict};
use super::merge::{Merged, Others, merge, since};
use super::record::{Proof, Record};
use crate::report::{SaveReport, Saved, Why};
use crate::settings::{Retired, Settings, Unproven};

/// A set on its way.
pub(crate) struct Set {
    call: Call,
    subject: Subject,
    key: Key,
    expiry: Expiry,
    replace_back_after: Duration,
    /// What the caller knows of erasures: the epoch that it read, none if it proves nothing.
    epoch: Option<Epoch>,
    /// What is to be there. Once the entry that was read is not the one that stands: what the caller has changed of it.
    given: Content,
    /// What the ledger proves to have been read.
    granted: Option<Revision>,
    /// What its caller had read, which stays as long as it stands: to replace it would be a war.
    at_war: Option<Revision>,
    /// Why something that stands there and differs stays.
    lost: Why,
    unproven: Unproven,
    retired: Retired,
    /// Whether the record may be made: nothing was seen there, by the caller or by this set.
    may_insert: bool,
    /// Whether a write was sent. One that a layer below sent twice may have been applied, and met what has replaced it since.
    has_sent: bool,
    state: State,
}

enum State {
    Reading,
    Sending(Box<Sent>),
    Done(SaveReport),
}

/// A change under way, and what is reported if it is applied.
struct Sent {
    change: Change,
    saved: Saved,
    goals_added: Vec<String>,
}

/// What a set needs next.
pub(crate) enum Step {
    /// This read; then [`Set::was_read`].
    Read(Call, Read),
    /// This write; then [`Set::was_written`].
    Write(Call, Write),
    /// Nothing more.
    Done(SaveReport),
}

impl Set {
    pub(crate) fn new(record: &Record, settings: &Settings, call: Call) -> Result<Self> {
        let subject = settings.subject(record.user_id())?;
        let proof = record.proof_of(&subject);
        let absent = record.absent_for(&subject).filter(|_| proof.is_none());
        let value = record.content.to_value()?;
        let mut set = Self {
            call,
            key: Key::new(record.campaign_key())?,
            expiry: settings.expiry(call.now)?,
            replace_back_after: settings.replace_back_after(),
            epoch: proof.and_then(|proof| proof.epoch).or(absent.flatten()),
            given: record.content.clone(),
            granted: None,
            at_war: None,
            lost: if proof.is_some() || absent.is_some() { Why::Raced } else { Why::Unproven },
            unproven: settings.unproven(),
            retired: settings.retired().clone(),
            may_insert: proof.is_none(),
            has_sent: false,
            state: State::Reading,
            subject: subject.clone(),
        };
        match proof {
            Some(proof) => {
                set.plan_proved(proof);
                if set.lost == Why::War && matches!(set.state, State::Done(_)) {
                    // Whether that still stands, only a read says.
                    set.at_war = Some(proof.entry.revision);
                    set.state = State::Reading;
                }
            }
            // Goals are mostly added to a record that is there already.
            None if record.content.goals.is_empty() => set.plan_insert(value),
            None => {}
        }
        Ok(set)
    }

    /// A set of a record that, if it carries no proof, may have one in the ledger.
    pub(super) fn charged(record: &Record, settings: &Settings, ledger: Option<&Ledger>) -> Result<Self> {
        let mut set = Self::new(record, settings, settings.call())?;
        if record.is_proved() {
            return Ok(set);
        }
        match verdict(ledger, settings, &set.subject, &set.key) {
            None => {}
            Some(Verdict::Insert(epoch)) => set.epoch = epoch,
            Some(Verdict::Replace(revision, epoch)) => {
                (set.epoch, set.granted, set.lost) = (epoch, Some(revision), Why::Raced);
                set.only_onto_what_stands();
            }
            Some(Verdict::Ambiguous(age)) => {
                set.lost = Why::Ambiguous { age };
                set.only_onto_what_stands();
            }
        }
        Ok(set)
    }

    /// What it needs next.
    pub(crate) fn next(&mut self) -> Result<Step> {
        match &self.state {
            State::Reading => {
                let keys = Keys::only([self.key.clone()])?;
                Ok(Step::Read(self.call, Read::some(self.subject.clone(), keys)))
            }
            State::Sending(sent) => {
                let check = EpochCheck::Is(self.epoch);
                let write = Write::new(self.subject.clone(), check, vec![sent.change.clone()])?;
                Ok(Step::Write(self.call, write))
            }
            State::Done(report) => Ok(Step::Done(report.clone())),
        }
    }

    /// What stands there.
    pub(crate) fn was_read(&mut self, stored: Result<Profile>) {
        let stored = match stored {
            Ok(stored) => stored,
            Err(error) => return self.fail(error.with_effect(self.effect())),
        };
        if let Some(damaged) = stored.damaged().iter().find(|damaged| damaged.key == self.key) {
            let context = format!("the stored entry {}", damaged.damage);
            return self.fail(Error::new(ErrorKind::Corrupt, context));
        }
        // A mark that has ended since is no erasure since.
        let erased = stored.epoch().is_some() && stored.epoch() != self.epoch;
        match stored.get(self.key.as_str()) {
            Some(stands) if self.granted.take() == Some(stands.revision) => {
                self.plan_granted(stands, stored.epoch());
            }
            Some(stands) if self.at_war == Some(stands.revision) => {
                self.keep(Why::War, Some(stands.value.clone()));
            }
            Some(stands) => {
                self.may_insert = false;
                self.plan_union(stands, Some(erased));
            }
            None if erased => self.keep(Why::Erased, None),
            None if self.may_insert => match self.given.to_value() {
                Ok(value) => self.plan_insert(value),
                Err(error) => self.fail(error),
            },
            None if matches!(self.lost, Why::Ambiguous { .. }) => self.keep(self.lost, None),
            None => self.keep(Why::Gone, None),
        }
    }

    /// What became of what was sent.
    pub(crate) fn was_written(&mut self, answer: Result<Outcome>) {
        let State::Sending(sent) = std::mem::replace(&mut self.state, State::Reading) else { return };
        self.has_sent = true;
        match (&sent.change, answer) {
            (Change::Insert(..), Ok(Outcome::Inserted)) | (Change::Replace(..), Ok(Outcome::Replaced)) => {
                self.done(sent.saved, sent.goals_added);
            }
            (Change::Replace(..), Ok(Outcome::Unchanged)) => self.done(Saved::Unchanged, Vec::new()),
            (_, Ok(Outcome::Kept(winner))) => {
                self.may_insert = false;
                self.plan_union(&winner, None);
            }
            // Why it has gone, a read says.
            (Change::Replace(..), Ok(Outcome::Gone)) => self.read_again(),
            (_, Ok(Outcome::Erased)) => self.keep(Why::Erased, None),
            (_, Ok(Outcome::Expired)) => {
                let error = Error::new(ErrorKind::Timeout, "the record expired before it could be written");
                self.fail(error.with_effect(Effect::NotApplied));
            }
            (_, Ok(other)) => {
                let context =
                    format!("the store answered {other:?}, which is no answer to what it was asked");
                self.fail(Error::new(ErrorKind::Unexpected, context));
            }
            (_, Err(error)) => self.fail(error),
        }
    }

    fn plan_insert(&mut self, value: Value) {
        let change = Change::Insert(self.key.clone(), Entry::new(value, self.expiry));
        self.send(change, Saved::Inserted, Vec::new());
    }

    /// Replaces exactly the revision that was read, unless that is a war: then goals are all that is added.
    fn plan_proved(&mut self, proof: &Proof) {
        let changed = since(&proof.content, &self.given);
        let given = std::mem::replace(&mut self.given, changed);
        let (stands, merged) = self.replacing(&proof.entry, &proof.content, &given);
        self.plan_merged(&stands, merged);
    }

    /// The ledger says that this is what its caller had read.
    fn plan_granted(&mut self, stands: &Entry, epoch: Option<Epoch>) {
        let (user_id, campaign_key) = (self.subject.user.as_str(), self.key.as_str());
        let Some(content) = Content::stored(&stands.value, user_id, campaign_key) else {
            return self.keep(Why::Unproven, Some(stands.value.clone()));
        };
        self.epoch = epoch;
        let (subject, entry) = (self.subject.clone(), stands.clone());
        self.plan_proved(&Proof { subject, epoch, entry, content });
    }

    /// Nothing is inserted: its caller may carry on what it was handed, and that may have gone since.
    fn only_onto_what_stands(&mut self) {
        self.may_insert = false;
        self.state = State::Reading;
    }

    /// Whether nothing proves that its caller had read what stands there.
    fn is_unproved(&self) -> bool {
        matches!(self.lost, Why::Unproven | Why::Ambiguous { .. })
    }

    /// What stands there, and what it becomes if it may be replaced. If that is a war, it is only added to.
    fn replacing(&mut self, stands: &Entry, content: &Content, given: &Content) -> (Entry, Merged) {
        let merged = merge(content, given, Others::Go);
        if merged.content.variation_name == content.variation_name {
            return (stands.clone(), merged);
        }
        let hash = |content: &Content| ValueHash::of(&content.variation_name);
        let (old, new) = (hash(content), hash(&merged.content));
        match stands.was.after_replacing(old, new, self.call.now, self.replace_back_after) {
            Some(was) => (stands.clone().with_was(was), merged),
            None => {
                self.lost = Why::War;
                (stands.clone(), merge(content, given, Others::Stay))
            }
        }
    }

    /// Adds to what stands there. Whether the user was erased since is known if it was read, not if it is the winner
    /// of a lost race.
    fn plan_union(&mut self, stands: &Entry, erased: Option<bool>) {
        // The war was about an entry that stands no more.
        self.lost = if self.lost == Why::War { Why::Raced } else { self.lost };
        let (user_id, campaign_key) = (self.subject.user.as_str(), self.key.as_str());
        let Some(content) = Content::stored(&stands.value, user_id, campaign_key) else {
            return self.keep(Why::Unproven, Some(stands.value.clone()));
        };
        let merged = merge(&content, &self.given, Others::Stay);
        let is_retired = content.variation_name != self.given.variation_name
            && self.retired.has(campaign_key, &content.variation_name);
        let takes_new = merged.kept
            && (is_retired || self.is_unproved() && self.unproven == Unproven::TakeNew)
            && erased != Some(true);
        match erased {
            Some(false) if takes_new => {
                let given = self.given.clone();
                let (stands, merged) = self.replacing(stands, &content, &given);
                self.plan_merged(&stands, merged);
            }
            // Not while the user is being erased: a read tells.
            None if takes_new => self.read_again(),
            _ if !merged.added => self.plan_merged(stands, merged),
            Some(false) => self.plan_merged(stands, merged),
            Some(true) => self.keep(Why::Erased, Some(stands.value.clone())),
            None => self.read_again(),
        }
    }

    /// Writes what was merged in the place of what stands there, if that changes anything.
    fn plan_merged(&mut self, stands: &Entry, merged: Merged) {
        let value = match merged.content.to_value() {
            Ok(value) => value,
            Err(error) => return self.fail(error),
        };
        let changes = merged.added || merged.replaced;
        let saved = if merged.kept && self.is_unproved() && self.unproven == Unproven::Error {
            Saved::unproven()
        } else if merged.kept {
            let winner = if changes { value.clone() } else { stands.value.clone() };
            Saved::Kept { why: self.lost, winner: Some(winner) }
        } else if merged.replaced {
            Saved::Replaced { old: stands.value.clone() }
        } else if merged.added {
            Saved::Added
        } else {
            Saved::Unchanged
        };
        if !changes {
            return self.done(saved, Vec::new());
        }
        let expiry = if merged.replaced { self.expiry } else { later(stands.expiry, self.expiry) };
        let new = Entry::new(value, expiry).with_was(stands.was.clone()).with_unknown(stands.unknown.clone());
        self.send(Change::Replace(self.key.clone(), stands.revision, new), saved, merged.goals_added);
    }

    /// A write of the same record was sent before this set.
    pub(crate) fn after_another(mut self) -> Self {
        self.has_sent = true;
        self
    }

    /// What a failure leaves open while nothing is being sent.
    fn effect(&self) -> Effect {
        if self.has_sent { Effect::Unknown } else { Effect::NotApplied }
    }

    /// Reads what stands there now, if there is time.
    fn read_again(&mut self) {
        if self.call.remaining().is_zero() {
            let context = "others kept writing to the record until the deadline; set it again";
            self.fail(Error::new(ErrorKind::Timeout, context).with_effect(self.effect()));
        } else {
            self.state = State::Reading;
        }
    }

    fn send(&mut self, change: Change, saved: Saved, goals_added: Vec<String>) {
        self.state = State::Sending(Box::new(Sent { change, saved, goals_added }));
    }

    fn keep(&mut self, why: Why, winner: Option<Value>) {
        self.done(Saved::Kept { why, winner }, Vec::new());
    }

    fn fail(&mut self, error: Error) {
        self.done(Saved::Failed { error }, Vec::new());
    }

    fn done(&mut self, saved: Saved, goals_added: Vec<String>) {
        let mut report = SaveReport::default();
        report.set(self.key.as_str(), saved);
        report.set_goals_added(self.key.as_str(), goals_added);
        self.state = State::Done(report);
    }
}

/// Adding to an entry does not shorten its life.
fn later(stands: Expiry, new: Expiry) -> Expiry {
    match (stands, new) {
        (Expiry::At(stands), Expiry::At(new)) => Expiry::At(stands.max(new)),
        _ => Expiry::Never,
    }
}
