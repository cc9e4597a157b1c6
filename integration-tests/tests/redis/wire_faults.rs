//! Broken stores made by faults on the wire: each test names the cases of the suite that catch one. Where the design
//! absorbs a fault, the suite has to pass.
//!
//! A broken store is the real one on a real server, with a proxy between them that speaks the protocol. Those without a
//! wire are in the conformance crate.
#![expect(
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test asserts, and a fault knows the commands of the store"
)]

use std::sync::Arc;
use std::time::Duration;

use stickystore_conformance::{Case, Harness, Opened, Verdict, run_some};
use stickystore_core::{AsyncStoreExt as _, ErrorKind};
use stickystore_integration_tests::meddler::{Fault, Meddler};
use stickystore_integration_tests::server::redis::Redis;

use crate::bench::{call, entry, key, server, through, user};
use crate::conformance::{Behind, GRACE, open};

mod asked;
mod faults;
mod watched;

use asked::Asked;
use faults::{
    AbsentOnError, AnswerOfAnother, CrossedConnections, CutUser, FullBuffer, HalfPair, LateSend, LineBreaks,
    LostGrace, LoweredSweep, SecondSend, Sound, StaleCopy, StaleReply, SwallowedReset, SwappedReplies,
};
use watched::Watched;

/// The groups that a fault of writes has to do with.
const GROUPS: [&str; 7] = ["basic", "table", "expiry", "concurrency", "erasure", "batch", "model"];

/// A case of the suite, and a part of what it says when it fails.
type Catch = (&'static str, &'static str);

#[test]
fn a_stale_reply_after_a_cancelled_call_is_caught() {
    let catches = [("lifecycle::given_up_calls_disturb_no_other", "bob")];
    assert_caught(|| Arc::new(StaleReply::default()), &catches);
}

#[test]
fn a_second_send_is_caught() {
    let catches = [
        ("table::remove_of_live_removes", "Remove(\"key\")"),
        ("table::remove_if_of_the_named_removes", "RemoveIf(\"key\""),
        ("erasure::absent_user_gets_a_mark", "nothing stood"),
    ];
    assert_caught(|| Arc::new(SecondSend(Asked::is_write)), &catches);
}

#[test]
fn a_second_send_that_lands_late_is_caught() {
    let catches = [
        ("batch::writes_of_one_user_take_effect_in_order", "WasAbsent"),
        ("erasure::removes_everything_and_says_so", "nothing stands"),
        ("basic::removed_entry_can_be_inserted_again", "what was inserted"),
    ];
    assert_caught(|| Arc::new(LateSend::new(Asked::is_write)), &catches);
}

#[test]
fn a_swallowed_reset_is_caught() {
    let catches = [
        ("concurrency::one_insert_wins", "won"),
        ("concurrency::different_keys_all_stay", "what a user holds"),
    ];
    assert_caught(|| Arc::new(SwallowedReset::default()), &catches);
}

#[test]
fn a_lost_write_with_the_answer_of_the_one_before_is_caught() {
    let catches = [("concurrency::different_keys_all_stay", "what a user holds")];
    assert_caught(|| Arc::new(AnswerOfAnother::default()), &catches);
}

#[test]
fn a_shortened_sweep_is_caught() {
    let catches = [
        ("expiry::short_life_after_long_shortens_nothing", "after the server's own sweep"),
        ("expiry::short_life_after_a_mark_shortens_nothing", "the mark lives on"),
    ];
    assert_caught(|| Arc::new(LoweredSweep), &catches);
}

#[test]
fn a_sweep_that_lost_its_grace_is_caught() {
    // The case sees only what it reads within the grace: a long one, for a busy machine.
    const LONG: Duration = Duration::from_secs(1);
    let catches = [("expiry::sweep_keeps_what_lives", "within the grace, by a clock that is behind")];
    assert_caught_with(LONG, || Arc::new(LostGrace), &catches);
}

#[test]
fn cr_lf_that_is_let_through_is_caught() {
    let catches = [("identifiers::commands_reach_no_other_key", "as key")];
    assert_caught(|| Arc::new(LineBreaks), &catches);
}

#[test]
fn absent_in_place_of_an_error_is_caught() {
    let catches = [
        ("damage::foreign_user_is_corrupt", "foreign data is never absent"),
        ("scan::damaged_users_appear", "what is not ours is counted"),
    ];
    assert_caught(|| Arc::new(AbsentOnError), &catches);
}

#[test]
fn a_user_cut_short_is_caught() {
    assert_caught(|| Arc::new(CutUser), &[("values::user_of_a_thousand_entries_loads_whole", "load")]);
}

#[test]
fn a_value_cut_off_where_a_buffer_ends_is_caught() {
    assert_caught(|| Arc::new(FullBuffer), &[("values::large_entry_survives", "load")]);
}

