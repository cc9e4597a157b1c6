//! Goals: one that was reached is there as long as the entry is, whatever becomes of the variation.

use super::super::history::{EntryHistory, Fate, Goal, Moment, Sighting};
use super::{Kind, Violation};

/// The goals that were reached or seen, and are missing though nobody took the entry away since.
pub(super) fn lost(history: &EntryHistory, skew: u64) -> Vec<Violation> {
    let reached = history.goals.iter().filter(|goal| goal.fate == Fate::Acknowledged);
    let mut known: Vec<_> = reached.map(|goal| Known::reached(goal, skew)).collect();
    // When an entry expires at last that is only seen, nobody says.
    if history.attempts.iter().all(|attempt| attempt.dies.is_none()) {
        known.extend(history.sightings.iter().flat_map(Known::seen));
    }
    known.sort_by_key(|known| known.end);
    let mut found: Vec<(&str, Violation)> = Vec::new();
    for known in known {
        let is_charged = found.iter().any(|(name, _)| *name == known.name);
        let missing = || history.sightings.iter().filter(|seen| known.is_missing(seen, history));
        if !is_charged && let Some(seen) = missing().min_by_key(|seen| seen.span.end) {
            let what = format!("the goal {} was reached, and is gone", known.name);
            found.push((known.name, Violation { kind: Kind::Lost, what, seen: seen.span.end }));
        }
    }
    found.into_iter().map(|(_, violation)| violation).collect()
}

/// A goal that was there at some moment of this time.
struct Known<'a> {
    name: &'a str,
    begin: Moment,
    end: Moment,
    /// Until when the entry cannot have expired for anybody; nothing if it never does.
    lives: Option<Moment>,
}

impl<'a> Known<'a> {
    fn reached(goal: &'a Goal, skew: u64) -> Self {
        // Its writer's clock may be ahead, that of who replaces the variation behind, and that of who reads ahead.
        let lives = goal.dies.map(|dies| dies.begin.saturating_sub(3 * skew));
        Self { name: &goal.name, begin: goal.span.begin, end: goal.span.end, lives }
    }

    fn seen(seen: &'a Sighting) -> impl Iterator<Item = Self> {
        let goals = seen.goals.iter().flatten();
        goals.map(|name| Self { name, begin: seen.span.begin, end: seen.span.end, lives: None })
    }

    /// Whether it should have been shown there, and was not.
    fn is_missing(&self, seen: &Sighting, history: &EntryHistory) -> bool {
        let gone = history.erasures.iter().map(|erasure| &erasure.span).chain(&history.removals);
        let is_shown = match (&seen.token, &seen.goals) {
            (Some(_), Some(goals)) => goals.iter().any(|goal| goal == self.name),
            (Some(_), None) => true,
            (None, _) => false,
        };
        !is_shown
            && self.end < seen.span.begin
            && self.lives.is_none_or(|lives| seen.span.end < lives)
            && gone.into_iter().all(|span| span.end < self.begin || seen.span.end < span.begin)
    }
}
