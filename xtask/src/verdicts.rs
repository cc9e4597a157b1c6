//! What the conformance tests left behind, a line of JSON for each case, added up by store and API.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{fmt, fs, io};

use serde::{Deserialize, Serialize};

use crate::Stop;

/// Every run of the suite: a store through an API.
#[derive(Debug, Serialize)]
pub(crate) struct Verdicts {
    runs: Vec<Run>,
}

#[derive(Debug, Default, Serialize)]
struct Run {
    backend: String,
    api: String,
    passed: usize,
    failed: usize,
    skipped: usize,
    /// Each case that did not run, and why.
    skips: BTreeSet<(String, String)>,
}

#[derive(Deserialize)]
struct Line {
    backend: String,
    api: String,
    group: String,
    name: String,
    verdict: String,
    reason: Option<String>,
}

impl Verdicts {
    pub(crate) fn read(folder: &Path) -> io::Result<Self> {
        let mut runs = BTreeMap::<(String, String), Run>::new();
        for file in fs::read_dir(folder)? {
            for line in fs::read_to_string(file?.path())?.lines() {
                let line: Line = serde_json::from_str(line)?;
                let run = runs.entry((line.backend.clone(), line.api.clone())).or_insert_with(|| Run {
                    backend: line.backend.clone(),
                    api: line.api.clone(),
                    ..Run::default()
                });
                run.count(line);
            }
        }
        Ok(Self { runs: runs.into_values().collect() })
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Good only if something ran and nothing failed.
    pub(crate) fn judge(&self) -> Result<(), Stop> {
        match self.runs.iter().map(|run| run.failed).sum() {
            _ if self.runs.is_empty() => Err(Stop::Failed("no conformance test has run".to_owned())),
            0 => Ok(()),
            failed => Err(Stop::Failed(format!("{failed} conformance cases"))),
        }
    }
}

impl Run {
    fn count(&mut self, line: Line) {
        match line.verdict.as_str() {
            "passed" => self.passed += 1,
            "skipped" => {
                self.skipped += 1;
                let case = format!("{}::{}", line.group, line.name);
                self.skips.insert((line.reason.unwrap_or_default(), case));
            }
            _ => self.failed += 1,
        }
    }
}

impl fmt::Display for Verdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<12} {:<16} {:<9} {:>7} {:>7} {:>7}",
            "suite", "store", "API", "passed", "failed", "skipped"
        )?;
        for Run { backend, api, passed, failed, skipped, .. } in &self.runs {
            writeln!(f, "{:<12} {backend:<16} {api:<9} {passed:>7} {failed:>7} {skipped:>7}", "conformance")?;
        }
        for Run { backend, api, skips, .. } in &self.runs {
            for (reason, case) in skips {
                writeln!(f, "skipped: {backend} ({api}) {case}: {reason}")?;
            }
        }
        Ok(())
    }
}
