//! Sessions: one read, no I/O, one write; what a save may replace; commit before serve.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test asserts, and an assertion panics"
)]

mod bench;
#[cfg(feature = "metrics")]
mod counted;
mod dropped;
mod given_up;
mod goals;
mod guard;
mod serve;

use stickystore_core::{Effect, ErrorKind, Immediate, Store as _};
use stickystore_services::growthbook::user_id;
use stickystore_services::session::{AsyncSession, Session};
use stickystore_services::vwo::Dialect;
use stickystore_services::{FailedLookup, Receipts, Saved, Why};

use bench::{Bench, kept, lookup, record, saved, with};

#[test]
fn all_users_are_read_at_once_and_written_at_once() {
    let bench = Bench::new();
    let session = bench.begin();
    for user in ["ann", "bob"] {
        session.view().save(&with(lookup(session.view(), user), "e1", "red")).unwrap();
        session.view().set(&stickystore_services::vwo::Record::new(user, "c1", "red")).unwrap();
        session.view().assign(user, "button", || "blue").unwrap();
    }
    assert_eq!(bench.store.calls(), (1, 0), "nothing between begin and commit");
    let report = session.commit();
    assert_eq!(bench.store.calls(), (0, 1));
    for user in ["ann", "bob"] {
        for key in ["e1", "c1", "button"] {
            assert!(matches!(saved(&report, user, key), Saved::Inserted), "{user} {key}");
        }
    }
    assert!(report.is_kept());
    assert_eq!(bench.stored("bob", "e1").as_deref(), Some("red"));
    assert_eq!(session.view().uncommitted(), 0);
}

#[test]
fn nothing_saved_is_nothing_written() {
    let bench = Bench::new();
    bench.put("A");
    let session = bench.begin();
    let profile = lookup(session.view(), "ann");
    session.view().save(&profile).unwrap();
    let report = session.commit();
    assert_eq!(bench.store.calls(), (1, 0));
    assert!(matches!(saved(&report, "ann", "e1"), Saved::Unchanged));
}

#[test]
fn what_was_saved_is_seen_by_what_looks_up_after_it() {
    let bench = Bench::new();
    let session = bench.begin();
    let view = session.view();
    view.save(&with(lookup(view, "ann"), "e1", "A")).unwrap();
    assert_eq!(lookup(view, "ann").variation("e1"), Some("A"));
    view.set_json(&record("red", "g1").to_json(Dialect::Node)).unwrap();
    view.set_json(&record("red", "g2").to_json(Dialect::Ruby)).unwrap();
    assert_eq!(view.get("ann", "c1").unwrap().unwrap().goals().collect::<Vec<_>>(), ["g1", "g2"]);
    let first = view.assign("ann", "k", || "x").unwrap().entry;
    assert_eq!(view.assign("ann", "k", || "y").unwrap().entry, first);
    session.commit();
    let record = bench.other_vwo().get("ann", "c1").unwrap().unwrap();
    assert_eq!(record.goals().collect::<Vec<_>>(), ["g1", "g2"]);
}

