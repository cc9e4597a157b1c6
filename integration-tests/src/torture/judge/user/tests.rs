//! Erasures of unknown outcome: what they may explain, and what they may not.

use super::super::super::history::{Attempt, EntryHistory, Erasure, Fate, Moment, NEVER, Sighting, Span};
use super::super::Kind;
use super::{judge_by, judge_user};

/// An entry with an acknowledged insert of one who had read just before.
fn entry(token: &str, begin: Moment, seen: &[(Moment, Option<&str>)]) -> EntryHistory {
    let attempt = Attempt {
        token: token.to_owned(),
        span: Span::new(begin, begin + 1),
        held: None,
        may_add: false,
        variation: "red".to_owned(),
        retired: Vec::new(),
        knew: Some(begin - 1),
        dies: None,
        fate: Fate::Acknowledged,
        process: 0,
    };
    let sightings = seen.iter().map(|(at, token)| Sighting {
        span: Span::new(*at, *at + 1),
        asked: *at,
        token: token.map(str::to_owned),
        goals: None,
        ahead: 0,
        process: 0,
    });
    EntryHistory { attempts: vec![attempt], sightings: sightings.collect(), ..EntryHistory::default() }
}

/// With erasures of unknown outcome that began then.
fn kinds(entries: &[EntryHistory], erased: &[Moment]) -> Vec<(usize, Kind)> {
    let erasures: Vec<_> = erased.iter().map(|at| Erasure { span: Span::new(*at, NEVER) }).collect();
    let entries: Vec<_> =
        entries.iter().map(|entry| EntryHistory { erasures: erasures.clone(), ..entry.clone() }).collect();
    judge_user(&entries, 0).found.into_iter().map(|(place, found)| (place, found.kind)).collect()
}

#[test]
fn it_may_have_come_at_some_moment_or_not_at_all() {
    let stays = entry("a", 10, &[(30, Some("a")), (90, Some("a"))]);
    assert_eq!(kinds(std::slice::from_ref(&stays), &[20]), []);
    let goes = entry("a", 10, &[(30, Some("a")), (90, None)]);
    assert_eq!(kinds(std::slice::from_ref(&goes), &[20]), []);
    assert_eq!(kinds(&[goes], &[]), [(0, Kind::Lost)]);
}

#[test]
fn it_comes_once() {
    let mut again = entry("a", 10, &[(30, None), (60, Some("b")), (90, None)]);
    again.attempts.extend(entry("b", 50, &[]).attempts);
    assert_eq!(
        kinds(std::slice::from_ref(&again), &[20]),
        [(0, Kind::Lost)],
        "what came after it has to stand"
    );
    assert_eq!(kinds(&[again], &[20, 70]), [], "there were two");
}

#[test]
fn it_comes_for_all_entries_at_the_same_moment() {
    let goes = entry("a", 10, &[(30, None)]);
    let stays = entry("b", 12, &[(40, Some("b"))]);
    assert_eq!(kinds(&[goes.clone(), stays], &[20]).len(), 1, "one is gone, and the other one is not");
    let goes_too = entry("b", 12, &[(40, None)]);
    assert_eq!(kinds(&[goes, goes_too], &[20]), []);
}

#[test]
fn what_was_acknowledged_after_it_had_come_has_to_stand() {
    let goes = entry("a", 10, &[(30, None)]);
    let after = entry("b", 50, &[(90, None)]);
    assert_eq!(kinds(&[goes, after.clone()], &[20]), [(1, Kind::Lost)]);
    assert_eq!(kinds(&[after], &[20]), [], "it may have come late");
}

#[test]
fn what_needs_more_guesses_than_there_are_is_left_open_and_not_found() {
    // Lost, whenever the erasures came: it was seen after the one who took it away must have come.
    let seen = [(20, Some("a")), (40, None), (60, Some("a")), (80, None)];
    let erasures = vec![Erasure { span: Span::new(30, NEVER) }, Erasure { span: Span::new(70, NEVER) }];
    let entries = [EntryHistory { erasures, ..entry("a", 10, &seen) }];
    let judged = judge_by(&entries, 0, 2_000);
    assert!(!judged.found.is_empty() && !judged.is_open, "{judged:?}");
    let judged = judge_by(&entries, 0, 1);
    assert!(judged.found.is_empty() && judged.is_open, "{judged:?}");
}
