//! Stores that judge a change otherwise than the outcome tables.

use stickystore_core::decide::{Act, Decision, Stored};
use stickystore_core::json;
use stickystore_core::{Change, EpochCheck, Expiry, Outcome, Revision};

use super::BrokenStore;
use super::bench::{altered, opened};
use super::fault::{After, Judges, Question};

pub(super) const STORES: &[BrokenStore] = &[
    BrokenStore {
        name: "Unchanged rewrites the expiry",
        breaks: "`Unchanged` writes nothing: the expiry stays",
        open: || {
            opened(After(|state, subject, change, outcome, _| {
                if let (Ok(Outcome::Unchanged), Some(new)) = (outcome, change.entry())
                    && let Some(stored) = state.entry_mut(subject, change.key())
                {
                    stored.expiry = new.expiry;
                }
            }))
        },
    },
    BrokenStore {
        name: "Unchanged rewrites the revision",
        breaks: "`Unchanged` writes nothing: the revision stays",
        open: || {
            opened(After(|state, subject, change, outcome, _| {
                if let (Ok(Outcome::Unchanged), Some(new)) = (outcome, change.entry())
                    && let Some(stored) = state.entry_mut(subject, change.key())
                {
                    stored.revision = new.revision;
                }
            }))
        },
    },
    BrokenStore {
        name: "an insert of an equal value answers Inserted",
        breaks: "an insert on a taken key is Kept, also when equal",
        open: || {
            opened(Judges(|question| match (question.change, question.live()) {
                (Change::Insert(_, new), Some(live)) if live.value == new.value => leave(Outcome::Inserted),
                _ => question.answer(),
            }))
        },
    },
    BrokenStore {
        name: "a retried insert answers Kept",
        breaks: "an insert that is sent again finds its own revision",
        open: || {
            opened(Judges(|question| match (question.change, question.live()) {
                (Change::Insert(..), Some(live)) => leave(Outcome::Kept(live.clone())),
                _ => question.answer(),
            }))
        },
    },
    BrokenStore {
        name: "a retried replace answers Kept",
        breaks: "a replace that is sent again finds its own revision",
        open: || {
            opened(Judges(|question| match (question.change, question.live()) {
                (Change::Replace(_, read, _), Some(live)) if live.revision != *read => {
                    leave(Outcome::Kept(live.clone()))
                }
                _ => question.answer(),
            }))
        },
    },
    BrokenStore {
        name: "Kept gives the caller's own entry",
        breaks: "everyone is told who the winner is",
        open: || {
            opened(Judges(|question| {
                let mut decision = question.answer();
                if let (Ok(Outcome::Kept(kept)), Some(new)) = (&mut decision.outcome, question.change.entry())
                {
                    *kept = new.clone();
                }
                decision
            }))
        },
    },
    BrokenStore {
        name: "Kept gives the winner under a new revision",
        breaks: "everyone is told the winner's revision",
        open: || {
            opened(Judges(|question| {
                let mut decision = question.answer();
                if let Ok(Outcome::Kept(kept)) = &mut decision.outcome {
                    *kept = altered(kept, |entry| entry.revision = Revision::random());
                }
                decision
            }))
        },
    },
    BrokenStore {
        name: "a replace on an absent entry inserts",
        breaks: "a replace on an absent entry answers Gone and creates nothing",
        open: || {
            opened(Judges(|question| match (question.change, question.stored) {
                (Change::Replace(..), Stored::Absent) => write_as(question, Outcome::Replaced),
                _ => question.answer(),
            }))
        },
    },
    BrokenStore {
        name: "a replace over an expired entry succeeds",
        breaks: "a replace of an expired entry answers Gone, also of the revision that was read",
        open: || {
            opened(Judges(|question| match (question.change, question.stored) {
                (Change::Replace(_, read, _), Stored::Entry(entry)) if entry.revision == *read => {
                    match question.answer().outcome {
                        Ok(Outcome::Gone) => write_as(question, Outcome::Replaced),
                        _ => question.answer(),
                    }
                }
                _ => question.answer(),
            }))
        },
    },
    BrokenStore {
        name: "a replace judges equality before the revision",
        breaks: "`Unchanged` is for the revision that was read",
        open: || {
            opened(Judges(|question| match (question.change, question.live()) {
                (Change::Replace(_, _, new), Some(live))
                    if live.value == new.value && live.revision != new.revision =>
                {
                    leave(Outcome::Unchanged)
                }
                _ => question.answer(),
            }))
        },
    },
    BrokenStore {
        name: "a replace by an equal value writes",
        breaks: "a replace by an equal value is `Unchanged`",
        open: || {
            opened(Judges(|question| match question.answer().outcome {
                Ok(Outcome::Unchanged) => write_as(question, Outcome::Replaced),
                _ => question.answer(),
            }))
        },
    },
    BrokenStore {
        name: "takes equal JSON for equal text",
        breaks: "equal means the same JSON text",
        open: || opened(Judges(equal_json_is_unchanged)),
    },
    BrokenStore {
        name: "skips a put of an equal value",
        breaks: "a put writes also when equal: new revision, new expiry",
        open: || {
            opened(Judges(|question| match (question.change, question.live()) {
                (Change::Put(_, new), Some(live)) if new.value == live.value => {
                    let Decision { outcome, .. } = question.answer();
                    Decision { outcome, act: Act::Nothing }
                }
                _ => question.answer(),
            }))
        },
    },
    BrokenStore {
        name: "applies a change whose expiry has passed",
        breaks: "a write whose own expiry has passed does nothing",
        open: || opened(Judges(apply_expired)),
    },
    BrokenStore {
        name: "answers Inserted to a change whose expiry has passed",
        breaks: "a write whose own expiry has passed says so",
        open: || {
            opened(Judges(|question| match (question.change, question.answer().outcome) {
                (Change::Insert(..), Ok(Outcome::Expired)) => leave(Outcome::Inserted),
                _ => question.answer(),
            }))
        },
    },
    BrokenStore {
        name: "an insert keeps an expired entry",
        breaks: "an insert over an expired entry inserts",
        open: || {
            opened(Judges(|question| match (question.change, question.stored) {
                (Change::Insert(..), Stored::Entry(entry)) => match question.answer().outcome {
                    Ok(Outcome::Inserted) => leave(Outcome::Kept(entry.clone())),
                    _ => question.answer(),
                },
                _ => question.answer(),
            }))
        },
    },
    BrokenStore {
        name: "an insert over an expired entry of the same value is skipped",
        breaks: "an insert over an expired entry writes it anew",
        open: || {
            opened(Judges(|question| match (question.change, question.stored) {
                (Change::Insert(_, new), Stored::Entry(entry)) if entry.value == new.value => {
                    let Decision { outcome, .. } = question.answer();
                    Decision { outcome, act: Act::Nothing }
                }
                _ => question.answer(),
            }))
        },
    },
    BrokenStore {
        name: "a conditional remove ignores its condition",
        breaks: "RemoveIf of another revision is Kept",
        open: || {
            opened(Judges(|question| match (question.change, question.live()) {
                (Change::RemoveIf(..), Some(_)) => {
                    Decision { outcome: Ok(Outcome::Removed), act: Act::Delete }
                }
                _ => question.answer(),
            }))
        },
    },
    BrokenStore {
        name: "a conditional remove removes what expired",
        breaks: "removing an expired entry answers WasAbsent",
        open: || {
            opened(Judges(|question| match (question.change, question.stored) {
                (Change::Remove(_), Stored::Entry(_)) => {
                    Decision { outcome: Ok(Outcome::Removed), act: Act::Delete }
                }
                (Change::RemoveIf(_, read), Stored::Entry(entry)) if entry.revision == *read => {
                    Decision { outcome: Ok(Outcome::Removed), act: Act::Delete }
                }
                _ => question.answer(),
            }))
        },
    },
    BrokenStore {
        name: "checks the epoch before it looks",
        breaks: "an insert on a live entry is Kept, whatever was erased",
        open: || {
            opened(Judges(|question| match question.change {
                Change::Insert(key, new) => {
                    let put = Change::Put(key.clone(), new.clone());
                    match (Question { change: &put, ..*question }).answer().outcome {
                        Ok(Outcome::Erased) => leave(Outcome::Erased),
                        _ => question.answer(),
                    }
                }
                _ => question.answer(),
            }))
        },
    },
];