#[test]
fn what_was_read_and_changed_is_replaced_once_however_often_it_was_saved() {
    let bench = Bench::new();
    bench.put("A");
    let session = bench.begin();
    for variation in ["B", "C"] {
        session.view().save(&with(lookup(session.view(), "ann"), "e1", variation)).unwrap();
    }
    let report = session.commit();
    match saved(&report, "ann", "e1") {
        Saved::Replaced { old } => assert_eq!(old.as_str(), r#"{"variation_id":"A"}"#),
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.stored("ann", "e1").as_deref(), Some("C"));
}

#[test]
fn a_replacement_is_proved_without_receipts_by_what_the_session_handed_out() {
    let bench = Bench::with(|settings| settings.with_receipts(Receipts::Off));
    bench.put("A");
    let session = bench.begin();
    let profile = lookup(session.view(), "ann");
    assert!(!session.view().lookup_json("ann").unwrap().contains("stickystore"));
    session.view().save_json(&with(profile, "e1", "B").to_json()).unwrap();
    assert!(matches!(saved(&session.commit(), "ann", "e1"), Saved::Replaced { .. }));
}

#[test]
fn who_never_looked_up_replaces_nothing_though_the_session_has_read_it() {
    for receipts in [Receipts::On, Receipts::Off] {
        let bench = Bench::with(|settings| settings.with_receipts(receipts));
        bench.put("A");
        bench.other_vwo().set(&record("red", "")).unwrap();
        let session = bench.begin();
        session
            .view()
            .save_json(r#"{"user_id":"ann","experiment_bucket_map":{"e1":{"variation_id":"B"}}}"#)
            .unwrap();
        session.view().set(&record("blue", "")).unwrap();
        let report = session.commit();
        assert_eq!(kept(&report, "e1"), (Why::Unproven, Some(r#"{"variation_id":"A"}"#.into())));
        assert_eq!(kept(&report, "c1").0, Why::Unproven);
        assert_eq!(bench.stored("ann", "e1").as_deref(), Some("A"));
    }
}

#[test]
fn a_vwo_record_that_is_made_anew_replaces_what_its_get_had_handed_out() {
    let bench = Bench::new();
    bench.other_vwo().set(&record("red", "g1")).unwrap();
    let session = bench.begin();
    session.view().get_json("ann", "c1", Dialect::Node).unwrap();
    session.view().set_json(&record("blue", "").to_json(Dialect::Node)).unwrap();
    assert!(matches!(saved(&session.commit(), "ann", "c1"), Saved::Replaced { .. }));
    let record = bench.other_vwo().get("ann", "c1").unwrap().unwrap();
    assert_eq!((record.variation_name(), record.goals().collect::<Vec<_>>()), ("blue", vec!["g1"]));
}

#[test]
fn goals_that_somebody_adds_meanwhile_are_united_with_ours() {
    let bench = Bench::new();
    bench.other_vwo().set(&record("red", "g1")).unwrap();
    let session = bench.begin();
    session.view().get("ann", "c1").unwrap();
    session.view().set(&record("red", "g2")).unwrap();
    bench.other_vwo().set(&record("red", "g3")).unwrap();
    let report = session.commit();
    assert!(matches!(saved(&report, "ann", "c1"), Saved::Added), "{}", report.to_json());
    let record = bench.other_vwo().get("ann", "c1").unwrap().unwrap();
    assert_eq!(record.goals().collect::<Vec<_>>(), ["g1", "g3", "g2"]);
    let seen = session.view().get("ann", "c1").unwrap().unwrap();
    assert_eq!(seen.goals().collect::<Vec<_>>(), ["g1", "g3", "g2"], "the view shows what stands");
}

#[test]
fn goals_are_added_also_where_the_user_could_not_be_read() {
    let bench = Bench::new();
    bench.other_vwo().set(&record("red", "g1")).unwrap();
    bench.store.fail_reads(1);
    let session = bench.begin();
    assert_eq!(session.view().get("ann", "c1").unwrap_err().kind(), ErrorKind::Unavailable);
    session.view().set(&record("red", "")).unwrap();
    session.view().set(&record("red", "g2")).unwrap();
    session.view().set(&record("red", "g3")).unwrap();
    assert_eq!(session.view().uncommitted(), 1);
    let error = session.view().set(&record("", "")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(session.commit().user("ann").unwrap().goals_added("c1"), ["g2", "g3"]);
    let record = bench.other_vwo().get("ann", "c1").unwrap().unwrap();
    assert_eq!(record.goals().collect::<Vec<_>>(), ["g1", "g2", "g3"]);
    assert_eq!(session.view().uncommitted(), 0);
}

#[test]
fn of_a_new_campaign_too() {
    let bench = Bench::new();
    bench.store.fail_reads(1);
    let session = bench.begin();
    session.view().set(&record("red", "")).unwrap();
    session.view().set(&record("red", "g1")).unwrap();
    assert!(matches!(saved(&session.commit(), "ann", "c1"), Saved::Inserted));
    let record = bench.other_vwo().get("ann", "c1").unwrap().unwrap();
    assert_eq!(record.goals().collect::<Vec<_>>(), ["g1"]);
}

#[test]
fn who_seems_to_have_nothing_since_it_could_not_be_read_is_only_added_to() {
    let bench = Bench::with(|settings| settings.with_failed_lookup(FailedLookup::Absent));
    bench.put("A");
    bench.other_vwo().set(&record("red", "")).unwrap();
    bench.store.fail_reads(1);
    let session = bench.begin();
    let view = session.view();
    assert_eq!(view.lookup("ann").unwrap().variation("e1"), None);
    assert_eq!(view.get("ann", "c1").unwrap(), None);
    view.save(&with(view.lookup("ann").unwrap(), "e1", "B")).unwrap();
    view.set(&record("blue", "")).unwrap();
    let report = session.commit();
    assert_eq!(kept(&report, "e1").0, Why::Unproven);
    assert_eq!(kept(&report, "c1").0, Why::Unproven, "a failure is no proof of absence");
}

#[test]
fn a_user_who_could_not_be_read_is_only_added_to() {
    let bench = Bench::new();
    bench.put("A");
    bench.store.fail_reads(1);
    let session = bench.begin();
    let view = session.view();
    assert_eq!(view.lookup("ann").unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(view.failed("ann").unwrap().kind(), ErrorKind::Unavailable);
    assert_eq!(view.assign("ann", "k", || "x").unwrap_err().kind(), ErrorKind::Unavailable);
    view.save_json(
        r#"{"user_id":"ann","experiment_bucket_map":{"e1":{"variation_id":"B"},"e2":{"variation_id":"C"}}}"#,
    )
    .unwrap();
    let report = session.commit();
    assert_eq!(kept(&report, "e1"), (Why::Unproven, Some(r#"{"variation_id":"A"}"#.into())));
    assert!(matches!(saved(&report, "ann", "e2"), Saved::Inserted));
    assert_eq!(bench.stored("ann", "e1").as_deref(), Some("A"));
}

#[test]
fn growthbooks_assignments_are_added() {
    let bench = Bench::new();
    let user = user_id("id", "ann");
    let session = Session::begin(bench.store.clone(), bench.settings.clone(), [&user]).unwrap();
    let view = session.view();
    assert!(view.assignments("id", "ann").unwrap().is_empty());
    view.save_assignments("id", "ann", [("button__0", "1")]).unwrap();
    view.save_assignments("id", "ann", [("button__0", "2")]).unwrap();
    assert_eq!(view.assignments("id", "ann").unwrap()["button__0"], "1");
    let report = session.commit();
    assert!(matches!(saved(&report, &user, "button__0"), Saved::Kept { why: Why::Unproven, .. }));
    assert_eq!(bench.store.calls(), (1, 1));
}

#[test]
fn a_user_that_the_session_was_not_begun_for_is_named_an_error() {
    let bench = Bench::new();
    let session = bench.begin();
    let view = session.view();
    let errors = [
        view.lookup("carl").unwrap_err(),
        view.save(&stickystore_services::optimizely::UserProfile::new("carl")).unwrap_err(),
        view.assign("carl", "k", || "v").unwrap_err(),
        view.save_assignments("id", "carl", [("a__0", "1")]).unwrap_err(),
        view.failed("carl").unwrap(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.context().contains("not begun for this user"), "{error}");
    }
    let error = Session::begin(bench.store.clone(), bench.settings.clone(), [""]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn what_failed_can_be_committed_again_and_is_known_again() {
    let bench = Bench::new();
    let session = bench.begin();
    session.view().assign("ann", "k", || "v").unwrap();
    bench.store.lose_answers(1);
    let report = session.commit();
    assert_eq!(report.error().unwrap().kind(), ErrorKind::Timeout);
    let report = session.commit();
    assert!(matches!(saved(&report, "ann", "k"), Saved::Inserted), "{}", report.to_json());
}

#[test]
fn what_may_have_been_applied_stays_in_doubt_when_a_second_commit_could_not_be_sent() {
    let bench = Bench::new();
    let session = bench.begin();
    session.view().assign("ann", "k", || "v").unwrap();
    bench.store.lose_answers(1);
    assert_eq!(session.commit().error().unwrap().effect(), Effect::Unknown);
    bench.store.inner.close(bench.settings.call()).unwrap();
    let second = session.commit();
    assert_eq!(second.error().unwrap().kind(), ErrorKind::Closed);
    assert_eq!(second.error().unwrap().effect(), Effect::Unknown, "the first may have been applied");
}

#[test]
fn more_than_fits_into_one_write_is_written_in_one_call() {
    let bench = Bench::new();
    let session = bench.begin();
    for key in 0..stickystore_core::MAX_CHANGES + 1 {
        session.view().assign("ann", &format!("k{key}"), || "v").unwrap();
    }
    session.view().assign("bob", "k", || "v").unwrap();
    let report = session.commit();
    assert!(report.is_kept());
    assert_eq!(report.user("ann").unwrap().iter().len(), stickystore_core::MAX_CHANGES + 1);
    assert_eq!(bench.store.calls(), (1, 1));
}

#[test]
fn threads_share_a_view() {
    let bench = Bench::new();
    let session = bench.begin();
    std::thread::scope(|scope| {
        for n in 0..4 {
            let view = session.view().clone();
            scope.spawn(move || view.assign("ann", "k", || format!("v{n}")).unwrap());
        }
    });
    assert!(session.commit().is_kept());
    assert_eq!(bench.store.calls(), (1, 1));
}

#[tokio::test(flavor = "current_thread")]
async fn the_async_session_does_the_same() {
    let bench = Bench::new();
    bench.put("A");
    let store = Immediate::new(bench.store.clone());
    let session = AsyncSession::begin(store, bench.settings.clone(), ["ann"]).await.unwrap();
    session.view().save(&with(lookup(session.view(), "ann"), "e1", "B")).unwrap();
    bench.other_vwo().set(&record("red", "g1")).unwrap();
    session.view().set(&record("red", "g2")).unwrap();
    let report = session.commit().await;
    assert!(matches!(saved(&report, "ann", "e1"), Saved::Replaced { .. }));
    assert_eq!(report.user("ann").unwrap().goals_added("c1"), ["g2"]);
}
