//! The traces that break weaker bookkeepings, by their numbers in the list of traces, and what the table forgets.

use stickystore_core::{Namespace, UserId};

use super::*;

mod model;

const W: Duration = Duration::from_secs(10);

pub(super) struct Bench {
    table: Table,
    now: UnixMillis,
}

impl Bench {
    fn new() -> Self {
        Self { table: Table::new(W, 1_000), now: UnixMillis::new(1_700_000_000_000).unwrap() }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.saturating_add(time);
    }

    fn answered(&mut self, revision: Option<Revision>) {
        self.answered_under(revision, None);
    }

    fn answered_under(&mut self, revision: Option<Revision>, epoch: Option<Epoch>) {
        self.table.answered(self.now, &user("ann"), Answer::One(&key("c1"), revision), epoch);
    }

    fn failed(&mut self) {
        self.table.failed(self.now, &user("ann"));
    }

    fn verdict(&mut self) -> Verdict {
        self.table.verdict(self.now, &user("ann"), &key("c1"))
    }
}

fn user(name: &str) -> Subject {
    Subject::new(Namespace::new("shop").unwrap(), UserId::new(name).unwrap())
}

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

fn ambiguous(seconds: u64) -> Verdict {
    Verdict::Ambiguous(Duration::from_secs(seconds))
}

#[test]
fn t1_a_set_is_not_charged_to_the_lookup_that_came_first() {
    let (mut bench, a) = (Bench::new(), Revision::random());
    bench.answered(None);
    bench.answered(Some(a));
    assert_eq!(bench.verdict(), ambiguous(0), "r1's set");
    assert_eq!(bench.verdict(), ambiguous(0), "r2's, who never saw A");
}

#[test]
fn t2_a_set_after_a_failed_lookup_is_not_charged_to_one_that_was_answered() {
    let (mut bench, a) = (Bench::new(), Revision::random());
    bench.failed();
    bench.answered(Some(a));
    assert_eq!(bench.verdict(), ambiguous(0));
}

#[test]
fn t3_an_answer_that_did_not_arrive_is_what_a3_excludes() {
    // r1 was answered and got nothing; this is all that can be known here.
    let (mut bench, a) = (Bench::new(), Revision::random());
    bench.answered(Some(a));
    assert_eq!(bench.verdict(), Verdict::Replace(a, None));
}

#[test]
fn t4_what_blocks_outlives_every_request_of_the_window() {
    let (mut bench, a) = (Bench::new(), Revision::random());
    bench.failed();
    bench.pass(W);
    bench.answered(Some(a));
    assert_eq!(bench.verdict(), ambiguous(10), "a decision may last as long as the window");
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.verdict(), Verdict::Replace(a, None));
}

#[test]
fn t4_what_grants_ends_before_the_window_does() {
    let (mut bench, a) = (Bench::new(), Revision::random());
    bench.answered(Some(a));
    bench.pass(W - Duration::from_millis(1));
    assert_eq!(bench.verdict(), Verdict::Replace(a, None));
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.verdict(), ambiguous(0), "nor is what was handed out inserted anew");
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.verdict(), Verdict::Insert(None), "nobody is left who saw it");
}

#[test]
fn t5_a_lookup_elsewhere_is_what_a1_excludes() {
    // r1's lookup failed in another process: nothing here says so.
    let (mut bench, a) = (Bench::new(), Revision::random());
    bench.answered(Some(a));
    assert_eq!(bench.verdict(), Verdict::Replace(a, None));
}

#[test]
fn t11_a_legitimate_set_waits_until_a_window_has_passed_without_a_failure() {
    let (mut bench, a) = (Bench::new(), Revision::random());
    bench.answered(Some(a));
    bench.failed();
    for second in [0, 5, 10] {
        assert_eq!(bench.verdict(), ambiguous(second));
        bench.pass(Duration::from_secs(5));
        bench.answered(Some(a));
    }
    assert_eq!(bench.verdict(), Verdict::Replace(a, None));
}

#[test]
fn the_age_is_that_of_the_first_of_many_failures() {
    let (mut bench, a) = (Bench::new(), Revision::random());
    for _ in 0..20 {
        bench.answered(Some(a));
        bench.failed();
        bench.pass(Duration::from_secs(5));
    }
    assert_eq!(bench.verdict(), ambiguous(100));
}

#[test]
fn after_a_change_of_ours_the_lookups_before_it_are_not_charged_to_those_after() {
    let (mut bench, a, b) = (Bench::new(), Revision::random(), Revision::random());
    bench.answered(Some(a));
    bench.answered(Some(b));
    bench.pass(Duration::from_secs(3));
    assert_eq!(bench.verdict(), ambiguous(3));
    bench.pass(W);
    bench.answered(Some(b));
    assert_eq!(bench.verdict(), Verdict::Replace(b, None));
}

