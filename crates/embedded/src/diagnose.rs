//! What the store finds wrong with its file and its disk: only what can be measured.

use std::time::Duration;

use stickystore_core::{Call, Finding, Operation, Severity};

use crate::rows::count_damaged;
use crate::shared::Shared;

/// A sync that took longer than this: slower than a spinning disk at its worst turn, so something else is in the way.
const SLOW_SYNC: Duration = Duration::from_millis(100);

/// How much of the remaining time the search for damaged rows may take, as a divisor; the rest is for the answer.
const SEARCH_SHARE: u32 = 2;

/// What is wrong, or worth knowing.
pub(crate) fn diagnose(shared: &Shared, call: Call) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(failing(shared));
    findings.extend(damaged(shared, call));
    findings.extend(slow(shared));
    findings.extend(readable_by_others(shared));
    findings
}

fn failing(shared: &Shared) -> Option<Finding> {
    let error = shared.failure()?;
    let mend = "make room or mend the disk; the next write tries again, nothing has to be restarted";
    Some(Finding::new("last-write-failed", Severity::Problem, error.to_string(), mend))
}

fn damaged(shared: &Shared, call: Call) -> Option<Finding> {
    let search = call.remaining() / SEARCH_SHARE;
    let begun = std::time::Instant::now();
    let file = shared.config.path.display();
    match shared.look(call, Operation::Ping, |table| count_damaged(table, || begun.elapsed() < search)) {
        Ok((0, _, true)) => None,
        Ok((0, rows, false)) => {
            let evidence = format!("{rows} rows of {file} were looked at in {search:?}, and all can be read");
            let mend = "give the diagnosis more time to see the rest";
            Some(Finding::new("not-all-rows-seen", Severity::Note, evidence, mend))
        }
        Ok((damaged, rows, complete)) => {
            let of = if complete { "" } else { "the first " };
            let evidence = format!("{damaged} of {of}{rows} rows of {file} cannot be read");
            let mend =
                "put over, remove or erase them, or restore the file; until then they are kept as they are";
            Some(Finding::new("damaged-rows", Severity::Problem, evidence, mend))
        }
        Err(error) => {
            let mend = "see the error; the store opens the file again at the next call";
            Some(Finding::new("no-answer", Severity::Problem, error.to_string(), mend))
        }
    }
}

fn slow(shared: &Shared) -> Option<Finding> {
    let (last, worst) = shared.disk.sync_times();
    if worst < SLOW_SYNC {
        return None;
    }
    let evidence = format!("of {} syncs the last took {last:?}, the longest {worst:?}", shared.disk.syncs());
    let mend =
        "every write waits for a sync: move the file to a faster disk, or find what else keeps this one busy";
    Some(Finding::new("slow-sync", Severity::Note, evidence, mend))
}

#[cfg(unix)]
fn readable_by_others(shared: &Shared) -> Option<Finding> {
    use std::os::unix::fs::PermissionsExt as _;

    /// Any right of the group or of others.
    const NOT_OWNER: u32 = 0o077;

    let path = &shared.config.path;
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    if mode & NOT_OWNER == 0 {
        return None;
    }
    let evidence = format!("{} has the mode {:03o}", path.display(), mode & 0o777);
    let mend = "chmod 600, unless others are meant to read users' assignments";
    Some(Finding::new("readable-by-others", Severity::Note, evidence, mend))
}

#[cfg(not(unix))]
fn readable_by_others(_: &Shared) -> Option<Finding> {
    None
}