#[test]
fn swapped_replies_of_one_connection_are_caught() {
    let catches = [("batch::order_is_kept", "user"), ("concurrency::one_insert_wins", "won")];
    assert_caught(|| Arc::new(SwappedReplies), &catches);
}

#[test]
fn the_reply_of_another_connection_is_caught() {
    let catches = [("basic::two_handles_see_each_other_at_once", "left == right")];
    assert_caught(|| Arc::new(CrossedConnections::default()), &catches);
}

#[test]
fn a_read_from_a_stale_copy_is_caught() {
    let catches = [("basic::put_is_seen_by_every_read_at_once", "get")];
    assert_caught(|| Arc::new(StaleCopy::default()), &catches);
}

/// Inserts, puts and replacements find their own revision. (A removal cannot: sent twice, it was absent.)
#[test]
fn a_second_send_at_once_of_what_carries_a_revision_goes_unnoticed() {
    assert_absorbed(|| Arc::new(SecondSend(|asked| asked.changes_only(b"IPR"))), &[]);
}

/// Nothing writes a revision a second time: so what names the revision that it read is refused when it comes again, after
/// others.
#[test]
fn a_late_second_send_of_what_names_a_revision_goes_unnoticed() {
    // These name revisions before they are written, which nobody can who has read them; or write one again after it was
    // removed, which nobody does.
    let premature = [
        "batch::writes_of_one_user_take_effect_in_order",
        "concurrency::histories_are_linearizable",
        "model::random_operations_match_the_model",
    ];
    assert_absorbed(|| Arc::new(LateSend::new(|asked| asked.changes_only(b"RX"))), &premature);
}

/// Its mark tells it that it was done.
#[test]
fn a_late_second_send_of_an_erase_goes_unnoticed_until_a_later_erase_takes_its_mark_over() {
    let takes_over = [
        "erasure::stale_epoch_writes_nothing",
        "erasure::erase_races_a_batch_of_inserts",
        "model::random_operations_match_the_model",
    ];
    assert_absorbed(|| Arc::new(LateSend::new(|asked| matches!(asked, Asked::Erase))), &takes_over);
}

#[tokio::test]
async fn a_name_without_its_text_is_an_error_and_no_smaller_user() {
    let Some(server) = server(&[]) else { return };
    let meddler = Meddler::start(server.port(), Arc::new(HalfPair)).await;
    let (store, subject) = (through(meddler.port()), user("ann"));
    for name in ["a", "b"] {
        store.put(call(), &subject, key(name), entry("v")).await.unwrap();
        let error = store.load(call(), &subject).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unexpected, "{error}");
    }
    assert!(store.get(call(), &subject, &key("a")).await.unwrap().is_some());
}

/// Each of these cases fails on a store with this fault, in the way that is said, and on one without it does not.
#[track_caller]
fn assert_caught<F: Fault>(fault: fn() -> Arc<F>, catches: &[Catch]) {
    assert_caught_with(GRACE, fault, catches);
}

#[track_caller]
fn assert_caught_with<F: Fault>(grace: Duration, fault: fn() -> Arc<F>, catches: &[Catch]) {
    let Some(server) = server(&[]).map(Arc::new) else { return };
    for (case, expected) in catches {
        let run = |fault| run_some(&harness(&server, grace, fault), |one| name(one) == *case);
        let without = run(Arc::new(Sound));
        assert_eq!((without.passed, without.failed), (1, 0), "{case} is a case, and passes: {without}");
        let report = run(fault());
        match &report.cases[0].verdict {
            Verdict::Failed(seen) if seen.contains(expected) => println!("{case} sees {seen}"),
            other => panic!("{case} should have seen {expected:?}: {other:?}"),
        }
    }
}

/// The suite passes on a store with this fault; left out are cases that do what the design does not absorb.
#[track_caller]
fn assert_absorbed<F: Fault>(fault: fn() -> Arc<F>, left_out: &[&str]) {
    let Some(server) = server(&[]).map(Arc::new) else { return };
    let wanted = |case: &Case| GROUPS.contains(&case.group) && !left_out.contains(&name(case).as_str());
    let report = run_some(&harness(&server, GRACE, fault()), wanted);
    assert!(report.is_good() && report.passed > 100, "{report}");
}

fn name(case: &Case) -> String {
    format!("{}::{}", case.group, case.name)
}

fn harness(server: &Arc<Redis>, grace: Duration, fault: Arc<dyn Fault>) -> Harness {
    let server = Arc::clone(server);
    let open = move || {
        let (server, fault) = (Arc::clone(&server), Arc::clone(&fault));
        async move {
            let meddler = Meddler::start(server.port(), Arc::clone(&fault)).await;
            let store = open(&format!("redis://127.0.0.1:{}", meddler.port()), grace)?;
            Ok(Opened::asynchronous(Watched::new(store, fault, meddler)).with_plant(Behind(server.url())))
        }
    };
    Harness::asynchronous("redis with a fault on the wire", open).with_grace(grace)
}
