//! What failing tests said, told again at the end: a run prints thousands of lines, and these are the ones looked for.

use std::fmt;

/// The lines of one failing test that are told again; the rest stands above.
const LINES: usize = 40;

/// Reads what `cargo test` prints, and keeps what a failure is about.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    /// The test binary that runs.
    binary: String,
    place: Place,
    /// Kept lines of the failing test that is being read.
    kept: usize,
    told: Vec<String>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Running,
    /// After `failures:`, where each failing test says what it saw.
    Failures,
    /// After what cargo says of a binary that ended otherwise.
    Cause,
}

impl Failures {
    pub(crate) fn read(&mut self, line: &str) {
        let begin = line.trim_start();
        if begin.starts_with("Running ") || begin.starts_with("Doc-tests ") {
            self.binary = begin.to_owned();
            self.place = Place::Running;
        } else if line.starts_with("test result: ") {
            self.place = Place::Running;
        } else if line == "failures:" {
            // Libtest says it twice: before what each has seen, and before the bare names.
            self.place = match self.place {
                Place::Failures => Place::Running,
                _ => self.begin(Place::Failures),
            };
        } else if line.starts_with("error: ") || line.starts_with("error[") {
            self.place = Place::Cause;
            self.told.push(line.to_owned());
        } else if self.place != Place::Running {
            self.keep(line);
        }
    }

    fn begin(&mut self, place: Place) -> Place {
        self.told.push(self.binary.clone());
        self.kept = 0;
        place
    }

    fn keep(&mut self, line: &str) {
        if line.starts_with("---- ") {
            self.kept = 0;
        }
        if !line.is_empty() && self.kept < LINES {
            self.kept += 1;
            self.told.push(line.to_owned());
        }
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.told.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(output: &str) -> String {
        let mut failures = Failures::default();
        output.lines().for_each(|line| failures.read(line));
        failures.to_string()
    }

    #[test]
    fn a_run_that_passes_has_nothing_to_tell() {
        let output =
            "     Running unittests src/lib.rs (a)\n\nrunning 1 test\ntest a ... ok\n\ntest result: ok. 1\n";
        assert_eq!(told(output), "");
    }

    #[test]
    fn a_failing_test_is_told_with_its_binary_and_what_it_saw() {
        let output = "     Running tests/b.rs (b)\ntest x ... FAILED\ntest y ... ok\n\nfailures:\n\n---- x stdout ----\n\
                      errors: none\nleft: 1\n\nfailures:\n    x\n\ntest result: FAILED. 1 passed\n     Running tests/c.rs (c)\n";
        assert_eq!(told(output), "Running tests/b.rs (b)\n---- x stdout ----\nerrors: none\nleft: 1\n");
    }

    #[test]
    fn a_test_that_says_much_is_cut_and_the_next_one_is_told() {
        let much = "word\n".repeat(3 * LINES);
        let output = format!(
            "failures:\n---- x stdout ----\n{much}---- y stdout ----\nseen\n\nfailures:\n    x\n    y\n"
        );
        assert_eq!(told(&output).lines().count(), 1 + LINES + 2);
        assert!(told(&output).ends_with("---- y stdout ----\nseen\n"));
    }

    #[test]
    fn a_binary_that_ends_otherwise_is_told_with_the_cause() {
        let output = "     Running tests/b.rs (b)\nerror: test failed, to rerun pass `--test b`\n\nCaused by:\n  \
                      process didn't exit successfully (signal: 6)\n     Running tests/c.rs (c)\nrunning 3 tests\n";
        let cause = "Caused by:\n  process didn't exit successfully (signal: 6)\n";
        assert_eq!(told(output), format!("error: test failed, to rerun pass `--test b`\n{cause}"));
    }
}
