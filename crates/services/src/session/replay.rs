//! A VWO record whose commit lost a race, or whose user could not be read: set again, on what stands there now. No I/O.

use std::collections::VecDeque;

use stickystore_core::{Call, Key, Outcome, Profile, Read, Result, Subject, Write};

use super::overlay::{Shape, State};
use super::report::CommitReport;
use super::said::Said;
use crate::report::{SaveReport, Saved};
use crate::settings::Settings;
use crate::vwo::{Record, Set, Step};

/// The records of a campaign that are set again, in their order.
pub(super) struct Replay {
    subject: Subject,
    key: Key,
    settings: Settings,
    call: Call,
    /// Whether a write of them has lost before.
    follows: bool,
    /// How many there were.
    count: usize,
    records: VecDeque<Record>,
    state: Running,
    said: Option<Said>,
}

enum Running {
    /// Until it is known that the first write has lost; then it runs.
    Waits,
    Reads(Box<Set>, Read),
    Writes(Box<Set>, Write),
    Done,
}

impl Replay {
    pub(super) fn new(
        subject: Subject,
        key: Key,
        records: &[Record],
        settings: &Settings,
        call: Call,
        waits: bool,
    ) -> Self {
        let mut replay = Self {
            subject,
            key,
            settings: settings.clone(),
            call,
            follows: waits,
            count: records.len(),
            records: records.iter().cloned().collect(),
            state: Running::Waits,
            said: None,
        };
        if !waits {
            replay.start();
        }
        replay
    }

    pub(super) fn start(&mut self) {
        self.next_record();
    }

    pub(super) fn is_of(&self, subject: &Subject, key: &Key) -> bool {
        self.subject == *subject && self.key == *key
    }

    pub(super) fn subject(&self) -> &Subject {
        &self.subject
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, Running::Reads(..) | Running::Writes(..))
    }

    pub(super) fn has_run(&self) -> bool {
        matches!(self.state, Running::Done)
    }

    /// Whether something else stands there than was set.
    pub(super) fn has_lost(&self) -> bool {
        self.said.as_ref().is_some_and(|said| matches!(said.saved, Saved::Kept { .. }))
    }

    pub(super) fn read(&self) -> Option<Read> {
        match &self.state {
            Running::Reads(_, read) => Some(read.clone()),
            _ => None,
        }
    }

    pub(super) fn write(&self) -> Option<Write> {
        match &self.state {
            Running::Writes(_, write) => Some(write.clone()),
            _ => None,
        }
    }

    pub(super) fn was_read(&mut self, answer: Result<Profile>) {
        if let Running::Reads(mut set, _) = std::mem::replace(&mut self.state, Running::Done) {
            set.was_read(answer);
            self.go_on(set);
        }
    }

    pub(super) fn was_written(&mut self, answer: Result<Outcome>) {
        if let Running::Writes(mut set, _) = std::mem::replace(&mut self.state, Running::Done) {
            set.was_written(answer);
            self.go_on(set);
        }
    }

    pub(super) fn finish(self, state: &mut State, report: &mut CommitReport) {
        let Ok(user) = state.user(self.subject.user.as_str()) else { return };
        let Running::Done = self.state else { return };
        if let Some(records) = user.records.get_mut(&self.key) {
            records.drain(..self.count.min(records.len()));
            if records.is_empty() {
                user.records.remove(&self.key);
            }
        }
        if let Some(said) = self.said {
            report.tell(self.subject.user.as_str(), self.key.as_str(), said);
        }
    }

    fn next_record(&mut self) {
        self.state = Running::Done;
        let Some(record) = self.records.pop_front() else { return };
        match Set::new(&record, &self.settings, self.call) {
            Ok(set) => self.go_on(Box::new(if self.follows { set.after_another() } else { set })),
            Err(error) => self.say(Saved::Failed { error }, Vec::new()),
        }
    }

    fn go_on(&mut self, mut set: Box<Set>) {
        match set.next() {
            Ok(Step::Read(_, read)) => self.state = Running::Reads(set, read),
            Ok(Step::Write(_, write)) => self.state = Running::Writes(set, write),
            Ok(Step::Done(report)) => self.hear(&report),
            Err(error) => self.say(Saved::Failed { error }, Vec::new()),
        }
    }

    fn hear(&mut self, report: &SaveReport) {
        let key = self.key.as_str();
        let saved = report.get(key).cloned().unwrap_or(Saved::Unchanged);
        self.say(saved, report.goals_added(key).to_vec());
    }

    fn say(&mut self, saved: Saved, goals_added: Vec<String>) {
        let later = Said { shape: Shape::Vwo, saved, goals_added };
        match &mut self.said {
            Some(said) => said.and(later),
            None => self.said = Some(later),
        }
        self.next_record();
    }
}
