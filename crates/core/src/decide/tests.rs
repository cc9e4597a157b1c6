//! Every cell of the tables, written out a second time as data.

use super::*;
use crate::id::Key;
use crate::revision::Epoch;
use crate::time::Expiry;
use crate::value::Value;

const NOW: u64 = 1_000_000;
const R: [u8; 8] = [1; 8];
const NEW: [u8; 8] = [2; 8];
const OTHER: [u8; 8] = [3; 8];

fn ms(millis: u64) -> UnixMillis {
    UnixMillis::new(millis).unwrap()
}

fn entry(value: &str, revision: [u8; 8], until: u64) -> Entry {
    Entry::new(Value::string(value), Expiry::At(ms(until))).with_revision(Revision::from_bytes(revision))
}

fn new() -> Entry {
    entry("new", NEW, NOW + 500)
}

fn key() -> Key {
    Key::new("k").unwrap()
}

fn changes() -> [Change; 5] {
    let r = Revision::from_bytes(R);
    [
        Change::Insert(key(), new()),
        Change::Put(key(), new()),
        Change::Replace(key(), r, new()),
        Change::Remove(key()),
        Change::RemoveIf(key(), r),
    ]
}

fn answer(change: &Change, stored: Stored<'_>) -> (String, Act) {
    let decision = decide(change, stored, EpochCheck::Ignore, None, ms(NOW));
    let outcome = match decision.outcome {
        Ok(Outcome::Kept(entry)) => format!("Kept {}", entry.value.as_str()),
        Ok(outcome) => format!("{outcome:?}"),
        Err(error) => format!("{:?}", error.kind()),
    };
    (outcome, decision.act)
}

#[test]
fn every_cell_of_the_outcome_table() {
    use Act::{Delete, Nothing, Write};
    let expired_r = entry("old", R, NOW);
    let live_r = entry("old", R, NOW + 1);
    let live_r_equal = entry("new", R, NOW + 1);
    let live_own = entry("old", NEW, NOW + 1);
    let live_other = entry("other", OTHER, NOW + 1);
    let live_other_equal = entry("new", OTHER, NOW + 1);
    let kept = "Kept \"other\"";
    let kept_equal = "Kept \"new\"";
    let kept_old = "Kept \"old\"";
    #[rustfmt::skip]
    let table = [
        //                                     Insert                  Put                 Replace(r)             Remove                 RemoveIf(r)
        (Stored::Absent,                  [("Inserted", Write),  ("Written", Write), ("Gone", Nothing),     ("WasAbsent", Nothing), ("WasAbsent", Nothing)]),
        (Stored::Entry(&expired_r),       [("Inserted", Write),  ("Written", Write), ("Gone", Nothing),     ("WasAbsent", Nothing), ("WasAbsent", Nothing)]),
        (Stored::Entry(&live_r),          [(kept_old, Nothing),  ("Written", Write), ("Replaced", Write),   ("Removed", Delete),    ("Removed", Delete)]),
        (Stored::Entry(&live_r_equal),    [(kept_equal, Nothing), ("Written", Write), ("Unchanged", Nothing), ("Removed", Delete),  ("Removed", Delete)]),
        (Stored::Entry(&live_own),        [("Inserted", Nothing), ("Written", Write), ("Replaced", Nothing), ("Removed", Delete),   (kept_old, Nothing)]),
        (Stored::Entry(&live_other),      [(kept, Nothing),      ("Written", Write), (kept, Nothing),       ("Removed", Delete),    (kept, Nothing)]),
        (Stored::Entry(&live_other_equal), [(kept_equal, Nothing), ("Written", Write), (kept_equal, Nothing), ("Removed", Delete),  (kept_equal, Nothing)]),
        (Stored::Damaged,                 [("Corrupt", Nothing), ("Written", Write), ("Corrupt", Nothing),  ("Removed", Delete),    ("Corrupt", Nothing)]),
    ];
    for (stored, row) in table {
        for (change, (outcome, act)) in changes().iter().zip(row) {
            assert_eq!(answer(change, stored), (outcome.to_owned(), act), "{change:?} on {stored:?}");
        }
    }
}

#[test]
fn every_cell_of_the_epoch_table() {
    let mark = |epoch: u8, until| Some(Mark { epoch: Epoch::from_bytes([epoch; 8]), until: ms(until) });
    let is = |epoch: u8| EpochCheck::Is(Some(Epoch::from_bytes([epoch; 8])));
    #[rustfmt::skip]
    let table = [
        //                   none   ended            same                 another
        (EpochCheck::Ignore,   [true,  true,  true,  true]),
        (EpochCheck::Is(None), [true,  true,  false, false]),
        (is(1),                [false, false, true,  false]),
    ];
    for (check, row) in table {
        let marks = [None, mark(1, NOW), mark(1, NOW + 1), mark(2, NOW + 1)];
        for (mark, pass) in marks.into_iter().zip(row) {
            assert_eq!(passes(check, mark, ms(NOW)), pass, "{check:?} against {mark:?}");
        }
    }
}

