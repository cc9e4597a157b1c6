//! A change that a commit sends: what became of it, what is said of it, and what the view shows then. No I/O.

use stickystore_core::{
    Change, Effect, Entry, EpochCheck, Error, ErrorKind, Key, Keys, Outcome, Read, Result, Subject, Value,
    Write,
};

use super::overlay::{Pending, Shape, State};
use super::report::CommitReport;
use super::said::Said;
use crate::report::{Saved, Why};
use crate::settings::Unproven;

/// A change that is sent, and what became of it.
pub(super) struct Sent {
    pub(super) subject: Subject,
    pub(super) epoch: EpochCheck,
    pub(super) key: Key,
    pub(super) pending: Pending,
    /// The user was read.
    pub(super) is_read: bool,
    pub(super) became: Became,
}

pub(super) enum Became {
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

impl Sent {
    /// What the service calls the value that is to be written.
    pub(super) fn name(&self) -> Option<String> {
        self.pending.change.entry().and_then(|entry| self.pending.shape.name(&entry.value))
    }

    /// What stands there now.
    pub(super) fn read(&self) -> Read {
        let keys = Keys::only([self.key.clone()]).unwrap_or(Keys::All);
        Read::some(self.subject.clone(), keys)
    }

    pub(super) fn write(&self) -> Option<Write> {
        Write::new(self.subject.clone(), self.epoch, vec![self.pending.change.clone()]).ok()
    }

    /// This instead, which replaces that.
    pub(super) fn send_again(&mut self, change: Change, old: Value) {
        (self.pending.change, self.pending.old) = (change, Some(old));
    }

    pub(super) fn settle(&self, answer: Result<Outcome>, unproven: Unproven) -> Became {
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
                self.failed(error.with_effect(Effect::NotApplied))
            }
            Ok(other) => {
                let context =
                    format!("the store answered {other:?}, which is no answer to what it was asked");
                self.failed(Error::new(ErrorKind::Unexpected, context))
            }
            Err(error) => self.failed(error),
        }
    }

    /// What is said where this attempt failed: an earlier one may have been applied.
    fn failed(&self, error: Error) -> Became {
        let error = if self.pending.in_doubt { error.with_effect(Effect::Unknown) } else { error };
        Became::Failed(Saved::Failed { error })
    }

    /// What is said where this stands: it may be what was to be kept.
    fn kept(&self, winner: &Entry, unproven: Unproven) -> Saved {
        let is_same = self.name().is_some_and(|ours| Some(ours) == self.pending.shape.name(&winner.value));
        // Of a user who could not be read, nothing proves that this had been.
        let why = if self.is_read { Why::Raced } else { Why::Unproven };
        match why {
            _ if is_same => Saved::Unchanged,
            Why::Unproven if unproven == Unproven::Error => Saved::unproven(),
            why => Saved::Kept { why, winner: Some(winner.value.clone()) },
        }
    }

    pub(super) fn finish(self, state: &mut State, report: &mut CommitReport) {
        let (user_id, key, shape) = (self.subject.user.as_str(), self.key.as_str(), self.pending.shape);
        let Ok(user) = state.user(user_id) else { return };
        let ours = self.pending.change.entry().map(|entry| entry.revision);
        let now = user.pending.get_mut(&self.key);
        let is_as_sent = now.as_ref().and_then(|now| now.change.entry()).map(|entry| entry.revision) == ours;
        match (&self.became, now) {
            (Became::Failed(saved), Some(now)) if is_as_sent => {
                now.told = true;
                let unknown = |error: &Error| error.effect() == Effect::Unknown;
                now.in_doubt = matches!(saved, Saved::Failed { error } if unknown(error));
            }
            (Became::Nothing, Some(now)) if is_as_sent => now.told = true,
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
        report.is_of(user_id, key, shape);
        let saved = match self.became {
            Became::Stands(stands, saved) => {
                if let (Some(stands), Ok(base)) = (stands, &mut user.base) {
                    base.entries.insert(self.key.clone(), *stands);
                }
                saved
            }
            Became::Lost(saved) => saved,
            // What failed may be sent again, its records too; what was said of it is true when that has been written.
            Became::Failed(saved) => {
                let report = report.of(user_id);
                if let Some(before) = report.get(key).cloned() {
                    let goals_added = report.goals_added(key).to_vec();
                    user.said.insert(key.to_owned(), Said { shape, saved: before, goals_added });
                }
                report.set_goals_added(key, Vec::new());
                return report.set(key, saved);
            }
            Became::Replayed | Became::Nothing => return,
        };
        if shape == Shape::Vwo && is_as_sent {
            user.records.remove(&self.key);
        }
        let report = report.of(user_id);
        let before = report.get(key).cloned();
        // What a set had made of it, its service has said: it may have added a goal, and kept the rest.
        let is_said = shape == Shape::Vwo && matches!(saved, Saved::Replaced { .. });
        match before {
            Some(_) if is_said => {}
            Some(before @ (Saved::Kept { .. } | Saved::Failed { .. })) => {
                let mut said = Said { shape, saved: before, goals_added: Vec::new() };
                said.and(Said { shape, saved, goals_added: Vec::new() });
                report.set(key, said.saved);
            }
            _ => report.set(key, saved),
        }
    }
}
