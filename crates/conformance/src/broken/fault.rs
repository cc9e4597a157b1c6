//! What a fault can get its hands on: every step of a call, sound unless the fault does it otherwise.
//!
//! Below the trait are the faults that need only one function; larger ones stand with their group.

use stickystore_core::decide::{Decision, EraseDecision, Stored, decide, decide_erase};
use stickystore_core::{
    Call, Change, Cursor, Entry, Epoch, EpochCheck, Erase, Key, Mark, Namespace, Operation, Outcome, Page,
    Profile, Read, Result, Subject, UnixMillis, UserId, Write,
};

use super::bench::{Bench, altered};
use super::state::State;

/// A promise that is broken: one or two of these methods, the others sound.
pub(super) trait Fault: Send + Sync + 'static {
    /// Where a user is stored.
    fn subject(&self, subject: &Subject) -> Subject {
        subject.clone()
    }

    /// Where an entry is stored.
    fn at(&self, subject: &Subject, key: &Key) -> (Subject, Key) {
        (self.subject(subject), key.clone())
    }

    /// What a stored key is called when all of this user's entries are read; nothing if it is not the user's.
    fn shown(&self, _subject: &Subject, stored: &Key) -> Option<Key> {
        Some(stored.clone())
    }

    /// How a written entry is stored over what stood there.
    fn stored(&self, new: &Entry, _before: Option<&Entry>, _now: UnixMillis) -> Entry {
        new.clone()
    }

    /// Whether reads show an entry.
    fn is_shown(&self, entry: &Entry, now: UnixMillis) -> bool {
        entry.is_live(now)
    }

    /// The epoch that reads give.
    fn epoch(&self, mark: Option<Mark>, now: UnixMillis) -> Option<Epoch> {
        mark.filter(|mark| mark.is_live(now)).map(|mark| mark.epoch)
    }

    /// What a change does.
    fn judge(&self, question: &Question<'_>) -> Decision {
        question.answer()
    }

    /// What an erase does.
    fn judge_erase(
        &self,
        erase: &Erase,
        mark: Option<Mark>,
        stood: bool,
        now: UnixMillis,
    ) -> Result<EraseDecision> {
        decide_erase(erase, mark, stood, now)
    }

    /// What happened on the server before this call.
    fn settle(&self, _state: &mut State, _call: Call) {}

    /// What a write sweeps of its user.
    fn sweep(&self, state: &mut State, subject: &Subject, call: Call) {
        super::bench::sweep(state, subject, call.now, super::bench::GRACE);
    }

    /// The checks before every item.
    fn admit(&self, bench: &Bench, call: Call, operation: Operation) -> Result<()> {
        bench.admit(call, operation)
    }

    /// One read, in one step.
    fn profile(&self, bench: &Bench, state: &mut State, read: &Read, call: Call) -> Result<Profile> {
        bench.profile(state, read, call.now)
    }

    /// One user's write, in one step.
    fn write_user(
        &self,
        bench: &Bench,
        state: &mut State,
        write: &Write,
        call: Call,
    ) -> Vec<Result<Outcome>> {
        bench.write_user(state, write, call)
    }

    /// One change, in one step.
    fn change(
        &self,
        bench: &Bench,
        state: &mut State,
        write: &Write,
        change: &Change,
        call: Call,
    ) -> Result<Outcome> {
        bench.change(state, write, change, call)
    }

    /// One erase, in one step.
    fn erase_user(&self, bench: &Bench, state: &mut State, erase: &Erase, call: Call) -> Result<bool> {
        bench.erase_user(state, erase, call.now)
    }

    /// A call of `read`.
    fn read(&self, bench: &Bench, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        bench.read_all(call, reads)
    }

    /// A call of `write`.
    fn write(&self, bench: &Bench, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        bench.write_all(call, writes)
    }

    /// A call of `erase`.
    fn erase(&self, bench: &Bench, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        bench.erase_all(call, erases)
    }

    /// A call of `ping`.
    fn ping(&self, bench: &Bench, call: Call) -> Result<()> {
        self.admit(bench, call, Operation::Ping)
    }

    /// A call of `close`.
    fn close(&self, bench: &Bench, _call: Call) -> Result<()> {
        bench.close_all();
        Ok(())
    }

    /// Whether a scan of `wanted` goes through the users of `namespace`.
    fn is_scanned(&self, wanted: &Namespace, namespace: &Namespace) -> bool {
        wanted == namespace
    }

    /// A call of `scan_page`.
    fn page(
        &self,
        bench: &Bench,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        self.admit(bench, call, Operation::Scan)?;
        let mut state = bench.state();
        self.settle(&mut state, call);
        Ok(bench.page(&state, namespace, cursor, limit, call.now))
    }

    /// What `Debug` shows of the data.
    fn debug(&self, _bench: &Bench) -> Option<String> {
        None
    }

    /// A clone of the handle.
    fn cloned(&self, bench: &Bench) -> Bench {
        bench.alias()
    }
}

