//! The save: an insert for each assignment, a replacement of those that met a retired one, and what is reported of each.
//! No I/O.

use stickystore_core::{
    Call, Change, Effect, Entry, EpochCheck, Error, ErrorKind, Key, MAX_CHANGES, Outcome, Profile, Read,
    Result, Subject, Value, ValueHash, Write,
};

use super::document::Document;
use super::user::user_id;
use crate::report::{SaveReport, Saved, Why};
use crate::settings::Settings;

/// A save on its way.
pub(super) struct Save {
    call: Call,
    subject: Subject,
    settings: Settings,
    to_send: Vec<Sent>,
    /// Those that met a retired assignment: this one.
    to_replace: Vec<(Key, Entry, Entry)>,
    report: SaveReport,
}

/// A change, and what it replaces.
struct Sent {
    change: Change,
    old: Option<Value>,
}

/// What a save needs next.
pub(super) enum Step {
    /// This read; then [`Save::was_read`].
    Read(Call, Read),
    /// This write; then [`Save::was_written`].
    Write(Call, Write),
    /// Nothing more.
    Done(SaveReport),
}

impl Save {
    pub(super) fn new(document: &Document, settings: &Settings) -> Result<Self> {
        let call = settings.call();
        let expiry = settings.expiry(call.now)?;
        let user = user_id(document.attribute_name(), document.attribute_value());
        let subject = settings.subject(&user)?;
        let mut save = Self {
            call,
            subject,
            settings: settings.clone(),
            to_send: Vec::new(),
            to_replace: Vec::new(),
            report: SaveReport::default(),
        };
        for (key, why) in document.refused() {
            save.report.set(key, Saved::Failed { error: Error::new(ErrorKind::Invalid, why) });
        }
        for (key, value) in document.values() {
            match Key::new(key) {
                Ok(key) => {
                    let change = Change::Insert(key, Entry::new(value, expiry));
                    save.to_send.push(Sent { change, old: None });
                }
                Err(error) => save.report.set(key, Saved::Failed { error }),
            }
        }
        Ok(save)
    }

    /// What it needs next: nothing, or one write after the other, of as many changes as fit into one.
    ///
    /// Nothing proves that the caller read after an erasure, so nothing is made while an erase mark lives.
    pub(super) fn next(&mut self) -> Result<Step> {
        if let Some(chunk) = self.to_send.chunks(MAX_CHANGES).next() {
            let changes = chunk.iter().map(|sent| sent.change.clone()).collect();
            let write = Write::new(self.subject.clone(), EpochCheck::Is(None), changes)?;
            return Ok(Step::Write(self.call, write));
        }
        if !self.to_replace.is_empty() {
            return Ok(Step::Read(self.call, Read::all(self.subject.clone())));
        }
        Ok(Step::Done(std::mem::take(&mut self.report)))
    }

    /// What became of the last write.
    pub(super) fn was_written(&mut self, answers: Vec<Result<Outcome>>) {
        let rest = self.to_send.split_off(self.to_send.len().min(MAX_CHANGES));
        let sent = std::mem::replace(&mut self.to_send, rest);
        let mut answers = answers.into_iter();
        for Sent { change, old } in sent {
            let answer = answers.next().unwrap_or_else(|| {
                let context = "the store gave another number of answers than was asked for";
                Err(Error::new(ErrorKind::Unexpected, context))
            });
            let key = change.key().clone();
            match (change, answer) {
                (Change::Insert(_, new), Ok(Outcome::Kept(stands)))
                    if self.is_retired(&key, &stands, &new) =>
                {
                    self.to_replace.push((key, stands, new));
                }
                (change, answer) => {
                    let saved = settle(&change, old, answer);
                    self.report.set(key.as_str(), saved);
                }
            }
        }
    }

    /// What stands there of what is retired: it is replaced, unless the user was erased meanwhile.
    pub(super) fn was_read(&mut self, stored: &Result<Profile>) {
        for (key, met, new) in std::mem::take(&mut self.to_replace) {
            match stored {
                Err(error) => {
                    // A layer below may have sent the insert twice: it can come late, once what it met has gone.
                    let error = error.clone().with_effect(Effect::Unknown);
                    self.report.set(key.as_str(), Saved::Failed { error });
                }
                Ok(stored) if stored.epoch().is_some() => {
                    let winner = stored.get(key.as_str()).map(|stands| stands.value.clone());
                    self.report.set(key.as_str(), Saved::Kept { why: Why::Erased, winner });
                }
                Ok(_) => self.plan_replace(key, met, new),
            }
        }
    }

    fn plan_replace(&mut self, key: Key, met: Entry, new: Entry) {
        let hash = |entry: &Entry| ValueHash::of(&entry.value.as_string().unwrap_or_default());
        let memory = self.settings.replace_back_after();
        match met.was.after_replacing(hash(&met), hash(&new), self.call.now, memory) {
            Some(was) => {
                let new = new.with_was(was).with_unknown(met.unknown);
                let change = Change::Replace(key, met.revision, new);
                self.to_send.push(Sent { change, old: Some(met.value) });
            }
            None => self.report.set(key.as_str(), Saved::Kept { why: Why::War, winner: Some(met.value) }),
        }
    }

    fn is_retired(&self, key: &Key, stands: &Entry, new: &Entry) -> bool {
        let variation = stands.value.as_string();
        variation != new.value.as_string()
            && variation.is_some_and(|variation| self.settings.retired().has(key.as_str(), &variation))
    }
}

fn settle(change: &Change, old: Option<Value>, answer: Result<Outcome>) -> Saved {
    let given = change.entry().and_then(|entry| entry.value.as_string());
    match (answer, old) {
        (Ok(Outcome::Inserted), None) => Saved::Inserted,
        (Ok(Outcome::Replaced), Some(old)) => Saved::Replaced { old },
        (Ok(Outcome::Unchanged), Some(_)) => Saved::Unchanged,
        (Ok(Outcome::Kept(stands)), _) if stands.value.as_string() == given => Saved::Unchanged,
        (Ok(Outcome::Kept(stands)), None) => Saved::Kept { why: Why::Unproven, winner: Some(stands.value) },
        (Ok(Outcome::Kept(stands)), Some(_)) => Saved::Kept { why: Why::Raced, winner: Some(stands.value) },
        (Ok(Outcome::Gone), Some(_)) => Saved::Kept { why: Why::Gone, winner: None },
        (Ok(Outcome::Erased), _) => Saved::Kept { why: Why::Erased, winner: None },
        (Ok(Outcome::Expired), _) => {
            let error = Error::new(ErrorKind::Timeout, "the assignment expired before it could be written");
            Saved::Failed { error: error.with_effect(Effect::NotApplied) }
        }
        (Ok(other), _) => {
            let context = format!("the store answered {other:?}, which is no answer to what it was asked");
            Saved::Failed { error: Error::new(ErrorKind::Unexpected, context) }
        }
        (Err(error), _) => Saved::Failed { error },
    }
}
