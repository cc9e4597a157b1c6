//! The logs of all processes, merged into the history of each entry, and judged.

use std::collections::{BTreeMap, HashMap};

use super::history::{Attempt, EntryHistory, Erasure, Fate, Moment, NEVER, Sighting, Span, shifted};
use super::judge::{Kind, judge};
use super::log::{Answer, Ask, Call, Logged, Made, Side, Told};

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
        let read_from = reads_begin(log, side);
        for Made { at: begin, call, answer } in log.calls.iter().filter(|made| made.call.side == side) {
            let end = answer.as_ref().map_or(NEVER, |(at, _)| *at);
            let named = |key: &str| (call.user.clone(), key.to_owned());
            match (&call.ask, answer.as_ref().map(|(_, answer)| answer)) {
                (Ask::Read { keys }, Some(Answer::Shown(shown))) => {
                    for key in keys {
                        let token = shown.get(key).cloned();
                        let from = read_from(call, key, *begin);
                        entries.entry(named(key)).or_default().sightings.push(Sighting {
                            span: Span::new(from, end),
                            asked: *begin,
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
                            let from = read_from(call, key, *begin);
                            entries.entry(named(key)).or_default().sightings.push(Sighting {
                                span: Span::new(from, end),
                                asked: *begin,
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

/// From when what a call shows of an entry may be, given when it was made: as old as its answers may be, but not older than
/// what this process had been told of its own writes by then.
fn reads_begin(log: &Logged, side: Side) -> impl Fn(&Call, &str, Moment) -> Moment {
    let mut known = HashMap::<(String, Option<String>), Vec<Span>>::new();
    for Made { at: begin, call, answer } in &log.calls {
        let mut knows = |key: Option<&String>, end: &Moment| {
            let spans = known.entry((call.user.clone(), key.cloned())).or_default();
            spans.push(Span::new(*begin, *end));
        };
        if call.side != side {
            continue;
        }
        match answer {
            Some((end, Answer::Saved(saved))) => {
                let stands = saved.iter().filter(|(_, (told, _))| *told == Told::Acknowledged);
                stands.for_each(|(key, _)| knows(Some(key), end));
            }
            Some((end, Answer::Erased { surely: true })) => knows(None, end),
            _ => {}
        }
    }
    move |call, key, begin| {
        let age = begin.saturating_sub(call.behind * 1_000_000);
        if age == begin {
            return begin;
        }
        let named = |key: Option<&str>| known.get(&(call.user.clone(), key.map(str::to_owned)));
        let spans = [named(Some(key)), named(None)].into_iter().flatten().flatten();
        spans.filter(|span| span.end <= begin).map(|span| span.begin).fold(age, Moment::max)
    }
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

#[cfg(test)]
mod tests {
    use super::super::log::Sent;
    use super::*;

    fn made(at: Moment, ask: Ask, answer: Option<(Moment, Answer)>) -> Made {
        Made { at, call: Call { side: Side::Ours, user: "u".to_owned(), behind: 0, ask }, answer }
    }

    fn save(token: &str, held: Option<&str>) -> Ask {
        let sent = Sent { token: token.to_owned(), held: held.map(str::to_owned) };
        Ask::Save { entries: BTreeMap::from([("e0".to_owned(), sent)]), knew: Some(0), ttl: None }
    }

    fn saved(at: Moment, told: Told, winner: Option<&str>) -> Option<(Moment, Answer)> {
        let saved = BTreeMap::from([("e0".to_owned(), (told, winner.map(str::to_owned)))]);
        Some((at, Answer::Saved(saved)))
    }

    fn look(at: Moment, shown: Option<&str>) -> Made {
        let keys = vec!["e0".to_owned()];
        let shown = shown.map(|token| ("e0".to_owned(), token.to_owned())).into_iter().collect();
        made(at, Ask::Read { keys }, Some((at + 1, Answer::Shown(shown))))
    }

    fn counts(calls: Vec<Made>) -> (u64, u64, u64, u64) {
        let logs = [Logged { calls, ..Logged::default() }];
        assert_eq!(tally(&logs, Side::Naive, 0), Tally::default(), "nobody called the other store");
        let Tally { acknowledged, lost, flipped, unknown, .. } = tally(&logs, Side::Ours, 0);
        (acknowledged, lost, flipped, unknown)
    }

    #[test]
    fn what_is_not_in_an_answer_is_absent() {
        let written = || made(1, save("a", None), saved(2, Told::Acknowledged, None));
        assert_eq!(counts(vec![written(), look(3, Some("a"))]), (1, 0, 0, 0));
        assert_eq!(counts(vec![written(), look(3, None)]), (1, 1, 0, 0));
    }

    #[test]
    fn a_call_of_a_killed_process_may_have_been_applied_or_not() {
        let killed = || made(1, save("a", None), None);
        assert_eq!(counts(vec![killed(), look(3, Some("a"))]), (0, 0, 0, 1));
        assert_eq!(counts(vec![killed(), look(3, None)]), (0, 0, 0, 1));
    }

    #[test]
    fn a_winner_that_is_named_was_seen() {
        let kept = made(5, save("b", None), saved(6, Told::Refused, Some("x")));
        assert_eq!(counts(vec![kept]), (0, 0, 1, 0), "nobody wrote it");
    }

    #[test]
    fn an_erasure_without_an_answer_may_come_any_time() {
        let written = made(1, save("a", None), saved(2, Told::Acknowledged, None));
        let erased = made(3, Ask::Erase, Some((4, Answer::Erased { surely: false })));
        assert_eq!(counts(vec![written, erased, look(9, Some("a")), look(20, None)]), (1, 0, 0, 0));
    }

    #[test]
    fn an_answer_may_be_as_old_as_it_says_but_not_older_than_what_its_process_wrote() {
        let old = |mut made: Made| {
            made.call.behind = 50;
            made
        };
        let ms = 1_000_000;
        let written = || made(100 * ms, save("a", None), saved(110 * ms, Told::Acknowledged, None));
        let empty = || old(look(140 * ms, None));
        let lost = |calls: Vec<Vec<Made>>| {
            let logs: Vec<_> = calls.into_iter().map(|calls| Logged { calls, ..Logged::default() }).collect();
            tally(&logs, Side::Ours, 0).lost
        };
        assert_eq!(lost(vec![vec![written()], vec![empty()]]), 0);
        assert_eq!(lost(vec![vec![written(), empty()]]), 1);
        assert_eq!(lost(vec![vec![written()], vec![old(look(161 * ms, None))]]), 1);
    }
}