/// What [`Fault::judge`] is asked.
pub(super) struct Question<'a> {
    pub(super) change: &'a Change,
    pub(super) stored: Stored<'a>,
    pub(super) check: EpochCheck,
    pub(super) mark: Option<Mark>,
    pub(super) now: UnixMillis,
}

impl<'a> Question<'a> {
    /// The right answer.
    pub(super) fn answer(&self) -> Decision {
        decide(self.change, self.stored, self.check, self.mark, self.now)
    }

    /// The right answer if this were asked under another check.
    pub(super) fn answer_under(&self, check: EpochCheck) -> Decision {
        decide(self.change, self.stored, check, self.mark, self.now)
    }

    /// The right answer if this stood there.
    pub(super) fn answer_over(&self, stored: Stored<'a>) -> Decision {
        decide(self.change, stored, self.check, self.mark, self.now)
    }

    /// The live entry that stands there.
    pub(super) fn live(&self) -> Option<&'a Entry> {
        match self.stored {
            Stored::Entry(entry) if entry.is_live(self.now) => Some(entry),
            _ => None,
        }
    }
}

/// No fault.
pub(super) struct Sound;

impl Fault for Sound {}

/// Users and keys are stored under an altered name.
pub(super) struct Ids(pub(super) fn(&str) -> String);

impl Ids {
    fn alter(&self, id: &str) -> String {
        Some((self.0)(id)).filter(|id| !id.is_empty()).unwrap_or_else(|| "_".to_owned())
    }
}

impl Fault for Ids {
    fn subject(&self, subject: &Subject) -> Subject {
        let user = UserId::new(self.alter(subject.user.as_str())).unwrap();
        Subject::new(subject.namespace.clone(), user)
    }

    fn at(&self, subject: &Subject, key: &Key) -> (Subject, Key) {
        (self.subject(subject), Key::new(self.alter(key.as_str())).unwrap())
    }
}

/// Written entries are altered; what stood there is known.
pub(super) struct Stores(pub(super) fn(&mut Entry, Option<&Entry>, UnixMillis));

impl Fault for Stores {
    fn stored(&self, new: &Entry, before: Option<&Entry>, now: UnixMillis) -> Entry {
        altered(new, |entry| (self.0)(entry, before, now))
    }
}

/// Reads show other entries than those that are live.
pub(super) struct Shows(pub(super) fn(&Entry, UnixMillis) -> bool);

impl Fault for Shows {
    fn is_shown(&self, entry: &Entry, now: UnixMillis) -> bool {
        (self.0)(entry, now)
    }
}

/// Changes are judged by another table.
pub(super) struct Judges(pub(super) fn(&Question<'_>) -> Decision);

impl Fault for Judges {
    fn judge(&self, question: &Question<'_>) -> Decision {
        (self.0)(question)
    }
}

/// Erases are judged otherwise.
pub(super) struct JudgesErase(pub(super) fn(&Erase, Option<Mark>, bool, UnixMillis) -> Result<EraseDecision>);

impl Fault for JudgesErase {
    fn judge_erase(
        &self,
        erase: &Erase,
        mark: Option<Mark>,
        stood: bool,
        now: UnixMillis,
    ) -> Result<EraseDecision> {
        (self.0)(erase, mark, stood, now)
    }
}

/// After a change, something is done to the user that should not be.
pub(super) struct After(pub(super) fn(&mut State, &Subject, &Change, &Result<Outcome>, Call));

impl Fault for After {
    fn change(
        &self,
        bench: &Bench,
        state: &mut State,
        write: &Write,
        change: &Change,
        call: Call,
    ) -> Result<Outcome> {
        let outcome = bench.change(state, write, change, call);
        (self.0)(state, write.subject(), change, &outcome, call);
        outcome
    }
}

/// Before a change, something is done to the user that should not be.
pub(super) struct Before(pub(super) fn(&mut State, &Subject, &Change, Call));

impl Fault for Before {
    fn change(
        &self,
        bench: &Bench,
        state: &mut State,
        write: &Write,
        change: &Change,
        call: Call,
    ) -> Result<Outcome> {
        (self.0)(state, write.subject(), change, call);
        bench.change(state, write, change, call)
    }
}

/// A read is answered otherwise than it should be.
pub(super) struct Answers(pub(super) fn(&mut State, &Read, Result<Profile>, Call) -> Result<Profile>);

impl Fault for Answers {
    fn profile(&self, bench: &Bench, state: &mut State, read: &Read, call: Call) -> Result<Profile> {
        let answer = bench.profile(state, read, call.now);
        (self.0)(state, read, answer, call)
    }
}

/// A page of a scan is altered before it is given out.
pub(super) struct Pages(pub(super) fn(&mut Page, Option<&Cursor>, usize));

impl Fault for Pages {
    fn page(
        &self,
        bench: &Bench,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        self.admit(bench, call, Operation::Scan)?;
        let mut page = bench.page(&bench.state(), namespace, cursor, limit, call.now);
        (self.0)(&mut page, cursor, limit);
        Ok(page)
    }
}
