//! What a run found: each case's verdict, as text for people and as JSON for programs.

use std::fmt;

use serde::Serialize;

/// The verdicts of one store through one API.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The store.
    pub backend: String,
    /// `async` or `blocking`.
    pub api: &'static str,
    /// How many cases held.
    pub passed: usize,
    /// How many did not.
    pub failed: usize,
    /// How many did not run.
    pub skipped: usize,
    /// Every case.
    pub cases: Vec<CaseReport>,
}

/// The verdict of one case.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct CaseReport {
    /// Its group.
    pub group: &'static str,
    /// Its claim.
    pub name: &'static str,
    /// What became of it.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", content = "reason", rename_all = "lowercase")]
pub enum Verdict {
    /// The claim held.
    Passed,
    /// It did not; what was seen.
    Failed(String),
    /// It was not tried; why.
    Skipped(String),
}

impl Report {
    pub(crate) fn new(backend: String, api: &'static str, cases: Vec<CaseReport>) -> Self {
        let count = |wanted: fn(&Verdict) -> bool| cases.iter().filter(|case| wanted(&case.verdict)).count();
        Self {
            backend,
            api,
            passed: count(|verdict| *verdict == Verdict::Passed),
            failed: count(|verdict| matches!(verdict, Verdict::Failed(_))),
            skipped: count(|verdict| matches!(verdict, Verdict::Skipped(_))),
            cases,
        }
    }

    /// Whether no case failed.
    pub fn is_good(&self) -> bool {
        self.failed == 0
    }

    /// The whole report as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a report has nothing that JSON has not")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { backend, api, passed, failed, skipped, cases } = self;
        writeln!(f, "{backend} ({api}): {passed} passed, {failed} failed, {skipped} skipped")?;
        for case in cases {
            match &case.verdict {
                Verdict::Passed => {}
                Verdict::Failed(seen) => writeln!(f, "  failed  {}::{}: {seen}", case.group, case.name)?,
                Verdict::Skipped(why) => writeln!(f, "  skipped {}::{}: {why}", case.group, case.name)?,
            }
        }
        Ok(())
    }
}
