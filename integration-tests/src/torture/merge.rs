//! The logs of all processes, merged into the history of each entry, and judged.

use std::collections::{BTreeMap, HashMap};

use super::history::{Attempt, EntryHistory, Erasure, Fate, Goal, Moment, NEVER, Sighting, Span, shifted};
use super::judge::{Kind, judge_user};
use super::log::{Answer, Ask, Logged, Made, Side, Told};

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
    /// Users of whom the judge does not know; nothing was found of them.
    pub open: u64,
    /// What was found, in words, with everything that happened to the entry.
    pub findings: Vec<String>,
}

impl Tally {
    /// With what other users have come to.
    pub(super) fn add(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.lost += other.lost;
        self.flipped += other.flipped;
        self.unknown += other.unknown;
        self.open += other.open;
        self.findings.extend(other.findings);
        self.findings.truncate(TOLD);
    }
}

/// How many findings are told whole.
const TOLD: usize = 12;

/// Judges one side of what was logged; the clocks are at most so many milliseconds apart from the shared one.
pub(crate) fn tally(logs: &[Logged], side: Side, skew: u64) -> Tally {
    let mut tally = Tally::default();
    let skew = skew * 1_000_000;
    for (user, (keys, entries)) in by_user(histories(logs, side, skew)) {
        let attempts = entries.iter().flat_map(|entry| &entry.attempts).map(|attempt| attempt.fate);
        let goals = entries.iter().flat_map(|entry| &entry.goals).map(|goal| goal.fate);
        for fate in attempts.chain(goals) {
            match fate {
                Fate::Acknowledged => tally.acknowledged += 1,
                Fate::Unknown => tally.unknown += 1,
                Fate::Refused | Fate::Failed => {}
            }
        }
        let judgement = judge_user(&entries, skew);
        tally.open += u64::from(judgement.is_open);
        for (place, found) in judgement.found {
            match found.kind {
                Kind::Lost => tally.lost += 1,
                Kind::Flipped => tally.flipped += 1,
            }
            if tally.findings.len() < TOLD {
                let story = story(&entries[place], found.seen);
                tally.findings.push(format!("{user} {}: {}\n{story}", keys[place], found.what));
            }
        }
    }
    tally
}

/// The entries of each user, and their keys.
fn by_user(
    histories: BTreeMap<(String, String), EntryHistory>,
) -> BTreeMap<String, (Vec<String>, Vec<EntryHistory>)> {
    let mut users = BTreeMap::<String, (Vec<String>, Vec<EntryHistory>)>::new();
    for ((user, key), history) in histories {
        let (keys, entries) = users.entry(user).or_default();
        keys.push(key);
        entries.push(history);
    }
    users
}

/// What happened to each entry.
fn histories(logs: &[Logged], side: Side, skew: u64) -> BTreeMap<(String, String), EntryHistory> {
    let mut entries = BTreeMap::<(String, String), EntryHistory>::new();
    let mut erasures = HashMap::<&str, Vec<Erasure>>::new();
    for (process, log) in logs.iter().enumerate() {
        let ahead = log.ahead * 1_000_000;
        for Made { at: begin, call, answer } in log.calls.iter().filter(|made| made.call.side == side) {
            let end = answer.as_ref().map_or(NEVER, |(at, _)| *at);
            let named = |key: &str| (call.user.clone(), key.to_owned());
            match (&call.ask, answer.as_ref().map(|(_, answer)| answer)) {
                (Ask::Read { keys, hidden }, Some(answer)) => {
                    let Some(shown) = shown(answer) else { continue };
                    for key in keys {
                        let (token, goals) = shown.get(key).cloned().unzip();
                        if token.is_none() && hidden.contains(key) {
                            continue;
                        }
                        let from = begin.saturating_sub(call.behind * 1_000_000);
                        entries.entry(named(key)).or_default().sightings.push(Sighting {
                            span: Span::new(from, end),
                            asked: *begin,
                            token,
                            goals: goals.flatten(),
                            ahead,
                            process,
                        });
                    }
                }
                (Ask::Read { .. }, None) => {}
                (Ask::Save { entries: sent, knew, ttl }, answer) => {
                    for (key, sent) in sent {
                        let saved = match answer {
                            Some(Answer::Saved(saved)) => saved.get(key).cloned(),
                            _ => None,
                        };
                        let (fate, winner) =
                            saved.map_or((Fate::Unknown, None), |(told, winner)| (told.into(), winner));
                        if let Some(winner) = winner {
                            let from = begin.saturating_sub(call.behind * 1_000_000);
                            entries.entry(named(key)).or_default().sightings.push(Sighting {
                                span: Span::new(from, end),
                                asked: *begin,
                                token: Some(winner),
                                goals: None,
                                ahead,
                                process,
                            });
                        }
                        let until = if fate == Fate::Unknown { NEVER } else { end };
                        entries.entry(named(key)).or_default().attempts.push(Attempt {
                            token: sent.token.clone(),
                            span: Span::new(*begin, until),
                            held: sent.held.clone(),
                            may_add: sent.may_add,
                            variation: sent.variation.clone(),
                            retired: sent.retired.clone(),
                            knew: *knew,
                            dies: dies(Span::new(*begin, until), *ttl, ahead),
                            fate,
                            process,
                        });
                    }
                }
                (Ask::Reach { key, goal, ttl }, answer) => {
                    let fate = match answer {
                        Some(Answer::Reached(told)) => (*told).into(),
                        _ => Fate::Unknown,
                    };
                    let span = Span::new(*begin, if fate == Fate::Unknown { NEVER } else { end });
                    entries.entry(named(key)).or_default().goals.push(Goal {
                        name: goal.clone(),
                        span,
                        dies: dies(span, *ttl, ahead),
                        fate,
                    });
                }
                (Ask::Remove { key }, answer) => {
                    let fate = match answer {
                        Some(Answer::Removed(told)) => (*told).into(),
                        _ => Fate::Unknown,
                    };
                    let history = entries.entry(named(key)).or_default();
                    let is_sure = fate == Fate::Acknowledged;
                    if is_sure {
                        // Nothing stood there then.
                        let span = Span::new(*begin, end);
                        let nothing =
                            Sighting { span, asked: *begin, token: None, goals: None, ahead, process };
                        history.sightings.push(nothing);
                    }
                    if fate != Fate::Failed {
                        history.removals.push(Span::new(*begin, if is_sure { end } else { NEVER }));
                    }
                }
                (Ask::Erase, Some(Answer::Erased(Told::Failed))) => {}
                (Ask::Erase, answer) => {
                    let is_sure = matches!(answer, Some(Answer::Erased(Told::Acknowledged)));
                    let span = Span::new(*begin, if is_sure { end } else { NEVER });
                    erasures.entry(&call.user).or_default().push(Erasure { span });
                }
            }
        }
    }
    for ((user, _), history) in &mut entries {
        history.erasures = erasures.get(user.as_str()).cloned().unwrap_or_default();
        live_longer(history, skew);
    }
    entries
}

