//! Erasures, expiry and the traces that break weaker save guards, by their numbers there: none breaks this one.

use std::time::{Duration, Instant};

use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    Call, Clock, Effect, Entry, EpochCheck, Erase, ErrorKind, Expiry, Key, ManualClock, Outcome, Store,
    StoreExt, Subject, Value,
};
use stickystore_services::{Saved, Settings, Why};

use crate::bench::{Bench, HOUR, RED, kept, record, stored, with_goal, with_variation};

#[test]
fn t3_a_get_that_the_sdk_never_got_proves_nothing() {
    let bench = Bench::new();
    bench.set_bare("red", "");
    let _answered_but_not_received = bench.get();
    assert_eq!(kept(&bench.set_bare("blue", "")), (Why::Unproven, Some(RED.into())));
    assert_eq!(bench.stored(), stored("red", ""));
}

#[test]
fn t7_two_datafiles_do_not_replace_each_other_for_ever() {
    let bench = Bench::new();
    bench.set_bare("red", "g1");
    let report = bench.service.set(&with_variation(bench.get(), "blue")).unwrap();
    assert!(matches!(report.get("c1"), Some(Saved::Replaced { .. })));
    let back = with_goal(with_variation(bench.get(), "red"), "g2");
    let report = bench.service.set(&back).unwrap();
    let winner = r#"{"variationName":"blue","goalIdentifier":"g1_vwo_g2"}"#;
    assert_eq!(kept(&report), (Why::War, Some(winner.into())));
    assert_eq!(bench.stored(), stored("blue", "g1 g2"), "the goal was reached all the same");
    let report = bench.service.set(&with_variation(bench.get(), "red")).unwrap();
    assert_eq!(kept(&report), (Why::War, Some(winner.into())), "a goal between does not end the war");
    bench.clock.advance(Settings::REPLACE_BACK_AFTER);
    let report = bench.service.set(&with_variation(bench.get(), "red")).unwrap();
    assert!(matches!(report.get("c1"), Some(Saved::Replaced { .. })), "the rollout is over");
}

#[test]
fn a_war_is_told_with_what_stands_now_and_not_with_what_was_read() {
    let bench = Bench::new();
    let text = |variation| format!(r#"{{"variationName":"{variation}"}}"#);
    let at_war = || {
        bench.set_bare("red", "");
        bench.service.set(&with_variation(bench.get(), "blue")).unwrap();
        with_variation(bench.get(), "red")
    };
    let back = at_war();
    bench.service.set(&with_variation(bench.get(), "green")).unwrap();
    assert_eq!(kept(&bench.service.set(&back).unwrap()), (Why::Raced, Some(text("green"))));
    assert_eq!(bench.stored(), stored("green", ""));
    bench.erase();
    assert_eq!(kept(&bench.service.set(&back).unwrap()), (Why::Erased, None));
    bench.clock.advance(HOUR);
    let back = at_war();
    bench.clock.advance(HOUR);
    assert_eq!(kept(&bench.service.set(&back).unwrap()), (Why::Gone, None));
    let back = at_war();
    assert_eq!(kept(&bench.service.set(&back).unwrap()), (Why::War, Some(text("blue"))));
    bench.store.hooks.lock().unwrap().fail_reads = true;
    let unread = bench.service.set(&back).unwrap();
    let Some(Saved::Failed { error }) = unread.get("c1") else { panic!("{unread:?}") };
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::NotApplied));
}

#[test]
fn t8_a_replace_that_lands_twice_undoes_nothing() {
    let bench = Bench::with(|settings| settings.with_replace_back_after(Duration::ZERO));
    bench.set_bare("red", "");
    bench.store.calls();
    bench.service.set(&with_variation(bench.get(), "blue")).unwrap();
    let first_attempt = bench.store.hooks.lock().unwrap().writes.clone();
    bench.service.set(&with_variation(bench.get(), "red")).unwrap();
    let landed = bench.store.inner.write(bench.call(), &first_attempt);
    assert!(matches!(landed[0][0], Ok(Outcome::Kept(_))), "{landed:?}");
    assert_eq!(bench.stored(), stored("red", ""));
}

