//! What is tried, and what is answered where no node knew the outcome: the tables are `decide`'s own tests.

use std::time::Instant;

use stickystore_core::{Epoch, Key, Mark, Namespace, UserId, Value};

use super::*;
use crate::read::FoundRow;

const NOW: u64 = 1_700_000_000_000;

fn call() -> Call {
    Call::new(UnixMillis::new(NOW).unwrap(), Instant::now())
}

fn subject() -> Subject {
    Subject::new(Namespace::new("n").unwrap(), UserId::new("u").unwrap())
}

fn key() -> Key {
    Key::new("k").unwrap()
}

fn entry(value: &str) -> Entry {
    Entry::new(Value::string(value), Expiry::Never)
}

fn found(entry: Option<&Entry>) -> Found {
    let row = entry.map(|entry| {
        let (revision, expiry) = (entry.revision.to_string(), layout::expiry(entry.expiry));
        FoundRow::of(key(), Some(revision), Some(expiry), Slot::Live(entry.clone()))
    });
    Found { stance: Stance::Free, rows: row.into_iter().collect() }
}

/// A write of one change, with what no node knew once, and what was found then.
struct Doubted {
    write: Write,
    found: Found,
}

impl Doubted {
    fn of(change: Change, found: Found) -> Self {
        let write = Write::new(subject(), EpochCheck::Is(None), vec![change]).unwrap();
        Self { write, found }
    }

    /// The answer, or what is tried next.
    fn comes_to(&self) -> Result<Result<Outcome>, Statement> {
        let mut plan = Plan::new(&self.write, call(), Duration::ZERO, Limits::default());
        let part = 0..1;
        assert_eq!(plan.guess(&part).len(), 1);
        plan.undecided(&part);
        match plan.judge(&part, &self.found).first() {
            Some(ready) => Err(ready.statement),
            None => Ok(plan.finish().remove(0)),
        }
    }

    fn is_told(&self, wanted: &Outcome) {
        assert_eq!(self.comes_to().unwrap().as_ref().unwrap(), wanted);
    }

    fn is_unknown(&self) {
        let error = self.comes_to().unwrap().unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::Unknown));
    }

    fn is_tried_as(&self, wanted: Statement) {
        assert_eq!(self.comes_to().unwrap_err(), wanted);
    }
}

#[test]
fn what_stands_there_by_its_own_revision_was_applied() {
    let (new, read) = (entry("new"), Revision::random());
    Doubted::of(Change::Insert(key(), new.clone()), found(Some(&new))).is_told(&Outcome::Inserted);
    Doubted::of(Change::Put(key(), new.clone()), found(Some(&new))).is_told(&Outcome::Written);
    Doubted::of(Change::Replace(key(), read, new.clone()), found(Some(&new))).is_told(&Outcome::Replaced);
}

#[test]
fn what_is_as_it_was_before_was_not_applied_and_is_tried_again() {
    let (old, new) = (entry("old"), entry("new"));
    Doubted::of(Change::Insert(key(), new.clone()), found(None)).is_tried_as(Statement::PutAbsent);
    Doubted::of(Change::Replace(key(), old.revision, new), found(Some(&old))).is_tried_as(Statement::PutOver);
    Doubted::of(Change::RemoveIf(key(), old.revision), found(Some(&old))).is_tried_as(Statement::DeleteOver);
}

#[test]
fn an_insert_is_told_who_stands_there() {
    let other = entry("other");
    Doubted::of(Change::Insert(key(), entry("new")), found(Some(&other))).is_told(&Outcome::Kept(other));
}

#[test]
fn what_may_have_been_applied_and_undone_since_is_unknown() {
    let (other, new, read) = (entry("other"), entry("new"), Revision::random());
    for found_now in [|_: &Entry| found(None), |other: &Entry| found(Some(other))] {
        Doubted::of(Change::Put(key(), new.clone()), found_now(&other)).is_unknown();
        Doubted::of(Change::Replace(key(), read, new.clone()), found_now(&other)).is_unknown();
        Doubted::of(Change::RemoveIf(key(), read), found_now(&other)).is_unknown();
        Doubted::of(Change::Remove(key()), found_now(&other)).is_unknown();
    }
}

#[test]
fn what_may_have_been_applied_and_erased_since_is_not_written_again() {
    let (other, new) = (entry("other"), entry("new"));
    let erased = |found: Found| {
        let mark = Mark::new(Epoch::random(), UnixMillis::MAX);
        Found { stance: Stance::Marked(mark), ..found }
    };
    for check in [EpochCheck::Ignore, EpochCheck::Is(None)] {
        let doubted = |change, found| Doubted {
            write: Write::new(subject(), check, vec![change]).unwrap(),
            found: erased(found),
        };
        doubted(Change::Insert(key(), new.clone()), found(None)).is_unknown();
        doubted(Change::Put(key(), new.clone()), found(None)).is_unknown();
        let kept = Outcome::Kept(other.clone());
        doubted(Change::Insert(key(), new.clone()), found(Some(&other))).is_told(&kept);
        doubted(Change::Insert(key(), new.clone()), found(Some(&new))).is_told(&Outcome::Inserted);
    }
}

