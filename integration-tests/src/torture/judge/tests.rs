//! Histories made by hand: each kind of violation, and beside it the twin that looks like it and is none.

use super::super::history::{Attempt, EntryHistory, Erasure, Fate, Goal, NEVER, Sighting, Span};
use super::{Kind, judge};

/// No clock is further away than this.
const SKEW: u64 = 10;

/// An acknowledged write of one who had been handed `held`, or who had read that nothing is there.
fn wrote(token: &str, begin: u64, end: u64, held: Option<&str>) -> Attempt {
    Attempt {
        token: token.to_owned(),
        span: Span::new(begin, end),
        held: held.map(str::to_owned),
        may_add: false,
        variation: token.to_owned(),
        retired: Vec::new(),
        knew: Some(begin.saturating_sub(1)),
        dies: None,
        fate: Fate::Acknowledged,
        process: 1,
    }
}

fn told(attempt: Attempt, fate: Fate) -> Attempt {
    let end = if fate == Fate::Unknown { NEVER } else { attempt.span.end };
    Attempt { fate, span: Span::new(attempt.span.begin, end), ..attempt }
}

fn dies(attempt: Attempt, at: u64) -> Attempt {
    Attempt { dies: Some(Span::new(at, at + 1)), ..attempt }
}

fn blind(attempt: Attempt) -> Attempt {
    Attempt { knew: None, ..attempt }
}

fn saw(begin: u64, token: Option<&str>) -> Sighting {
    let span = Span::new(begin, begin + 1);
    Sighting { span, asked: begin, token: token.map(str::to_owned), goals: None, ahead: 0, process: 0 }
}

fn history(attempts: &[Attempt], sightings: &[Sighting]) -> EntryHistory {
    EntryHistory { attempts: attempts.to_vec(), sightings: sightings.to_vec(), ..EntryHistory::default() }
}

fn erased(history: EntryHistory, begin: u64, end: u64) -> EntryHistory {
    EntryHistory { erasures: vec![Erasure { span: Span::new(begin, end) }], ..history }
}

fn removed(history: EntryHistory, begin: u64, end: u64) -> EntryHistory {
    EntryHistory { removals: vec![Span::new(begin, end)], ..history }
}

fn reached(history: EntryHistory, name: &str, begin: u64, end: u64) -> EntryHistory {
    let span = Span::new(begin, end);
    let goal = Goal { name: name.to_owned(), span, dies: None, fate: Fate::Acknowledged };
    EntryHistory { goals: vec![goal], ..history }
}

fn with_goals(sighting: Sighting, goals: &[&str]) -> Sighting {
    Sighting { goals: Some(goals.iter().map(|goal| (*goal).to_owned()).collect()), ..sighting }
}

fn kinds(history: &EntryHistory) -> Vec<Kind> {
    judge(history, SKEW).into_iter().map(|found| found.kind).collect()
}

fn is_fine(history: &EntryHistory) {
    assert_eq!(judge(history, SKEW), []);
}

#[test]
fn what_was_acknowledged_and_stays_is_fine() {
    is_fine(&history(&[wrote("a", 1, 2, None)], &[saw(0, None), saw(3, Some("a")), saw(9, Some("a"))]));
}

#[test]
fn what_was_acknowledged_and_is_gone_is_lost() {
    let gone = history(&[wrote("a", 1, 2, None)], &[saw(3, None)]);
    assert_eq!(kinds(&gone), [Kind::Lost]);
}

#[test]
fn a_read_that_began_before_the_answer_may_miss_it() {
    let early = Sighting { span: Span::new(1, 9), ..saw(1, None) };
    is_fine(&history(&[wrote("a", 1, 2, None)], &[early]));
}

