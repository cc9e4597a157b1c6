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
    skips: BTreeSet<Skip>,
}

/// A case that did not run, and why; those with one reason stand together.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Skip {
    reason: String,
    case: String,
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
        let files = fs::read_dir(folder)?.map(|file| fs::read_to_string(file?.path()));
        Self::of_lines(&files.collect::<io::Result<String>>()?)
    }

    fn of_lines(lines: &str) -> io::Result<Self> {
        let mut runs = BTreeMap::<(String, String), Run>::new();
        for line in lines.lines() {
            let line: Line = serde_json::from_str(line)?;
            let run = runs.entry((line.backend.clone(), line.api.clone())).or_insert_with(|| Run {
                backend: line.backend.clone(),
                api: line.api.clone(),
                ..Run::default()
            });
            run.count(line);
        }
        Ok(Self { runs: runs.into_values().collect() })
    }

    pub(crate) fn to_json(&self) -> io::Result<String> {
        Ok(serde_json::to_string(self)?)
    }

    /// Good only if something ran and nothing failed.
    pub(crate) fn judge(&self) -> Result<(), Stop> {
        match self.runs.iter().map(|run| run.failed).sum() {
            _ if self.runs.is_empty() => Err(Stop::Failed("no conformance test has run".to_owned())),
            0 => Ok(()),
            failed => Err(Stop::Failed(format!("{failed} conformance cases"))),
        }
    }

    /// Good only if this store had every case of the suite through both APIs, and exactly these were skipped.
    pub(crate) fn judge_whole(&self, backend: &str, cases: usize, skips: &[&str]) -> Result<(), Stop> {
        let declared: BTreeSet<_> = skips.iter().copied().collect();
        for api in ["async", "blocking"] {
            let Some(run) = self.runs.iter().find(|run| run.backend == backend && run.api == api) else {
                return Err(Stop::Failed(format!("no conformance test of {backend} ({api}) has run")));
            };
            let Run { passed, skipped, .. } = run;
            let seen: BTreeSet<_> = run.skips.iter().map(|skip| skip.case.as_str()).collect();
            if seen != declared {
                let seen = format!("{backend} ({api}) skips {seen:?}, and declares {declared:?}");
                return Err(Stop::Failed(seen));
            }
            if passed + skipped != cases {
                let seen = format!("{passed} passed, {skipped} skipped of {cases} conformance cases");
                return Err(Stop::Failed(format!("{backend} ({api}): {seen}")));
            }
        }
        Ok(())
    }
}

/// The cases that some runs skip for one reason.
type Skips<'a> = (&'a str, Vec<&'a str>);

impl Verdicts {
    /// Those that skip the same for the same reason stand together.
    fn skips(&self) -> BTreeMap<Skips<'_>, Vec<String>> {
        let mut all = BTreeMap::<Skips<'_>, Vec<String>>::new();
        for Run { backend, api, skips, .. } in &self.runs {
            let mut of_run = BTreeMap::<&str, Vec<&str>>::new();
            for Skip { reason, case } in skips {
                of_run.entry(reason).or_default().push(case);
            }
            for same in of_run {
                all.entry(same).or_default().push(format!("{backend} ({api})"));
            }
        }
        all
    }
}