#[test]
fn the_rest_of_a_write_in_parts_does_not_outlive_an_erasure_of_the_first() {
    let large = "x".repeat(1_000_000);
    let name = |i: usize| Key::new(i.to_string()).unwrap();
    let mut changes: Vec<_> = (0..5).map(|i| Change::Put(name(i), entry(&large))).collect();
    changes.push(Change::Remove(name(5)));
    let write = Write::new(subject(), EpochCheck::Ignore, changes).unwrap();
    let marked = |epoch| Found { stance: Stance::Marked(Mark::new(epoch, UnixMillis::MAX)), rows: vec![] };
    let (first, second) = (Epoch::random(), Epoch::random());
    let (unmarked, marked_first) = (found(None), marked(first));
    for (before, after, is_erased) in [
        (&unmarked, marked(first), true),
        (&marked_first, marked(second), true),
        (&marked_first, marked(first), false),
        // The mark ended by itself.
        (&marked_first, found(None), false),
    ] {
        let mut plan = Plan::new(&write, call(), Duration::ZERO, Limits::default());
        let [one, two] = plan.parts().try_into().unwrap();
        plan.guess(&one);
        plan.refused(&one);
        assert_eq!(plan.judge(&one, before).len(), 4);
        plan.applied(&one);
        plan.guess(&two);
        plan.refused(&two);
        let tried = plan.judge(&two, &after).len();
        assert_eq!(tried, usize::from(!is_erased));
        plan.applied(&two);
        let answers: Vec<_> = plan.finish().into_iter().map(Result::unwrap).collect();
        let rest = if is_erased { Outcome::Erased } else { Outcome::Written };
        assert_eq!(answers[..4], vec![Outcome::Written; 4]);
        assert_eq!(answers[4..], [rest, Outcome::WasAbsent]);
    }
}

#[test]
fn an_exact_attempt_whose_row_still_stands_was_not_applied() {
    let other = entry("other");
    let write = Write::new(subject(), EpochCheck::Ignore, vec![Change::Put(key(), entry("new"))]).unwrap();
    let mut plan = Plan::new(&write, call(), Duration::ZERO, Limits::default());
    let (part, there) = (0..1, found(Some(&other)));
    assert_eq!(plan.judge(&part, &there).first().unwrap().statement, Statement::PutOver);
    plan.undecided(&part);
    assert_eq!(plan.judge(&part, &there).first().unwrap().statement, Statement::PutOver, "it is tried again");
    plan.undecided(&part);
    assert!(plan.judge(&part, &found(None)).is_empty());
    assert_eq!(plan.finish().remove(0).unwrap_err().effect(), Effect::Unknown);
}

#[test]
fn what_fails_while_in_doubt_is_unknown_and_not_applied_else() {
    let write = Write::new(subject(), EpochCheck::Is(None), vec![Change::Put(key(), entry("v"))]).unwrap();
    let error = Error::new(ErrorKind::Unavailable, "down").with_effect(Effect::NotApplied);
    for is_in_doubt in [false, true] {
        let mut plan = Plan::new(&write, call(), Duration::ZERO, Limits::default());
        plan.guess(&(0..1));
        if is_in_doubt {
            plan.undecided(&(0..1));
        } else {
            plan.refused(&(0..1));
        }
        plan.failed(&(0..1), &error);
        let effect = plan.finish().remove(0).unwrap_err().effect();
        assert_eq!(effect, if is_in_doubt { Effect::Unknown } else { Effect::NotApplied });
    }
}

#[test]
fn an_exact_attempt_names_the_mark_that_was_found() {
    let write = Write::new(subject(), EpochCheck::Ignore, vec![Change::Put(key(), entry("v"))]).unwrap();
    let mut plan = Plan::new(&write, call(), Duration::ZERO, Limits::default());
    let mark = Mark::new(Epoch::from_bytes([0; 8]), UnixMillis::MAX);
    let there = Found { stance: Stance::Marked(mark), rows: Vec::new() };
    let ready = plan.judge(&(0..1), &there);
    let ready = ready.first().unwrap();
    assert_eq!(ready.statement, Statement::PutAbsent);
    assert_eq!(ready.values.last(), Some(&Bound::Own(mark.epoch.to_string())));
}

#[test]
fn what_is_too_large_for_one_mutation_goes_in_parts_and_a_large_change_alone() {
    let changes = |sizes: &[usize]| {
        let change = |(i, size): (usize, &usize)| {
            Change::Insert(Key::new(i.to_string()).unwrap(), entry(&"x".repeat(*size)))
        };
        let changes = sizes.iter().enumerate().map(change).collect();
        Write::new(subject(), EpochCheck::Is(None), changes).unwrap()
    };
    let parts = |sizes: &[usize]| -> Vec<(usize, usize)> {
        let write = changes(sizes);
        Plan::new(&write, call(), Duration::ZERO, Limits::default())
            .parts()
            .into_iter()
            .map(|part| (part.start, part.end))
            .collect()
    };
    assert_eq!(parts(&[]), []);
    assert_eq!(parts(&[1; 1_024]), [(0, 1_024)]);
    assert_eq!(parts(&[1_000_000; 9]), [(0, 4), (4, 8), (8, 9)]);
}
