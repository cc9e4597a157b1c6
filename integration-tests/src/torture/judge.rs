//! The judge: whether what the callers saw of one entry can have happened in a store that keeps its promise. It is pure,
//! and knows nothing of what the store says of itself.
//!
//! An entry goes from absent to a write that only adds; from one write to another whose caller had been handed the first,
//! or for whom it is retired; and from any write to absent, by an erasure, an operator's removal or its expiry. Each such step happens within the time of the call that
//! makes it. What was seen at one time and what is seen later has to be connected by such steps; where it is not, an
//! assignment was lost (nothing stands there) or flipped (something else does). After a finding it begins anew, so that
//! one fault is counted once.

use std::collections::{HashMap, HashSet};

use super::history::{Attempt, EntryHistory, Fate, Moment, NEVER, Sighting, shifted};

mod goals;
#[cfg(test)]
mod tests;
mod user;

pub use user::{Judgement, judge_user};

/// What an entry's history broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which promise.
    pub kind: Kind,
    /// What was seen, in words with the tokens.
    pub what: String,
    /// When it was seen at last.
    pub seen: Moment,
}

/// Which promise was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// What stood is gone, and nobody took it away.
    Lost,
    /// Something else stands there, and nobody who wrote it had been handed what stood; or what was gone is back.
    Flipped,
}

/// What this history broke; the clocks of its callers are at most `skew` nanoseconds away from the shared one.
pub fn judge(history: &EntryHistory, skew: u64) -> Vec<Violation> {
    let graph = Graph::new(history, skew);
    let mut found = Vec::new();
    let mut seen = graph.seen(history);
    seen.sort_by_key(|seen| (seen.end, seen.begin));
    // Only what was seen since the last finding; and what should not stand is found once.
    let (mut from, mut charged) = (0, HashSet::new());
    for at in 0..seen.len() {
        let Some((kind, what)) = graph.fault(history, &mut seen, from, at) else { continue };
        from = at;
        if seen[at].state == Ok(None) || charged.insert(seen[at].state.clone()) {
            found.push(Violation { kind, what, seen: seen[at].end });
        }
    }
    found.extend(goals::lost(history, skew));
    found
}

/// The state of the entry: a place in the list of writes; nothing is absent.
type State = Option<usize>;

/// The steps between the writes of an entry.
struct Graph<'a> {
    attempts: &'a [Attempt],
    places: HashMap<&'a str, usize>,
    /// Until when each may have come to stand.
    until: Vec<Moment>,
    /// When it may have been taken away: by erasures and removals.
    gone: Vec<(Moment, Moment)>,
    skew: u64,
}

/// What stood there at one moment of a time.
struct Seen {
    begin: Moment,
    end: Moment,
    /// When the call was made; by that, what has expired is left out.
    asked: Moment,
    /// An error is a token of nobody's.
    state: Result<State, String>,
    ahead: i64,
    process: Option<usize>,
    how: How,
    /// When each state can have been reached from here at the earliest; computed when it is asked.
    earliest: Option<Vec<Moment>>,
}

impl Seen {
    /// Whether it was over before this could be: an answer may be behind, but not what its own process had been told.
    fn comes_before(&self, other: &Self) -> bool {
        let is_own = self.how == How::Told && self.process == other.process;
        self.end < if is_own { other.asked } else { other.begin }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Read,
    Told,
    Erased,
}

impl<'a> Graph<'a> {
    fn new(history: &'a EntryHistory, skew: u64) -> Self {
        let attempts = &history.attempts;
        let places: HashMap<_, _> =
            attempts.iter().enumerate().map(|(place, attempt)| (attempt.token.as_str(), place)).collect();
        assert_eq!(places.len(), attempts.len(), "every write has a token of its own");
        let mut until: Vec<_> = attempts.iter().map(comes_until).collect();
        // A replacement comes to stand once, so by when it was first seen.
        for sighting in &history.sightings {
            let place = sighting.token.as_deref().and_then(|token| places.get(token));
            if let Some(&place) = place
                && !attempts[place].adds()
            {
                until[place] = until[place].min(sighting.span.end);
            }
        }
        // An insert comes before the erasures of which its caller did not know.
        for (attempt, until) in attempts.iter().zip(&mut until) {
            let unknown = history.erasures.iter().filter(|erasure| !knows(attempt, erasure.span.begin));
            *until = unknown.map(|erasure| erasure.span.end).fold(*until, Moment::min);
        }
        let gone = history.erasures.iter().map(|erasure| &erasure.span).chain(&history.removals);
        let gone = gone.map(|span| (span.begin, span.end)).collect();
        Self { attempts, places, until, gone, skew }
    }

