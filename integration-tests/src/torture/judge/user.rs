//! A user's entries together: an erasure takes all of them away, at one moment. Of one whose outcome is unknown nobody says at
//! which, or whether it came at all; but there has to be one moment that explains what was seen of every entry.

use super::super::history::{EntryHistory, Erasure, Moment, NEVER, Span};
use super::{Violation, judge};

#[cfg(test)]
mod tests;

/// How many guesses are made for a user, whose erasures may have come at many moments.
const GUESSES: usize = 2_000;

/// What the histories of a user broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Each finding with its entry's place.
    pub found: Vec<(usize, Violation)>,
    /// Too many guesses would have been needed to say that something was broken, or that nothing was: nothing is found.
    pub is_open: bool,
}

/// What these histories broke; all are of one user, and have the same erasures.
pub fn judge_user(entries: &[EntryHistory], skew: u64) -> Judgement {
    judge_by(entries, skew, GUESSES)
}

/// The same with at most so many guesses.
fn judge_by(entries: &[EntryHistory], skew: u64, most: usize) -> Judgement {
    let erasures = entries.first().map_or(&[][..], |first| first.erasures.as_slice());
    let (sure, unknown): (Vec<_>, Vec<_>) = erasures.iter().partition(|erasure| erasure.span.end != NEVER);
    let mut search = Search {
        entries: entries.to_vec(),
        sure: sure.into_iter().copied().collect(),
        moments: moments(entries),
        skew,
        guesses_left: most,
        best: None,
    };
    // None of them came: as if they came after everything.
    let found = search.guess(&vec![Span::new(NEVER, NEVER); unknown.len()]);
    if found.is_empty() || unknown.is_empty() {
        return Judgement { found, is_open: false };
    }
    search.best = Some(found);
    let last = search.moments.len() - 1;
    let from = |erasure: &&Erasure| search.moments.partition_point(|moment| *moment < erasure.span.begin);
    let within: Vec<_> = unknown.iter().map(|erasure| (from(erasure).min(last), last)).collect();
    let is_explained = search.is_explained(&within);
    let is_open = search.guesses_left == 0;
    let found = if is_explained { Vec::new() } else { search.best.unwrap_or_default() };
    Judgement { found, is_open }
}

/// The search for moments at which erasures of unknown outcome may have come.
struct Search {
    entries: Vec<EntryHistory>,
    sure: Vec<Erasure>,
    /// When anything began or ended; between two of them nothing did.
    moments: Vec<Moment>,
    skew: u64,
    guesses_left: usize,
    /// What is found under the guess that explains most.
    best: Option<Vec<(usize, Violation)>>,
}

impl Search {
    /// Whether there are moments between these, one for each erasure, that explain everything; or nobody knows, as no guess
    /// is left.
    fn is_explained(&mut self, within: &[(usize, usize)]) -> bool {
        self.guesses_left = self.guesses_left.saturating_sub(1);
        if self.guesses_left == 0 {
            return true;
        }
        let spans: Vec<_> = within.iter().map(|(from, to)| self.between(*from, *to)).collect();
        let found = self.guess(&spans);
        if !found.is_empty() {
            // What a wide guess cannot explain, no narrower one can.
            if self.best.as_ref().is_none_or(|best| found.len() < best.len()) {
                self.best = Some(found);
            }
            return false;
        }
        let width = |at: usize| within[at].1 - within[at].0;
        let widest = (0..within.len()).max_by_key(|at| width(*at));
        let Some(at) = widest.filter(|at| width(*at) > 1) else { return true };
        let (from, to) = within[at];
        let middle = usize::midpoint(from, to);
        [(from, middle), (middle, to)].into_iter().any(|half| {
            let mut within = within.to_vec();
            within[at] = half;
            self.is_explained(&within)
        })
    }

    /// After the one moment and before the other.
    fn between(&self, from: usize, to: usize) -> Span {
        let (begin, end) = (self.moments[from] + 1, self.moments[to]);
        Span::new(begin, if end == NEVER { NEVER } else { begin.max(end - 1) })
    }

    /// What is found if the unknown erasures came at some moment of these times.
    fn guess(&mut self, unknown: &[Span]) -> Vec<(usize, Violation)> {
        let unknown = unknown.iter().filter(|span| span.begin != NEVER).map(|span| Erasure { span: *span });
        let erasures: Vec<_> = self.sure.iter().copied().chain(unknown).collect();
        let mut found = Vec::new();
        for (place, entry) in self.entries.iter_mut().enumerate() {
            entry.erasures.clone_from(&erasures);
            found.extend(judge(entry, self.skew).into_iter().map(|violation| (place, violation)));
        }
        found
    }
}

/// When anything began or ended, and the end of all.
fn moments(entries: &[EntryHistory]) -> Vec<Moment> {
    let mut moments = vec![0, NEVER];
    for entry in entries {
        let attempts = entry.attempts.iter().map(|attempt| attempt.span);
        let sightings = entry.sightings.iter().map(|sighting| sighting.span);
        let goals = entry.goals.iter().map(|goal| goal.span);
        let others = entry.removals.iter().copied().chain(entry.erasures.iter().map(|erasure| erasure.span));
        for span in attempts.chain(sightings).chain(goals).chain(others) {
            moments.extend([span.begin, span.end]);
        }
        moments.extend(entry.attempts.iter().filter_map(|attempt| attempt.knew));
    }
    moments.sort_unstable();
    moments.dedup();
    moments
}
