//! What a run has shown, in words, in numbers, and as an exit code.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::merge::Tally;

/// The fewest acknowledged writes and faults that make a verdict.
const ACKNOWLEDGED: u64 = 500;
const FAULTS: u64 = 200;

/// Of several processes at least one user in so many has to be written by more than one: they are to meet.
const MEET: u64 = 2;

/// Of so many users at most one may be left open.
const OPEN: u64 = 100;

/// What a run has shown.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// Of stickystore.
    pub stickystore: Tally,
    /// Of the naive store.
    pub naive: Tally,
    /// The faults that hit a call in flight, by name.
    pub faults: BTreeMap<String, u64>,
    /// How many users were written, and how many of them by several processes, if there are several.
    pub users: u64,
    /// See `users`.
    pub shared: Option<u64>,
    /// What the random numbers began with.
    pub seed: u64,
    /// Why the run ended before its time, if it did; what it has shown until then is here all the same.
    pub broken: Option<String>,
    /// Where it is kept.
    pub kept: PathBuf,
}

/// What a verdict comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nothing was lost, and nothing flipped.
    Whole,
    /// Something was lost, or flipped; whatever else happened.
    Lost,
    /// The run itself could not go on, and lost nothing until then.
    Broken,
    /// Too little happened to judge by.
    TooLittle,
}

impl End {
    /// The exit code of the program; 2 and 3 are taken, by wrong arguments and a server that is not there.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Whole => 0,
            Self::Lost => 1,
            Self::TooLittle => 4,
            Self::Broken => 5,
        }
    }
}

impl Verdict {
    /// How many faults hit.
    pub fn fault_count(&self) -> u64 {
        self.faults.values().sum()
    }

    /// Whether the processes wrote the same users, where there are several.
    fn have_met(&self) -> bool {
        self.shared.is_none_or(|shared| shared * MEET >= self.users)
    }

    /// Whether the judge knows of nearly all users what became of them.
    fn is_judged(&self) -> bool {
        self.stickystore.open * OPEN <= self.users
    }

    /// What it comes to.
    pub fn end(&self) -> End {
        let Tally { acknowledged, lost, flipped, .. } = self.stickystore;
        if lost + flipped > 0 {
            End::Lost
        } else if self.broken.is_some() {
            End::Broken
        } else if acknowledged < ACKNOWLEDGED
            || self.fault_count() < FAULTS
            || !self.have_met()
            || !self.is_judged()
        {
            End::TooLittle
        } else {
            End::Whole
        }
    }

    /// What is wrong with it, if anything.
    pub fn objection(&self) -> Option<String> {
        let Tally { acknowledged, lost, flipped, .. } = self.stickystore;
        match self.end() {
            End::Whole => None,
            End::Lost => Some(format!("{lost} assignments were lost and {flipped} flipped")),
            End::Broken => Some(format!(
                "the run could not go on, and nothing was lost until then: {}",
                self.broken.as_deref().unwrap_or_default()
            )),
            End::TooLittle if !self.have_met() => Some(format!(
                "of {} users only {} were written by several processes, which is too few to judge by",
                self.users,
                self.shared.unwrap_or_default()
            )),
            End::TooLittle if !self.is_judged() => Some(format!(
                "of {} users the judge does not know of {} what became of them, which are too many",
                self.users, self.stickystore.open
            )),
            End::TooLittle => Some(format!(
                "{acknowledged} acknowledged and {} faults are too few to judge by: \
                 {ACKNOWLEDGED} and {FAULTS} are asked for",
                self.fault_count()
            )),
        }
    }