#[test]
fn t9_a_set_in_flight_does_not_bring_erased_data_back() {
    for (proved, goals) in [(false, ""), (false, "g1"), (true, "g1 g2")] {
        let bench = Bench::new();
        if proved {
            bench.set_bare("red", "g1");
        }
        let set = record("red", goals);
        let set = if proved { set.after(&bench.get()) } else { set };
        let (store, subject, clock) = (bench.store.inner.clone(), bench.subject(), bench.clock.clone());
        bench.store.before_a_write(move || erase(&store, &subject, &clock));
        let report = bench.service.set(&set).unwrap();
        assert_eq!(kept(&report), (Why::Erased, None), "proved {proved}, goals {goals:?}");
        assert_eq!(bench.stored(), None);
    }
}

#[test]
fn t9_goals_from_before_an_erasure_are_not_added_to_a_record_from_after_it() {
    for (proved, goals_at_the_write) in [(false, "g1"), (true, "g1 g2")] {
        let bench = Bench::new();
        bench.set_bare("red", "g1");
        let set = record("red", goals_at_the_write);
        let set = if proved { set.after(&bench.get()) } else { set };
        let (store, subject, clock) = (bench.store.inner.clone(), bench.subject(), bench.clock.clone());
        bench.erase();
        insert_after_erasure(&store, &subject, &clock);
        let report = bench.service.set(&set).unwrap();
        assert_eq!(kept(&report), (Why::Erased, Some(RED.into())), "proved {proved}");
        assert_eq!(bench.stored(), stored("red", ""));
    }
}

#[test]
fn t9_nor_if_both_happen_between_our_read_and_our_write() {
    let bench = Bench::new();
    bench.set_bare("red", "g1");
    let (store, subject, clock) = (bench.store.inner.clone(), bench.subject(), bench.clock.clone());
    bench.store.before_a_write(move || {
        erase(&store, &subject, &clock);
        insert_after_erasure(&store, &subject, &clock);
    });
    assert_eq!(kept(&bench.set_bare("red", "g1 g2")), (Why::Erased, Some(RED.into())));
    assert_eq!(bench.stored(), stored("red", ""));
}

#[test]
fn when_the_mark_has_ended_an_old_record_still_adds_only_what_its_caller_added() {
    let bench = Bench::new();
    bench.set_bare("red", "g1");
    let old = with_goal(bench.get(), "g2");
    bench.erase();
    bench.clock.advance(Erase::MARK_LIFE);
    bench.set_bare("red", "");
    let report = bench.service.set(&old).unwrap();
    assert_eq!(report.goals_added("c1"), ["g2"]);
    assert_eq!(bench.stored(), stored("red", "g2"), "g1 was erased");
}

#[test]
fn a_set_with_the_epoch_that_it_read_is_not_hindered_by_the_mark() {
    let bench = Bench::new();
    bench.erase();
    insert_after_erasure(&bench.store.inner, &bench.subject(), &bench.clock);
    let read = bench.get();
    let report = bench.service.set(&with_goal(read.clone(), "g1")).unwrap();
    assert_eq!(report.goals_added("c1"), ["g1"]);
    let report = bench.service.set(&with_goal(read, "g2")).unwrap();
    assert_eq!(report.goals_added("c1"), ["g2"], "also where it has to read again");
    assert_eq!(bench.stored(), stored("red", "g1 g2"));
}

#[test]
fn t10_an_insert_that_lands_again_after_its_end_has_no_second_life() {
    let bench = Bench::new();
    bench.set_bare("red", "");
    let first_attempt = bench.store.hooks.lock().unwrap().writes.clone();
    bench.clock.advance(HOUR);
    let landed = bench.store.inner.write(bench.call(), &first_attempt);
    assert_eq!(landed[0][0].as_ref().unwrap(), &Outcome::Expired);
    assert_eq!(bench.stored(), None);
}