    /// All that was seen: by reads, by who was told that a write stands, by erasures that were answered.
    fn seen(&self, history: &EntryHistory) -> Vec<Seen> {
        let read = |sighting: &Sighting| Seen {
            begin: sighting.span.begin,
            end: sighting.span.end,
            asked: sighting.asked,
            state: match &sighting.token {
                None => Ok(None),
                Some(token) => {
                    self.places.get(token.as_str()).map(|at| Some(*at)).ok_or_else(|| token.clone())
                }
            },
            ahead: sighting.ahead,
            process: Some(sighting.process),
            how: How::Read,
            earliest: None,
        };
        let told = self.attempts.iter().enumerate().filter(|(_, told)| told.fate == Fate::Acknowledged);
        let told = told.map(|(place, told)| Seen {
            begin: told.span.begin,
            end: told.span.end,
            asked: told.span.begin,
            state: Ok(Some(place)),
            ahead: 0,
            process: Some(told.process),
            how: How::Told,
            earliest: None,
        });
        let erased = history.erasures.iter().filter(|erasure| erasure.span.end != NEVER);
        let erased = erased.map(|erasure| Seen {
            begin: erasure.span.begin,
            end: erasure.span.end,
            asked: erasure.span.begin,
            state: Ok(None),
            ahead: 0,
            process: None,
            how: How::Erased,
            earliest: None,
        });
        history.sightings.iter().map(read).chain(told).chain(erased).collect()
    }

    /// What is wrong with what was seen there, if anything.
    fn fault(
        &self,
        history: &EntryHistory,
        seen: &mut [Seen],
        from: usize,
        at: usize,
    ) -> Option<(Kind, String)> {
        let state = match &seen[at].state {
            Ok(state) => *state,
            Err(token) => return Some((Kind::Flipped, format!("{token} stands, which nobody wrote"))),
        };
        if let Some(why) = state.and_then(|place| self.cannot_stand(history, place, &seen[at])) {
            return Some((Kind::Flipped, why));
        }
        // Of each state the last time it was seen before: it allows the least.
        let mut last = HashMap::<State, usize>::new();
        for before in from..at {
            if seen[before].comes_before(&seen[at])
                && let Ok(state) = seen[before].state
            {
                let kept = last.entry(state).or_insert(before);
                if seen[before].begin > seen[*kept].begin {
                    *kept = before;
                }
            }
        }
        let mut before: Vec<_> = last.into_iter().collect();
        before.sort_by_key(|(_, place)| std::cmp::Reverse(seen[*place].begin));
        for (was, place) in before {
            let earliest = match seen[place].earliest.take() {
                Some(earliest) => earliest,
                None => self.earliest(was, &seen[place]),
            };
            let is_possible = earliest[self.node(state)] <= seen[at].end;
            seen[place].earliest = Some(earliest);
            if !is_possible {
                return Some(self.describe(was, state));
            }
        }
        None
    }

    /// Why this write cannot stand when it is seen there, whatever else happened.
    fn cannot_stand(&self, history: &EntryHistory, place: usize, seen: &Seen) -> Option<String> {
        let attempt = &self.attempts[place];
        let token = &attempt.token;
        if seen.how != How::Read {
            return None;
        }
        if attempt.fate == Fate::Failed {
            return Some(format!("{token} stands, of which its caller was told that it was not applied"));
        }
        if attempt.fate == Fate::Refused && !attempt.adds() && attempt.span.end < seen.begin {
            return Some(format!("{token} stands, of which its caller was told that it was refused"));
        }
        if let Some(dies) = attempt.dies
            && dies.end < shifted(seen.asked, seen.ahead)
        {
            return Some(format!("{token} stands, which has expired"));
        }
        // Who only adds must know of the erasures that were.
        let erased = history
            .erasures
            .iter()
            .find(|erasure| erasure.span.end < seen.begin && !knows(attempt, erasure.span.begin));
        erased.map(|_| format!("{token} stands after its user was erased, of which its caller did not know"))
    }