    /// As one line of JSON.
    pub fn to_json(&self) -> String {
        let Tally { acknowledged, lost, flipped, unknown, .. } = self.stickystore;
        let faults = self.fault_count();
        let ours = format!(
            r#"{{"acknowledged":{acknowledged},"lost":{lost},"flipped":{flipped},"unknown":{unknown},"faults":{faults}}}"#
        );
        let Tally { acknowledged, lost, flipped, unknown, .. } = self.naive;
        let naive = format!(
            r#"{{"acknowledged":{acknowledged},"lost":{lost},"flipped":{flipped},"unknown":{unknown}}}"#
        );
        format!(r#"{{"stickystore":{ours},"naive":{naive},"seed":{}}}"#, self.seed)
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{:<12} {:>12} {:>8} {:>8} {:>8}", "", "acknowledged", "lost", "flipped", "unknown")?;
        for (name, tally) in [("stickystore", &self.stickystore), ("naive", &self.naive)] {
            let Tally { acknowledged, lost, flipped, unknown, .. } = tally;
            writeln!(f, "{name:<12} {acknowledged:>12} {lost:>8} {flipped:>8} {unknown:>8}")?;
        }
        let faults: Vec<_> = self.faults.iter().map(|(name, count)| format!("{name} {count}")).collect();
        writeln!(f, "faults that hit a call in flight: {} ({})", self.fault_count(), faults.join(", "))?;
        let shared = self.shared.map(|shared| format!("by several processes {shared}, ")).unwrap_or_default();
        let Self { users, stickystore: Tally { open, .. }, .. } = self;
        writeln!(f, "users that were written: {users} ({shared}left open by the judge {open})")?;
        writeln!(f, "seed: {}", self.seed)?;
        for finding in &self.stickystore.findings {
            writeln!(f, "\n{finding}")?;
        }
        if let Some(broken) = &self.broken {
            writeln!(f, "\nthe run could not go on: {broken}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(acknowledged: u64, lost: u64, faults: u64, broken: Option<&str>) -> Verdict {
        Verdict {
            stickystore: Tally { acknowledged, lost, ..Tally::default() },
            faults: [("cut".to_owned(), faults)].into(),
            broken: broken.map(str::to_owned),
            ..Verdict::default()
        }
    }

    #[test]
    fn processes_that_do_not_meet_are_too_little() {
        let shared = |shared| Verdict { users: 100, shared, ..verdict(500, 0, 200, None) };
        for (verdict, end) in
            [(shared(Some(49)), End::TooLittle), (shared(Some(50)), End::Whole), (shared(None), End::Whole)]
        {
            assert_eq!(verdict.end(), end, "{verdict}");
        }
        let objection = shared(Some(49)).objection().unwrap();
        assert!(objection.starts_with("of 100 users only 49"), "{objection}");
    }

    #[test]
    fn users_whom_the_judge_leaves_open_are_few() {
        let open = |open| {
            let mut verdict = Verdict { users: 200, ..verdict(500, 0, 200, None) };
            verdict.stickystore.open = open;
            verdict
        };
        assert_eq!(open(2).end(), End::Whole);
        assert_eq!(open(3).end(), End::TooLittle);
        let objection = open(3).objection().unwrap();
        assert!(objection.starts_with("of 200 users the judge does not know of 3"), "{objection}");
    }

    #[test]
    fn its_json_is_one_line_of_this_shape() {
        let ours = Tally { acknowledged: 11, lost: 2, flipped: 3, unknown: 4, open: 5, ..Tally::default() };
        let naive = Tally { acknowledged: 21, lost: 22, flipped: 23, unknown: 24, ..Tally::default() };
        let faults = [("cut".to_owned(), 6), ("hidden".to_owned(), 7)].into();
        let verdict =
            Verdict { stickystore: ours, naive, faults, users: 8, seed: u64::MAX, ..Verdict::default() };
        let expected = concat!(
            r#"{"stickystore":{"acknowledged":11,"lost":2,"flipped":3,"unknown":4,"faults":13},"#,
            r#""naive":{"acknowledged":21,"lost":22,"flipped":23,"unknown":24},"#,
            r#""seed":18446744073709551615}"#
        );
        assert_eq!(verdict.to_json(), expected);
        assert!(serde_json::from_str::<serde_json::Value>(expected).is_ok(), "it is JSON");
    }

    #[test]
    fn what_was_lost_is_told_before_all_else_and_what_broke_before_how_little_there_was() {
        for (verdict, end, code, says) in [
            (verdict(500, 0, 200, None), End::Whole, 0, ""),
            (verdict(500, 1, 200, None), End::Lost, 1, "1 assignments were lost and 0 flipped"),
            (verdict(3, 1, 0, Some("the server is away")), End::Lost, 1, "1 assignments were lost"),
            (verdict(499, 0, 200, None), End::TooLittle, 4, "499 acknowledged and 200 faults are too few"),
            (verdict(500, 0, 199, None), End::TooLittle, 4, "500 acknowledged and 199 faults are too few"),
            (verdict(3, 0, 0, Some("the server is away")), End::Broken, 5, "the run could not go on"),
            (verdict(900, 0, 900, Some("the server is away")), End::Broken, 5, "the run could not go on"),
        ] {
            assert_eq!((verdict.end(), verdict.end().exit_code()), (end, code), "{verdict:?}");
            let objection = verdict.objection().unwrap_or_default();
            assert!(objection.starts_with(says) && objection.is_empty() == says.is_empty(), "{objection}");
            let is_named = verdict.to_string().contains("the server is away");
            assert_eq!(is_named, verdict.broken.is_some(), "{verdict}");
        }
    }
}
