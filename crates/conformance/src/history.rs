//! Histories of one entry, and whether they are linearizable: whether every answer can be explained by the calls
//! having happened one after the other, each at some moment between its beginning and its end.
//!
//! The search is Wing and Gong's with Lowe's memory of what was tried. What one call does to the entry is written
//! by hand here, and not taken from the core that stores use: it is what stores are compared with.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// The most events of one history: a bit each.
const MAX_EVENTS: usize = 64;

/// What matters of an entry here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Stamp {
    pub(crate) revision: u64,
    pub(crate) value: u64,
}

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Get,
    Insert(Stamp),
    Put(Stamp),
    Replace(u64, Stamp),
    Remove,
    RemoveIf(u64),
}

/// What was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Found(Option<Stamp>),
    Inserted,
    Written,
    Replaced,
    Unchanged,
    Removed,
    WasAbsent,
    Kept(Stamp),
    Gone,
    /// A failure of unknown effect: it may have happened, may happen at any later moment, or never.
    Unknown,
}

/// One call with its answer, and when each was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event {
    pub(crate) task: usize,
    pub(crate) began: u64,
    pub(crate) ended: u64,
    pub(crate) ask: Ask,
    pub(crate) answer: Answer,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { task, began, ended, ask, answer } = self;
        write!(f, "{began:3} to {ended:3}, task {task}: {ask:?} -> {answer:?}")
    }
}

/// The clock of a history: it moves with every look.
#[derive(Debug, Default)]
pub(crate) struct Ticks(AtomicU64);

impl Ticks {
    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// Whether some order of these calls on an entry that was absent explains every answer.
pub(crate) fn is_linearizable(history: &[Event]) -> bool {
    assert!(history.len() <= MAX_EVENTS, "a history is short");
    Search { history, tried: HashSet::new() }.goes_on(0, None)
}

struct Search<'a> {
    history: &'a [Event],
    /// What was placed, and what stood then, without a way on.
    tried: HashSet<(u64, Option<Stamp>)>,
}

impl Search<'_> {
    /// Whether the events that are not in `placed` can follow in some order, beginning with `stands`.
    fn goes_on(&mut self, placed: u64, stands: Option<Stamp>) -> bool {
        let left = || self.history.iter().enumerate().filter(|(at, _)| placed & (1 << at) == 0);
        let answered = |event: &Event| event.answer != Answer::Unknown;
        if !left().any(|(_, event)| answered(event)) {
            return true;
        }
        if !self.tried.insert((placed, stands)) {
            return false;
        }
        // Whatever comes next began before any that is left had ended.
        let first_end = left().filter(|(_, event)| answered(event)).map(|(_, event)| event.ended).min();
        let history = self.history;
        for (at, event) in history.iter().enumerate() {
            let is_next = placed & (1 << at) == 0 && first_end.is_none_or(|end| event.began < end);
            if !is_next {
                continue;
            }
            let (then, answer) = happen(stands, event.ask);
            let explained = answer == event.answer || event.answer == Answer::Unknown;
            if explained && self.goes_on(placed | (1 << at), then) {
                return true;
            }
        }
        false
    }
}