/// Tokens by key, with the goals where they are shown.
type Stands = HashMap<String, (String, Option<Vec<String>>)>;

/// What is said to stand there.
fn shown(answer: &Answer) -> Option<Stands> {
    match answer {
        Answer::Shown(shown) => {
            Some(shown.iter().map(|(key, token)| (key.clone(), (token.clone(), None))).collect())
        }
        Answer::ShownWhole(shown) => {
            let whole = |(key, (token, goals)): (&String, &(String, Vec<String>))| {
                (key.clone(), (token.clone(), Some(goals.clone())))
            };
            Some(shown.iter().map(whole).collect())
        }
        _ => None,
    }
}

/// When what was sent in this time expires, by its sender's clock.
fn dies(sent: Span, ttl: Option<u64>, ahead: i64) -> Option<Span> {
    let dies = |moment: Moment, ttl: u64| shifted(moment, ahead).saturating_add(ttl * 1_000_000);
    // In whole milliseconds, rounded either way.
    ttl.map(|ttl| Span::new(dies(sent.begin, ttl) - 1_000_000, dies(sent.end, ttl).saturating_add(1_000_000)))
}

/// Whoever adds a goal to an entry lets it live longer.
fn live_longer(history: &mut EntryHistory, skew: u64) {
    history.goals.sort_by_key(|goal| goal.span.begin);
    let goals = history.goals.iter().filter(|goal| goal.fate != Fate::Failed);
    for (begin, until) in goals.filter_map(|goal| Some((goal.span.begin, goal.dies?.end))) {
        for dies in history.attempts.iter_mut().filter_map(|attempt| attempt.dies.as_mut()) {
            if begin.saturating_sub(skew) <= dies.end {
                dies.end = dies.end.max(until);
            }
        }
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
        let goals = sighting.goals.as_ref().map_or_else(String::new, |goals| format!(" with {goals:?}"));
        events.push((sighting.span, format!("saw {:?}{goals}", sighting.token)));
    }
    for erasure in &history.erasures {
        events.push((erasure.span, "erased".to_owned()));
    }
    events.extend(history.removals.iter().map(|span| (*span, "removed".to_owned())));
    for goal in &history.goals {
        events.push((goal.span, format!("goal {}: {:?}", goal.name, goal.fate)));
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
    use super::super::log::{Call, Sent};
    use super::*;

    fn made(at: Moment, ask: Ask, answer: Option<(Moment, Answer)>) -> Made {
        Made { at, call: Call { side: Side::Ours, user: "u".to_owned(), behind: 0, ask }, answer }
    }

    fn save(token: &str, held: Option<&str>) -> Ask {
        let sent = Sent {
            token: token.to_owned(),
            held: held.map(str::to_owned),
            may_add: false,
            variation: "red".to_owned(),
            retired: Vec::new(),
        };
        Ask::Save { entries: BTreeMap::from([("e0".to_owned(), sent)]), knew: Some(0), ttl: None }
    }

    fn saved(at: Moment, told: Told, winner: Option<&str>) -> Option<(Moment, Answer)> {
        let saved = BTreeMap::from([("e0".to_owned(), (told, winner.map(str::to_owned)))]);
        Some((at, Answer::Saved(saved)))
    }

    fn look(at: Moment, shown: Option<&str>) -> Made {
        let keys = vec!["e0".to_owned()];
        let shown = shown.map(|token| ("e0".to_owned(), token.to_owned())).into_iter().collect();
        made(at, Ask::Read { keys, hidden: Vec::new() }, Some((at + 1, Answer::Shown(shown))))
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
        let erased = made(3, Ask::Erase, Some((4, Answer::Erased(Told::Unknown))));
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