#[test]
fn an_answer_that_may_be_behind_may_miss_what_was_acknowledged_before_but_shows_nothing_that_has_expired() {
    let behind = |from: u64, asked: u64, token: Option<&str>| Sighting {
        span: Span::new(from, asked + 1),
        ..saw(asked, token)
    };
    is_fine(&history(&[wrote("a", 1, 2, None)], &[behind(1, 9, None)]));
    assert_eq!(kinds(&history(&[wrote("a", 1, 2, None)], &[behind(5, 9, None)])), [Kind::Lost]);
    let own = Sighting { process: 1, ..behind(1, 9, None) };
    assert_eq!(kinds(&history(&[wrote("a", 1, 2, None)], &[own])), [Kind::Lost], "its own process wrote it");
    let mortal = dies(wrote("a", 1, 2, None), 100);
    assert_eq!(kinds(&history(&[mortal], &[behind(90, 120, Some("a"))])), [Kind::Flipped]);
}

#[test]
fn what_was_seen_once_is_lost_too_when_nobody_knew_its_fate() {
    let unknown = told(wrote("a", 1, 2, None), Fate::Unknown);
    assert_eq!(
        kinds(&history(std::slice::from_ref(&unknown), &[saw(3, Some("a")), saw(5, None)])),
        [Kind::Lost]
    );
    is_fine(&history(&[unknown], &[saw(3, None), saw(50, Some("a"))]));
}

#[test]
fn who_had_been_handed_it_may_replace_it() {
    let attempts = [wrote("a", 1, 2, None), wrote("b", 4, 5, Some("a"))];
    is_fine(&history(&attempts, &[saw(3, Some("a")), saw(6, Some("b"))]));
}

#[test]
fn who_had_not_been_handed_it_flips_it() {
    let added = [wrote("a", 1, 2, None), wrote("b", 4, 5, None)];
    assert_eq!(kinds(&history(&added, &[saw(3, Some("a"))])), [Kind::Flipped]);
    let of_another = [wrote("a", 1, 2, None), wrote("b", 4, 5, Some("a")), wrote("c", 7, 8, Some("a"))];
    assert_eq!(kinds(&history(&of_another, &[])), [Kind::Flipped], "it held what had been replaced");
}

#[test]
fn two_that_began_at_once_may_win_in_either_order() {
    let racing = [wrote("a", 1, 9, None), told(wrote("b", 1, 9, None), Fate::Refused)];
    is_fine(&history(&racing, &[saw(10, Some("a"))]));
    let both_won = [wrote("a", 1, 9, None), wrote("b", 1, 9, None)];
    assert_eq!(kinds(&history(&both_won, &[saw(10, Some("a"))])), [Kind::Flipped]);
}

#[test]
fn a_replacement_of_unknown_fate_may_come_late_but_not_over_another() {
    let late = told(wrote("b", 4, 5, Some("a")), Fate::Unknown);
    let base = wrote("a", 1, 2, None);
    is_fine(&history(&[base.clone(), late.clone()], &[saw(40, Some("a")), saw(60, Some("b"))]));
    let over = [base, late, wrote("c", 10, 11, Some("a"))];
    assert_eq!(kinds(&history(&over, &[saw(20, Some("c")), saw(60, Some("b"))])), [Kind::Flipped]);
}

#[test]
fn what_was_replaced_does_not_come_back() {
    let attempts = [wrote("a", 1, 2, None), wrote("b", 4, 5, Some("a"))];
    let back = history(&attempts, &[saw(6, Some("b")), saw(8, Some("a"))]);
    assert_eq!(kinds(&back), [Kind::Flipped]);
}

#[test]
fn one_fault_is_counted_once_however_often_it_is_seen() {
    let gone = history(&[wrote("a", 1, 2, None)], &[saw(3, None), saw(5, None), saw(7, None)]);
    assert_eq!(kinds(&gone), [Kind::Lost]);
    let twice = [wrote("a", 1, 2, None), wrote("b", 9, 10, None)];
    assert_eq!(kinds(&history(&twice, &[saw(3, None), saw(20, None)])), [Kind::Lost; 2]);
}

#[test]
fn an_erasure_takes_away_what_stood_when_it_came() {
    let seen = [saw(3, Some("a")), saw(9, None)];
    is_fine(&erased(history(&[wrote("a", 1, 2, None)], &seen), 5, 6));
    let later = erased(history(&[wrote("a", 7, 8, None)], &[saw(9, None)]), 5, 6);
    assert_eq!(kinds(&later), [Kind::Lost], "it was over before the write began");
    is_fine(&erased(history(&[wrote("a", 7, 8, None)], &[saw(9, None)]), 5, NEVER));
}