/// What one call does to what stands, and what it answers.
fn happen(stands: Option<Stamp>, ask: Ask) -> (Option<Stamp>, Answer) {
    match (ask, stands) {
        (Ask::Get, found) => (found, Answer::Found(found)),
        (Ask::Put(new), _) => (Some(new), Answer::Written),
        (Ask::Insert(new), None) => (Some(new), Answer::Inserted),
        (Ask::Insert(new), Some(old)) if new.revision == old.revision => (stands, Answer::Inserted),
        (Ask::Insert(_), Some(old)) => (stands, Answer::Kept(old)),
        (Ask::Replace(..), None) => (None, Answer::Gone),
        (Ask::Replace(_, new), Some(old)) if new.revision == old.revision => (stands, Answer::Replaced),
        (Ask::Replace(read, new), Some(old)) if read == old.revision && new.value == old.value => {
            (stands, Answer::Unchanged)
        }
        (Ask::Replace(read, new), Some(old)) if read == old.revision => (Some(new), Answer::Replaced),
        (Ask::Replace(..), Some(old)) => (stands, Answer::Kept(old)),
        (Ask::Remove | Ask::RemoveIf(_), None) => (None, Answer::WasAbsent),
        (Ask::Remove, Some(_)) => (None, Answer::Removed),
        (Ask::RemoveIf(read), Some(old)) if read == old.revision => (None, Answer::Removed),
        (Ask::RemoveIf(_), Some(old)) => (stands, Answer::Kept(old)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Stamp = Stamp { revision: 1, value: 1 };
    const B: Stamp = Stamp { revision: 2, value: 2 };
    const C: Stamp = Stamp { revision: 3, value: 3 };

    fn holds(events: &[(u64, u64, Ask, Answer)]) -> bool {
        let event = |(task, &(began, ended, ask, answer))| Event { task, began, ended, ask, answer };
        is_linearizable(&events.iter().enumerate().map(event).collect::<Vec<_>>())
    }

    #[test]
    fn nothing_at_all_is_a_history() {
        assert!(holds(&[]));
    }

    #[test]
    fn one_after_the_other_is_accepted() {
        assert!(holds(&[
            (0, 1, Ask::Get, Answer::Found(None)),
            (2, 3, Ask::Insert(A), Answer::Inserted),
            (4, 5, Ask::Insert(B), Answer::Kept(A)),
            (6, 7, Ask::Replace(1, B), Answer::Replaced),
            (8, 9, Ask::Replace(1, C), Answer::Kept(B)),
            (10, 11, Ask::RemoveIf(2), Answer::Removed),
            (12, 13, Ask::Get, Answer::Found(None)),
        ]));
    }

    #[test]
    fn an_order_that_differs_from_the_beginnings_is_found() {
        // The insert began first, and yet the get that began later still found nothing.
        assert!(holds(&[
            (0, 5, Ask::Insert(A), Answer::Inserted),
            (1, 2, Ask::Get, Answer::Found(None)),
            (3, 4, Ask::Get, Answer::Found(Some(A))),
        ]));
    }

    #[test]
    fn two_winners_are_rejected() {
        assert!(!holds(&[
            (0, 2, Ask::Insert(A), Answer::Inserted),
            (1, 3, Ask::Insert(B), Answer::Inserted),
        ]));
    }

    #[test]
    fn a_lost_update_is_rejected() {
        assert!(!holds(&[
            (0, 1, Ask::Insert(A), Answer::Inserted),
            (2, 4, Ask::Replace(1, B), Answer::Replaced),
            (3, 5, Ask::Replace(1, C), Answer::Replaced),
        ]));
    }

    #[test]
    fn a_stale_read_after_an_acknowledged_write_is_rejected() {
        let stale = (2, 3, Ask::Get, Answer::Found(None));
        assert!(!holds(&[(0, 1, Ask::Insert(A), Answer::Inserted), stale]));
        assert!(holds(&[(0, 2, Ask::Insert(A), Answer::Inserted), (1, 3, stale.2, stale.3)]));
    }

    #[test]
    fn a_read_that_goes_back_is_rejected() {
        assert!(!holds(&[
            (0, 5, Ask::Put(A), Answer::Written),
            (1, 2, Ask::Get, Answer::Found(Some(A))),
            (3, 4, Ask::Get, Answer::Found(None)),
        ]));
    }

    #[test]
    fn a_wrong_winner_is_rejected() {
        assert!(!holds(
            &[(0, 1, Ask::Insert(A), Answer::Inserted), (2, 3, Ask::Insert(B), Answer::Kept(C)),]
        ));
    }

    #[test]
    fn a_refusal_that_wrote_is_rejected() {
        assert!(!holds(&[
            (0, 1, Ask::Insert(A), Answer::Inserted),
            (2, 3, Ask::Insert(B), Answer::Kept(A)),
            (4, 5, Ask::Get, Answer::Found(Some(B))),
        ]));
    }

    #[test]
    fn an_entry_of_two_halves_is_rejected() {
        let mixed = Stamp { revision: B.revision, value: A.value };
        assert!(!holds(&[
            (0, 1, Ask::Put(A), Answer::Written),
            (2, 5, Ask::Put(B), Answer::Written),
            (3, 4, Ask::Get, Answer::Found(Some(mixed))),
        ]));
    }

    #[test]
    fn an_unknown_effect_explains_both_and_never_a_third() {
        let unknown = (0, 1, Ask::Insert(A), Answer::Unknown);
        assert!(holds(&[unknown, (2, 3, Ask::Get, Answer::Found(None))]));
        assert!(holds(&[unknown, (2, 3, Ask::Get, Answer::Found(Some(A)))]));
        let late = [(2, 3, Ask::Get, Answer::Found(None)), (4, 5, Ask::Get, Answer::Found(Some(A)))];
        assert!(holds(&[unknown, late[0], late[1]]));
        assert!(!holds(&[unknown, late[1], (6, 7, Ask::Get, Answer::Found(None))]));
        assert!(!holds(&[unknown, (2, 3, Ask::Get, Answer::Found(Some(B)))]));
    }

    #[test]
    fn a_value_twice_is_not_a_revision_twice() {
        let anew = Stamp { revision: 9, value: A.value };
        assert!(!holds(&[
            (0, 1, Ask::Insert(A), Answer::Inserted),
            (2, 3, Ask::Put(anew), Answer::Written),
            (4, 5, Ask::Replace(A.revision, B), Answer::Replaced),
        ]));
    }

    #[test]
    fn many_at_once_are_searched_in_time() {
        // All overlap and one answer has no explanation, so everything has to be tried.
        let mut events: Vec<_> = (0..12)
            .map(|at| (at, 100 + at, Ask::Put(Stamp { revision: at, value: 0 }), Answer::Written))
            .collect();
        events.push((50, 60, Ask::Get, Answer::Found(Some(C))));
        events[3].2 = Ask::Get;
        events[3].3 = Answer::Found(None);
        assert!(!holds(&events), "the third put was not there to be found");
    }
}