    /// When each state can be reached at the earliest by whoever saw this.
    fn earliest(&self, was: State, seen: &Seen) -> Vec<Moment> {
        let mut at = vec![NEVER; self.attempts.len() + 1];
        at[self.node(was)] = seen.begin;
        if was.is_none() && seen.how == How::Read {
            // What is dead by this reader's clock may live by another's.
            for (place, attempt) in self.attempts.iter().enumerate() {
                let is_dead = attempt.dies.is_some_and(|dies| dies.begin <= shifted(seen.end, seen.ahead));
                if is_dead && attempt.span.begin <= seen.end && attempt.fate != Fate::Failed {
                    at[place] = seen.begin.max(attempt.span.begin);
                }
            }
        }
        let absent = self.attempts.len();
        let mut has_changed = true;
        while has_changed {
            has_changed = false;
            let mut reach = |at: &mut Vec<Moment>, node: usize, moment: Moment| {
                if moment < at[node] {
                    at[node] = moment;
                    has_changed = true;
                }
            };
            for (place, attempt) in self.attempts.iter().enumerate() {
                let held = attempt.held.as_ref().and_then(|held| self.places.get(held.as_str()));
                let from = [held.copied(), attempt.adds().then_some(absent)];
                let from = from.into_iter().flatten().map(|from| at[from]).fold(NEVER, Moment::min);
                let is_retired = |other: &&Attempt| attempt.retired.contains(&other.variation);
                let retired = self.attempts.iter().zip(&at).filter(|(other, _)| is_retired(other));
                let from = retired.map(|(_, at)| *at).fold(from, Moment::min);
                let comes = from.max(attempt.span.begin);
                let comes_after = seen.how != How::Erased || knows(attempt, seen.begin);
                if comes_after && attempt.fate != Fate::Failed && comes != NEVER && comes <= self.until[place]
                {
                    reach(&mut at, place, comes);
                }
                if at[place] == NEVER {
                    continue;
                }
                if let Some(dies) = attempt.dies {
                    let goes = at[place].max(dies.begin.saturating_sub(self.skew));
                    reach(&mut at, absent, goes);
                }
                for &(begin, end) in &self.gone {
                    let goes = at[place].max(begin);
                    if goes <= end {
                        reach(&mut at, absent, goes);
                    }
                }
            }
        }
        at
    }

    fn node(&self, state: State) -> usize {
        state.unwrap_or(self.attempts.len())
    }

    fn describe(&self, was: State, is: State) -> (Kind, String) {
        let token = |place: usize| &self.attempts[place].token;
        match (was, is) {
            (Some(was), None) => (Kind::Lost, format!("{} stood, and is gone", token(was))),
            (Some(was), Some(is)) => {
                let what =
                    format!("{} stood, and {} is in its place without having read it", token(was), token(is));
                (Kind::Flipped, what)
            }
            (None, Some(is)) => (Kind::Flipped, format!("nothing stood, and {} is back", token(is))),
            (None, None) => (Kind::Lost, "nothing became nothing".to_owned()),
        }
    }
}

/// Whether a write may come after an erasure that began then: an insert, if its caller had read since; a replacement, if what
/// it replaces may.
fn knows(attempt: &Attempt, erased: Moment) -> bool {
    attempt.held.is_some() || attempt.knew.is_some_and(|knew| knew >= erased)
}

/// Until when a write may come to stand.
fn comes_until(attempt: &Attempt) -> Moment {
    match (attempt.fate, attempt.adds()) {
        // A second copy of an insert may land late, once what stood there has gone.
        (Fate::Unknown, _) | (Fate::Acknowledged | Fate::Refused, true) => NEVER - 1,
        (Fate::Acknowledged | Fate::Refused, false) => attempt.span.end,
        (Fate::Failed, _) => 0,
    }
}