#[test]
fn what_an_erasure_left_is_data_after_erasure() {
    let stays = erased(history(&[wrote("a", 1, 2, None)], &[saw(9, Some("a"))]), 5, 6);
    assert_eq!(kinds(&stays), [Kind::Flipped]);
}

#[test]
fn an_insert_of_one_who_did_not_know_of_the_erasure_must_not_come_after_it() {
    let in_flight = Attempt { knew: Some(3), ..wrote("a", 4, 8, None) };
    let seen = [saw(9, Some("a"))];
    assert_eq!(kinds(&erased(history(&[in_flight], &seen), 5, 6)), [Kind::Flipped]);
    let knows = Attempt { knew: Some(7), ..wrote("a", 7, 8, None) };
    is_fine(&erased(history(&[knows], &seen), 5, 6));
    let blind = blind(wrote("a", 7, 8, None));
    assert_eq!(kinds(&erased(history(&[blind], &seen), 5, 6)), [Kind::Flipped], "it had read nothing");
}

#[test]
fn a_replacement_of_what_was_erased_must_not_come_after_it() {
    let attempts = [wrote("a", 1, 2, None), wrote("b", 4, 8, Some("a"))];
    assert_eq!(kinds(&erased(history(&attempts, &[saw(9, Some("b"))]), 5, 6)), [Kind::Flipped]);
    is_fine(&erased(history(&attempts, &[saw(9, None)]), 5, 6));
}

#[test]
fn what_expired_may_be_gone_and_made_anew() {
    let mortal = dies(wrote("a", 1, 2, None), 100);
    is_fine(&history(&[mortal.clone(), wrote("b", 110, 111, None)], &[saw(105, None), saw(120, Some("b"))]));
    assert_eq!(
        kinds(&history(std::slice::from_ref(&mortal), &[saw(50, None)])),
        [Kind::Lost],
        "it was to live longer"
    );
    assert_eq!(kinds(&history(&[mortal], &[saw(120, Some("a"))])), [Kind::Flipped], "it lives too long");
}

#[test]
fn clocks_that_are_apart_may_disagree_around_an_expiry() {
    let mortal = dies(wrote("a", 1, 2, None), 100);
    let ahead = Sighting { ahead: 8, ..saw(93, None) };
    let behind = Sighting { ahead: -8, ..saw(105, Some("a")) };
    is_fine(&history(std::slice::from_ref(&mortal), &[ahead, behind]));
    let too_soon = Sighting { ahead: 8, ..saw(80, None) };
    assert_eq!(kinds(&history(&[mortal], &[too_soon])), [Kind::Lost]);
}

#[test]
fn an_insert_that_lands_twice_may_come_again_after_it_expired_for_another_but_not_over_anything() {
    let first = dies(wrote("a", 1, 2, None), 200);
    let second = dies(wrote("b", 4, 5, Some("a")), 100);
    let seen = [saw(50, Some("b")), saw(120, None), saw(130, Some("a"))];
    is_fine(&history(&[first.clone(), second.clone()], &seen));
    let seen = [saw(50, Some("b")), saw(60, Some("a"))];
    assert_eq!(kinds(&history(&[first, second], &seen)), [Kind::Flipped]);
}

#[test]
fn what_nobody_wrote_or_nobody_should_have_written_must_not_stand() {
    assert_eq!(kinds(&history(&[], &[saw(1, Some("x"))])), [Kind::Flipped]);
    let failed = told(wrote("a", 1, 2, None), Fate::Failed);
    assert_eq!(kinds(&history(&[failed], &[saw(5, Some("a"))])), [Kind::Flipped]);
    let base = wrote("a", 1, 2, None);
    let refused = told(wrote("b", 4, 5, Some("a")), Fate::Refused);
    assert_eq!(kinds(&history(&[base, refused], &[saw(9, Some("b"))])), [Kind::Flipped]);
}

