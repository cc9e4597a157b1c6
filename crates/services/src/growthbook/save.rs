//! The save: an insert for each assignment, and what is reported of each. No I/O.

use stickystore_core::{
    Call, Change, Effect, Entry, EpochCheck, Error, ErrorKind, Key, MAX_CHANGES, Outcome, Result, Subject,
    Value, Write,
};

use super::document::Document;
use super::user::user_id;
use crate::report::{SaveReport, Saved, Why};
use crate::settings::Settings;

/// A save on its way.
pub(super) struct Save {
    call: Call,
    subject: Subject,
    inserts: Vec<(Key, Entry)>,
    /// What cannot be sent.
    report: SaveReport,
}

impl Save {
    pub(super) fn new(document: &Document, settings: &Settings) -> Result<Self> {
        let call = settings.call();
        let expiry = settings.expiry(call.now)?;
        let user = user_id(document.attribute_name(), document.attribute_value());
        let subject = settings.subject(&user)?;
        let mut save = Self { call, subject, inserts: Vec::new(), report: SaveReport::default() };
        for (key, why) in document.refused() {
            save.report.set(key, Saved::Failed { error: Error::new(ErrorKind::Invalid, why) });
        }
        for (key, value) in document.values() {
            match Key::new(key) {
                Ok(key) => save.inserts.push((key, Entry::new(value, expiry))),
                Err(error) => save.report.set(key, Saved::Failed { error }),
            }
        }
        Ok(save)
    }

    pub(super) fn call(&self) -> Call {
        self.call
    }

    /// What to write: nothing, one write, or several if there are more assignments than fit into one.
    ///
    /// Nothing proves that the caller read after an erasure, so none is made while an erase mark lives.
    pub(super) fn writes(&self) -> Result<Vec<Write>> {
        let insert = |(key, entry): &(Key, Entry)| Change::Insert(key.clone(), entry.clone());
        let write = |chunk: &[(Key, Entry)]| {
            let changes = chunk.iter().map(insert).collect();
            Write::new(self.subject.clone(), EpochCheck::Is(None), changes)
        };
        self.inserts.chunks(MAX_CHANGES).map(write).collect()
    }

    /// What became of each assignment, by the answers to each of the writes.
    pub(super) fn report(self, written: Vec<Vec<Result<Outcome>>>) -> SaveReport {
        let Self { inserts, mut report, .. } = self;
        let mut answers = written.into_iter().flatten();
        for (key, entry) in inserts {
            let answer = answers.next().unwrap_or_else(|| {
                let context = "the store gave another number of answers than was asked for";
                Err(Error::new(ErrorKind::Unexpected, context))
            });
            report.set(key.as_str(), settle(&entry.value, answer));
        }
        report
    }
}

fn settle(given: &Value, answer: Result<Outcome>) -> Saved {
    match answer {
        Ok(Outcome::Inserted) => Saved::Inserted,
        Ok(Outcome::Kept(stands)) if stands.value.as_string() == given.as_string() => Saved::Unchanged,
        Ok(Outcome::Kept(stands)) => Saved::Kept { why: Why::Unproven, winner: Some(stands.value) },
        Ok(Outcome::Erased) => Saved::Kept { why: Why::Erased, winner: None },
        Ok(Outcome::Expired) => {
            let error = Error::new(ErrorKind::Timeout, "the assignment expired before it could be written");
            Saved::Failed { error: error.with_effect(Effect::NotApplied) }
        }
        Ok(other) => {
            let context = format!("the store answered {other:?}, which is no answer to what it was asked");
            Saved::Failed { error: Error::new(ErrorKind::Unexpected, context) }
        }
        Err(error) => Saved::Failed { error },
    }
}