impl Run {
    fn count(&mut self, line: Line) {
        match line.verdict.as_str() {
            "passed" => self.passed += 1,
            "skipped" => {
                self.skipped += 1;
                let case = format!("{}::{}", line.group, line.name);
                self.skips.insert(Skip { reason: line.reason.unwrap_or_default(), case });
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
        for ((reason, cases), runs) in self.skips() {
            let (cases, runs) = (cases.join(", "), runs.join(", "));
            writeln!(f, "skipped, {reason}: {cases}, on {runs}")?;
        }
        let sum = |count: fn(&Run) -> usize| self.runs.iter().map(count).sum::<usize>();
        let (passed, failed, skipped) =
            (sum(|run| run.passed), sum(|run| run.failed), sum(|run| run.skipped));
        writeln!(f, "conformance: {passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = r#"{"backend":"memory","api":"blocking","group":"scan","name":"b","verdict":"skipped","reason":"none"}
{"backend":"memory","api":"async","group":"basic","name":"a","verdict":"passed"}
{"backend":"memory","api":"async","group":"basic","name":"b","verdict":"failed","reason":"seen"}
{"backend":"memory","api":"async","group":"basic","name":"c","verdict":"passed"}
"#;

    fn read(lines: &str) -> Verdicts {
        Verdicts::of_lines(lines).unwrap()
    }

    #[test]
    fn verdicts_are_added_up_by_store_and_api() {
        let async_run = r#"{"backend":"memory","api":"async","passed":2,"failed":1,"skipped":0,"skips":[]}"#;
        let skips = r#"[{"reason":"none","case":"scan::b"}]"#;
        let blocking_run = format!(
            r#"{{"backend":"memory","api":"blocking","passed":0,"failed":0,"skipped":1,"skips":{skips}}}"#
        );
        assert_eq!(read(LINES).to_json().unwrap(), format!(r#"{{"runs":[{async_run},{blocking_run}]}}"#));
    }

    #[test]
    fn the_table_ends_with_each_skip_and_the_sum() {
        let text = read(LINES).to_string();
        let end =
            "skipped, none: scan::b, on memory (blocking)\nconformance: 2 passed, 1 failed, 1 skipped\n";
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn what_several_runs_skip_for_one_reason_is_said_once() {
        let text = read(&(both("a", "skipped") + &both("b", "skipped"))).to_string();
        let line = "skipped, : g::a, g::b, on redis (async), redis (blocking)\n";
        assert_eq!(text.matches("skipped, ").count(), 1, "{text}");
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn only_a_run_without_failures_is_good() {
        assert!(read("").judge().is_err());
        assert!(read(LINES).judge().is_err());
        assert_eq!(read(LINES.lines().next().unwrap()).judge(), Ok(()));
    }

    /// A verdict on the case `g::<name>` through both APIs.
    fn both(name: &str, verdict: &str) -> String {
        let line = |api: &str| {
            format!(
                r#"{{"backend":"redis","api":"{api}","group":"g","name":"{name}","verdict":"{verdict}"}}"#
            )
        };
        line("async") + "\n" + &line("blocking") + "\n"
    }

    #[test]
    fn a_whole_run_has_every_case_through_both_apis() {
        let run = both("a", "passed") + &both("b", "passed");
        assert_eq!(read(&run).judge_whole("redis", 2, &[]), Ok(()));
        let some = "redis (async): 2 passed, 0 skipped of 3 conformance cases";
        assert_eq!(read(&run).judge_whole("redis", 3, &[]), Err(Stop::Failed(some.to_owned())));
        let none = Err(Stop::Failed("no conformance test of memcached (async) has run".to_owned()));
        assert_eq!(read(&run).judge_whole("memcached", 2, &[]), none);
        let one_api: String =
            run.lines().filter(|line| line.contains("async")).map(|line| line.to_owned() + "\n").collect();
        let none = Err(Stop::Failed("no conformance test of redis (blocking) has run".to_owned()));
        assert_eq!(read(&one_api).judge_whole("redis", 2, &[]), none);
    }

    #[test]
    fn a_whole_run_skips_what_is_declared_and_nothing_else() {
        let run = both("a", "passed") + &both("b", "skipped");
        assert_eq!(read(&run).judge_whole("redis", 2, &["g::b"]), Ok(()));
        assert!(read(&run).judge_whole("redis", 2, &[]).is_err());
        assert!(read(&run).judge_whole("redis", 2, &["g::a", "g::b"]).is_err());
    }

    #[test]
    fn a_line_that_is_none_is_an_error() {
        assert!(Verdicts::of_lines("half a li").is_err());
    }
}