#[test]
fn a_campaigns_lookups_say_nothing_of_another_campaign() {
    let (mut bench, a) = (Bench::new(), Revision::random());
    bench.answered(Some(a));
    let other = (bench.now, user("ann"), key("c2"));
    assert_eq!(bench.table.verdict(other.0, &other.1, &other.2), Verdict::Insert(None));
    bench.table.answered(other.0, &other.1, Answer::One(&other.2, None), None);
    assert_eq!(bench.verdict(), Verdict::Replace(a, None));
}

#[test]
fn a_lookup_of_all_campaigns_answers_those_that_are_not_there_too() {
    let (mut bench, a) = (Bench::new(), Revision::random());
    bench.table.answered(bench.now, &user("ann"), Answer::All(&[(key("c1"), a)]), None);
    assert_eq!(bench.verdict(), Verdict::Replace(a, None));
    bench.table.answered(bench.now, &user("ann"), Answer::All(&[]), None);
    assert_eq!(bench.verdict(), ambiguous(0));
}

#[test]
fn an_epoch_is_known_while_all_lookups_of_the_window_know_it() {
    let (mut bench, epoch) = (Bench::new(), Some(Epoch::random()));
    bench.answered_under(None, epoch);
    assert_eq!(bench.verdict(), Verdict::Insert(epoch));
    bench.answered_under(None, None);
    bench.answered_under(None, epoch);
    assert_eq!(bench.verdict(), Verdict::Insert(None), "one began before the erasure, or after its mark");
    bench.pass(W + Duration::from_millis(1));
    assert_eq!(bench.verdict(), Verdict::Insert(None), "nobody is left who knows it");
    bench.answered_under(None, epoch);
    assert_eq!(bench.verdict(), Verdict::Insert(epoch));
    bench.failed();
    assert_eq!(bench.verdict(), Verdict::Insert(None), "who could not look up may have begun before");
}

#[test]
fn who_was_forgotten_is_not_replaced_for_a_window() {
    let mut bench = Bench::new();
    bench.table = Table::new(W, 1);
    let a = Revision::random();
    bench.failed();
    bench.table.answered(bench.now, &user("bob"), Answer::One(&key("c1"), None), None);
    assert_eq!(bench.table.len(), 1);
    bench.pass(Duration::from_secs(4));
    bench.answered(Some(a));
    assert_eq!(bench.verdict(), ambiguous(4), "the failure was forgotten, that somebody was is not");
    bench.pass(W);
    bench.answered(Some(a));
    assert_eq!(bench.verdict(), Verdict::Replace(a, None));
}

#[test]
fn of_more_users_than_it_holds_those_go_that_were_idle_longest() {
    let mut table = Table::new(W, 3);
    let (now, a) = (UnixMillis::new(1_000_000).unwrap(), Revision::random());
    let answer = |table: &mut Table, ms: u64, name: &str| {
        let now = now.saturating_add(Duration::from_millis(ms));
        table.answered(now, &user(name), Answer::One(&key("c1"), Some(a)), None);
        table.verdict(now, &user(name), &key("c1"))
    };
    for (ms, name) in ["ann", "bob", "carl", "ann", "dora", "eve"].into_iter().enumerate() {
        answer(&mut table, ms as u64, name);
        assert!(table.len() <= 3);
    }
    assert!(table.users.contains_key(&user("ann")), "she was looked up again");
    assert!(!table.users.contains_key(&user("bob")));
    // Whoever is idle for a window makes room without a trace.
    assert_eq!(answer(&mut table, 60_000, "fritz"), Verdict::Replace(a, None));
    assert_eq!(table.len(), 1);
    assert_eq!(table.idle.len(), 1);
}

#[test]
fn of_a_user_with_too_many_keys_all_are_forgotten_towards_no() {
    let (mut bench, a) = (Bench::new(), Revision::random());
    for n in 0..=MAX_KEYS {
        let key = key(&format!("c{n}"));
        bench.table.answered(bench.now, &user("ann"), Answer::One(&key, Some(a)), None);
    }
    bench.answered(Some(a));
    assert_eq!(bench.verdict(), ambiguous(0));
    assert_eq!(bench.table.users[&user("ann")].keys.len(), 1);
}

#[test]
fn a_clock_that_is_set_back_stands_still() {
    let (mut bench, a) = (Bench::new(), Revision::random());
    bench.failed();
    bench.answered(Some(a));
    bench.now = bench.now.saturating_sub(Duration::from_secs(3_600));
    assert_eq!(bench.verdict(), ambiguous(0));
    bench.answered(Some(a));
    bench.now = bench.now.saturating_add(Duration::from_secs(3_600) + W + Duration::from_millis(1));
    bench.answered(Some(a));
    assert_eq!(bench.verdict(), Verdict::Replace(a, None));
}
