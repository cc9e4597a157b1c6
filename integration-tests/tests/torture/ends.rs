//! However a run ends, it says how, and keeps it.
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

use stickystore_integration_tests::torture::{Backend, End, Plan, Verdict, run};

use crate::plan;

/// What a run comes to whose processes are this program.
fn ends(program: &str) -> (Verdict, String) {
    let plan = Plan { seed: 77, ..plan(Backend::Memory, 100) };
    let verdict = run(program, &plan).unwrap();
    let kept = std::fs::read_to_string(&verdict.kept).unwrap();
    std::fs::remove_file(&verdict.kept).unwrap();
    (verdict, kept)
}

#[test]
fn a_run_whose_processes_end_too_soon_is_no_loss_and_says_how_they_ended() {
    let (verdict, kept) = ends("false");
    assert_eq!(verdict.end(), End::Broken, "{verdict}");
    let objection = verdict.objection().unwrap();
    assert!(objection.contains("process 0 ended too soon, by exit status: 1"), "{objection}");
    assert!(kept.contains(&objection), "{kept}");
}

#[test]
fn what_such_a_process_complained_of_is_kept() {
    // It knows no such option.
    let (_, kept) = ends("ls");
    assert!(kept.contains("ended too soon") && kept.contains("ls: "), "{kept}");
}

#[test]
fn a_run_that_cannot_start_a_process_keeps_how_it_was_called() {
    let (verdict, kept) = ends("/nowhere/torture");
    assert_eq!(verdict.end(), End::Broken, "{verdict}");
    let called = "torture --backend=memory --nodes=1 --acts=100 --seed=77\nexit code: 5\n";
    assert!(kept.starts_with(called) && kept.contains("No such file"), "{kept}");
}