fn leave(outcome: Outcome) -> Decision {
    Decision { outcome: Ok(outcome), act: Act::Nothing }
}

/// The change is written, if its own expiry has not passed.
fn write_as(question: &Question<'_>, outcome: Outcome) -> Decision {
    match question.answer().outcome {
        Ok(Outcome::Expired) => leave(Outcome::Expired),
        _ => Decision { outcome: Ok(outcome), act: Act::Write },
    }
}

fn equal_json_is_unchanged(question: &Question<'_>) -> Decision {
    match (question.change, question.live()) {
        (Change::Replace(_, read, new), Some(live))
            if live.revision == *read
                && json::compact(live.value.as_str()) == json::compact(new.value.as_str()) =>
        {
            match question.answer().outcome {
                Ok(Outcome::Replaced) if live.revision != new.revision => leave(Outcome::Unchanged),
                _ => question.answer(),
            }
        }
        _ => question.answer(),
    }
}

/// Judges a dead change as if it were alive.
fn apply_expired(question: &Question<'_>) -> Decision {
    let mut alive = question.change.clone();
    match &mut alive {
        Change::Insert(_, entry) | Change::Put(_, entry) | Change::Replace(_, _, entry) => {
            entry.expiry = Expiry::Never;
        }
        _ => {}
    }
    Question { change: &alive, ..*question }.answer_under(EpochCheck::Ignore)
}