#[test]
fn what_an_operator_removed_is_gone_and_may_be_made_anew_by_whoever_had_read_before() {
    let attempts = [wrote("a", 1, 2, None), Attempt { knew: Some(0), ..wrote("b", 7, 8, None) }];
    let seen = [saw(3, Some("a")), saw(9, Some("b"))];
    is_fine(&removed(history(&attempts, &seen), 4, 5));
    assert_eq!(kinds(&removed(history(&attempts, &seen), 10, 11)), [Kind::Flipped]);
    assert_eq!(kinds(&removed(history(&attempts[..1], &[saw(20, None)]), 30, 31)), [Kind::Lost]);
}

#[test]
fn what_is_retired_may_be_replaced_unread_and_nothing_else_may() {
    let retires = |variation: &str| Attempt { retired: vec![variation.to_owned()], ..wrote("b", 4, 5, None) };
    is_fine(&history(&[wrote("a", 1, 2, None), retires("a")], &[saw(9, Some("b"))]));
    assert_eq!(kinds(&history(&[wrote("a", 1, 2, None), retires("x")], &[])), [Kind::Flipped]);
}

#[test]
fn a_goal_that_was_reached_or_seen_stays_whatever_becomes_of_the_variation() {
    let attempts = [wrote("a", 1, 2, None), wrote("b", 6, 7, Some("a"))];
    let kept = with_goals(saw(9, Some("b")), &["g"]);
    let missing = with_goals(saw(9, Some("b")), &["another"]);
    is_fine(&reached(history(&attempts, std::slice::from_ref(&kept)), "g", 3, 4));
    assert_eq!(kinds(&reached(history(&attempts, std::slice::from_ref(&missing)), "g", 3, 4)), [Kind::Lost]);
    is_fine(&reached(history(&attempts, std::slice::from_ref(&missing)), "g", 3, 9));
    let gone = Sighting { span: Span::new(20, 21), ..missing.clone() };
    assert_eq!(kinds(&history(&attempts, &[kept.clone(), gone.clone()])), [Kind::Lost], "it was seen");
    let none = with_goals(saw(9, Some("b")), &[]);
    is_fine(&history(&attempts, &[none, Sighting { span: Span::new(20, 21), ..kept }]));
}

#[test]
fn a_goal_goes_with_its_entry() {
    let attempts = [wrote("a", 1, 2, None), wrote("b", 7, 8, None)];
    let seen = [with_goals(saw(9, Some("b")), &[])];
    is_fine(&removed(reached(history(&attempts, &seen), "g", 3, 4), 5, 6));
    is_fine(&erased(reached(history(&attempts, &seen), "g", 3, 4), 5, 6));
    let before = removed(reached(history(&attempts[..1], &seen[..0]), "g", 5, 6), 3, 4);
    is_fine(&before);
    let mortal = dies(wrote("a", 1, 2, None), 100);
    let goal = |dies| Goal { dies, ..reached(history(&[], &[]), "g", 3, 4).goals[0].clone() };
    let later = |dies: Option<Span>| EntryHistory {
        goals: vec![goal(dies)],
        ..history(std::slice::from_ref(&mortal), &[with_goals(saw(80, Some("a")), &[])])
    };
    assert_eq!(kinds(&later(Some(Span::new(130, 131)))), [Kind::Lost]);
    is_fine(&later(Some(Span::new(90, 91))));
}

#[test]
fn who_may_not_prove_what_it_held_adds_where_nothing_stands_and_replaces_nothing_else() {
    let stood = |may_add| {
        let last = Attempt { may_add, ..wrote("d", 20, 21, Some("b")) };
        let before = [wrote("a", 1, 2, None), wrote("b", 3, 4, Some("a")), wrote("c", 5, 6, Some("b"))];
        history(&[&before[..], &[last]].concat(), &[saw(30, Some("d"))])
    };
    is_fine(&removed(stood(true), 10, 11));
    assert_eq!(kinds(&removed(stood(false), 10, 11)), [Kind::Flipped]);
    assert_eq!(kinds(&stood(true)), [Kind::Flipped], "nobody took away what stood");
}