#[test]
fn what_was_read_and_has_vanished_is_not_made_anew() {
    for by in ["expiry", "removal"] {
        let bench = Bench::new();
        bench.set_bare("red", "g1");
        let read = with_goal(bench.get(), "g2");
        match by {
            "expiry" => bench.clock.advance(HOUR),
            _ => drop(bench.store.inner.remove(bench.call(), &bench.subject(), Key::new("c1").unwrap())),
        }
        assert_eq!(kept(&bench.service.set(&read).unwrap()), (Why::Gone, None), "by {by}");
        assert_eq!(bench.stored(), None);
    }
}

#[test]
fn what_vanishes_between_our_read_and_our_write_is_not_made_anew_by_a_goal() {
    let bench = Bench::new();
    bench.set_bare("red", "g1");
    let (store, subject, call) = (bench.store.inner.clone(), bench.subject(), bench.call());
    bench.store.before_a_write(move || {
        store.remove(call, &subject, Key::new("c1").unwrap()).unwrap();
    });
    assert_eq!(kept(&bench.set_bare("red", "g2")), (Why::Gone, None));
    assert_eq!(bench.stored(), None);
    assert!(
        matches!(bench.set_bare("red", "g2").get("c1"), Some(Saved::Inserted)),
        "the next set is a new one"
    );
}

#[test]
fn nor_what_was_there_when_we_inserted_and_is_gone_when_we_read() {
    let bench = Bench::new();
    let mut set = record("red", "");
    set.set_meta_data(Value::string("ours"));
    bench.set_bare("red", "");
    let (store, subject, call) = (bench.store.inner.clone(), bench.subject(), bench.call());
    bench.store.before_a_read(move || {
        store.remove(call, &subject, Key::new("c1").unwrap()).unwrap();
    });
    assert_eq!(kept(&bench.service.set(&set).unwrap()), (Why::Gone, None));
    assert_eq!(bench.stored(), None);
}

#[test]
fn a_record_that_somebody_inserts_first_gets_our_goals() {
    let bench = Bench::new();
    let other = bench.other();
    bench.store.before_a_write(move || {
        other.set(&record("blue", "g1")).unwrap();
    });
    let report = bench.set_bare("red", "g2");
    assert_eq!((kept(&report).0, report.goals_added("c1")), (Why::Unproven, &["g2".to_owned()][..]));
    assert_eq!(bench.stored(), stored("blue", "g1 g2"));
}

#[test]
fn a_second_set_after_one_get_is_safe() {
    let bench = Bench::new();
    bench.set_bare("red", "");
    let read = bench.get();
    bench.service.set(&with_goal(with_variation(read.clone(), "blue"), "g1")).unwrap();
    let report = bench.service.set(&with_goal(with_variation(read.clone(), "blue"), "g1")).unwrap();
    assert!(matches!(report.get("c1"), Some(Saved::Unchanged)), "it finds its own");
    let report = bench.service.set(&with_variation(read, "green")).unwrap();
    assert_eq!(kept(&report).0, Why::Raced);
    assert_eq!(bench.stored(), stored("blue", "g1"));
}

fn erase(store: &MemoryStore, subject: &Subject, clock: &ManualClock) {
    let call = Call::new(clock.now(), Instant::now() + Duration::from_secs(5));
    store.erase_one(call, Erase::new(subject.clone(), clock.now())).unwrap();
}

/// As a caller does who read after the erasure.
fn insert_after_erasure(store: &MemoryStore, subject: &Subject, clock: &ManualClock) {
    let call = Call::new(clock.now(), Instant::now() + Duration::from_secs(5));
    let epoch = EpochCheck::Is(store.load(call, subject).unwrap().epoch());
    let entry = Entry::new(Value::new(RED).unwrap(), Expiry::Never);
    let outcome = store.insert(call, subject, epoch, Key::new("c1").unwrap(), entry).unwrap();
    assert_eq!(outcome, Outcome::Inserted);
}