#[test]
fn a_failed_epoch_check_stops_only_what_would_create() {
    let mark = Some(Mark { epoch: Epoch::random(), until: ms(NOW + 1) });
    let live = entry("old", R, NOW + 1);
    let expired = entry("old", R, NOW);
    let judge = |change: &Change, stored| {
        let decision = decide(change, stored, EpochCheck::Is(None), mark, ms(NOW));
        (decision.outcome.map_err(|error| error.kind()), decision.act)
    };
    let [insert, put, replace, remove, remove_if] = changes();
    let erased = (Ok(Outcome::Erased), Act::Nothing);
    for stored in [Stored::Absent, Stored::Entry(&expired), Stored::Damaged] {
        assert_eq!(judge(&insert, stored), erased);
        assert_eq!(judge(&put, stored), erased);
    }
    assert_eq!(judge(&put, Stored::Entry(&live)), erased);
    assert_eq!(judge(&insert, Stored::Entry(&live)), (Ok(Outcome::Kept(live.clone())), Act::Nothing));
    assert_eq!(judge(&replace, Stored::Entry(&live)), (Ok(Outcome::Replaced), Act::Write));
    assert_eq!(judge(&remove, Stored::Entry(&live)), (Ok(Outcome::Removed), Act::Delete));
    assert_eq!(judge(&remove_if, Stored::Entry(&live)), (Ok(Outcome::Removed), Act::Delete));
    assert_eq!(judge(&replace, Stored::Absent), (Ok(Outcome::Gone), Act::Nothing));
}

#[test]
fn an_expired_change_is_answered_before_anything_else() {
    let mark = Some(Mark { epoch: Epoch::random(), until: ms(NOW + 1) });
    let late = entry("new", NEW, NOW);
    let live = entry("old", R, NOW + 1);
    let changes = [
        Change::Insert(key(), late.clone()),
        Change::Put(key(), late.clone()),
        Change::Replace(key(), Revision::from_bytes(R), late),
    ];
    for change in &changes {
        for stored in [Stored::Absent, Stored::Entry(&live), Stored::Damaged] {
            let decision = decide(change, stored, EpochCheck::Is(None), mark, ms(NOW));
            assert_eq!((decision.outcome.unwrap(), decision.act), (Outcome::Expired, Act::Nothing));
        }
        assert_eq!(foreign(change, ms(NOW)).unwrap(), Outcome::Expired);
    }
    assert_eq!(foreign(&Change::Remove(key()), ms(NOW)).unwrap_err().kind(), ErrorKind::Corrupt);
}

fn erase(epoch: u8, until: u64) -> Erase {
    let user = crate::id::UserId::new("u").unwrap();
    let subject = crate::id::Subject::new(crate::id::Namespace::new("n").unwrap(), user);
    Erase { subject, epoch: Epoch::from_bytes([epoch; 8]), mark_until: ms(until) }
}

#[test]
fn a_retried_erase_finds_its_own_epoch_and_leaves_what_is_newer() {
    let mark = Mark { epoch: Epoch::from_bytes([1; 8]), until: ms(NOW + 9) };
    let retry = decide_erase(&erase(1, NOW + 9), Some(mark), false, ms(NOW)).unwrap();
    assert_eq!(retry, EraseDecision { stood: true, leave: None });
}

#[test]
fn so_does_one_that_is_numbered_and_behind_another_it_is_not_what_it_was() {
    let first = erase(1, NOW + 9);
    let mark = |erase: &Erase| Mark { epoch: erase.epoch, until: ms(NOW + 9) };
    let retry = first.clone().attempt(1);
    let own = decide_erase(&retry, Some(mark(&first)), false, ms(NOW)).unwrap();
    assert_eq!(own, EraseDecision { stood: true, leave: None });
    let late = decide_erase(&first, Some(mark(&retry)), false, ms(NOW)).unwrap();
    assert_eq!(late, EraseDecision { stood: true, leave: None });
    let behind = decide_erase(&retry, Some(mark(&erase(2, NOW + 9))), false, ms(NOW)).unwrap();
    assert_ne!(behind.leave.unwrap().epoch, first.epoch);
}

#[test]
fn a_later_erase_takes_over_and_never_shortens_the_mark() {
    let mark = Mark { epoch: Epoch::from_bytes([1; 8]), until: ms(NOW + 9) };
    let later = decide_erase(&erase(2, NOW + 5), Some(mark), true, ms(NOW)).unwrap();
    let left = Mark { epoch: Epoch::from_bytes([2; 8]), until: ms(NOW + 9) };
    assert_eq!(later, EraseDecision { stood: true, leave: Some(left) });
    let after_its_end = decide_erase(&erase(2, NOW + 15), Some(mark), false, ms(NOW + 9)).unwrap();
    assert_eq!(after_its_end.leave.unwrap().until, ms(NOW + 15));
}

#[test]
fn an_erase_that_could_leave_no_mark_is_refused() {
    let error = decide_erase(&erase(1, NOW), None, true, ms(NOW)).unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Invalid, Effect::NotApplied));
}
