//! The logs of all processes, merged into the history of each entry, and judged.

use std::collections::{BTreeMap, HashMap};

use super::history::{Attempt, EntryHistory, Erasure, Fate, Moment, NEVER, Sighting, Span, shifted};
use super::judge::{Kind, judge};
use super::log::{Answer, Ask, Logged, Made, Side};

/// What one side of a run has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Writes of which a caller was told that they stand.
    pub acknowledged: u64,
    /// Assignments that are gone, though nobody took them away.
    pub lost: u64,
    /// Assignments in whose place something else stands, whose writer had not been handed them; or that are back.
    pub flipped: u64,
    /// Writes of which nobody knows.
    pub unknown: u64,
    /// What was found, in words, with everything that happened to the entry.
    pub findings: Vec<String>,
}

/// How many findings are told whole.
const TOLD: usize = 5;

/// Judges one side of what was logged; the clocks are at most so many milliseconds apart from the shared one.
pub(crate) fn tally(logs: &[Logged], side: Side, skew: u64) -> Tally {
    let mut tally = Tally::default();
    let histories = histories(logs, side);
    for ((user, key), history) in &histories {
        for attempt in &history.attempts {
            match attempt.fate {
                Fate::Acknowledged => tally.acknowledged += 1,
                Fate::Unknown => tally.unknown += 1,
                Fate::Refused | Fate::Failed => {}
            }
        }
        for found in judge(history, skew * 1_000_000) {
            match found.kind {
                Kind::Lost => tally.lost += 1,
                Kind::Flipped => tally.flipped += 1,
            }
            if tally.findings.len() < TOLD {
                let story = story(history, found.seen);
                tally.findings.push(format!("{user} {key}: {}\n{story}", found.what));
            }
        }
    }
    tally
}

/// What happened to each entry.
fn histories(logs: &[Logged], side: Side) -> BTreeMap<(String, String), EntryHistory> {
    let mut entries = BTreeMap::<(String, String), EntryHistory>::new();
    let mut erasures = HashMap::<&str, Vec<Erasure>>::new();
    for log in logs {
        let ahead = log.ahead * 1_000_000;
        for Made { at: begin, call, answer } in log.calls.iter().filter(|made| made.call.side == side) {
            let end = answer.as_ref().map_or(NEVER, |(at, _)| *at);
            let span = Span::new(*begin, end);
            let named = |key: &str| (call.user.clone(), key.to_owned());
            match (&call.ask, answer.as_ref().map(|(_, answer)| answer)) {
                (Ask::Read { keys }, Some(Answer::Shown(shown))) => {
                    for key in keys {
                        let token = shown.get(key).cloned();
                        entries.entry(named(key)).or_default().sightings.push(Sighting {
                            span,
                            token,
                            ahead,
                        });
                    }
                }
                (Ask::Read { .. }, _) => {}
                (Ask::Save { entries: sent, knew, ttl }, answer) => {
                    for (key, sent) in sent {
                        let saved = match answer {
                            Some(Answer::Saved(saved)) => saved.get(key).cloned(),
                            _ => None,
                        };
                        let (fate, winner) =
                            saved.map_or((Fate::Unknown, None), |(told, winner)| (told.into(), winner));
                        if let Some(winner) = winner {
                            entries.entry(named(key)).or_default().sightings.push(Sighting {
                                span,
                                token: Some(winner),
                                ahead,
                            });
                        }
                        let until = if fate == Fate::Unknown { NEVER } else { end };
                        let dies = ttl.map(|ttl| {
                            let dies =
                                |moment: Moment| shifted(moment, ahead).saturating_add(ttl * 1_000_000);
                            // In whole milliseconds, rounded either way.
                            Span::new(dies(*begin) - 1_000_000, dies(until).saturating_add(1_000_000))
                        });
                        entries.entry(named(key)).or_default().attempts.push(Attempt {
                            token: sent.token.clone(),
                            span: Span::new(*begin, until),
                            held: sent.held.clone(),
                            knew: *knew,
                            dies,
                            fate,
                        });
                    }
                }
                (Ask::Erase, answer) => {
                    let is_sure = matches!(answer, Some(Answer::Erased { surely: true }));
                    let span = Span::new(*begin, if is_sure { end } else { NEVER });
                    erasures.entry(&call.user).or_default().push(Erasure { span });
                }
            }
        }
    }
    for ((user, _), history) in &mut entries {
        history.erasures = erasures.get(user.as_str()).cloned().unwrap_or_default();
    }
    entries
}

/// Everything that happened to an entry until then, in its order, in milliseconds before it.
fn story(history: &EntryHistory, until: Moment) -> String {
    let mut events = Vec::new();
    for attempt in &history.attempts {
        let Attempt { token, held, knew, dies, fate, .. } = attempt;
        let knew = knew.map(|knew| ago(knew, until));
        let dies = dies.map(|dies| ago(dies.begin, until));
        let text = format!("{token} over {held:?}: {fate:?} (knew {knew:?}, dies {dies:?})");
        events.push((attempt.span, text));
    }
    for sighting in &history.sightings {
        events.push((sighting.span, format!("saw {:?}", sighting.token)));
    }
    for erasure in &history.erasures {
        events.push((erasure.span, "erased".to_owned()));
    }
    events.sort_by_key(|(span, _)| (span.begin, span.end));
    let lines = events.into_iter().filter(|(span, _)| span.begin <= until);
    let lines = lines.map(|(span, text)| {
        format!("  {:>10} .. {:>10}  {text}\n", ago(span.begin, until), ago(span.end, until))
    });
    lines.collect()
}

fn ago(moment: Moment, until: Moment) -> String {
    let sign = if moment <= until { "-" } else { "+" };
    if moment == NEVER { "?".to_owned() } else { format!("{sign}{:.1}", moment.abs_diff(until) as f64 / 1e6) }
}
