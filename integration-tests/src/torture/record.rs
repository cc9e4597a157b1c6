//! Where a run is kept: its arguments from its beginning, its verdict at its end, and the logs of what was objected to.
//! Nothing of it is ever taken away; a run of which there is no verdict was ended from outside.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use stickystore_core::{Clock as _, SystemClock};

use super::run::Plan;
use super::verdict::Verdict;

/// Of how many generations of users the logs are kept, if there is an objection to more.
const GENERATIONS: u64 = 8;

/// What is kept of one run.
#[derive(Debug)]
pub(super) struct Record {
    text: PathBuf,
    plan: String,
}

/// Where the logs of a run go to which there is an objection.
#[derive(Debug)]
pub(super) struct Evidence {
    folder: PathBuf,
    /// Of how many generations more.
    left: AtomicU64,
}

impl Record {
    /// Begins one.
    pub(super) fn begin(plan: &Plan) -> Self {
        Self::begin_in(&folder(), plan)
    }

    fn begin_in(folder: &Path, plan: &Plan) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (time, process) = (SystemClock.now().get(), std::process::id());
        let next = NEXT.fetch_add(1, Ordering::SeqCst);
        let name = format!("{}-seed{}-{time}-{process}-{next}.txt", plan.backend.name(), plan.seed);
        let record = Self { text: folder.join(name), plan: plan.to_string() };
        record.write("no verdict: it goes on, or was ended from outside\n");
        record
    }

    /// Where logs go; nothing is kept of what a planted bug has done.
    pub(super) fn evidence(&self, plan: &Plan) -> Evidence {
        let left = if plan.plant.is_some() { 0 } else { GENERATIONS };
        Evidence { folder: self.text.with_extension("logs"), left: left.into() }
    }

    /// Keeps the verdict, and says in it where.
    pub(super) fn keep(self, verdict: Verdict) -> Verdict {
        let verdict = Verdict { kept: self.text.clone(), ..verdict };
        let objection = verdict.objection().map(|objection| format!("{objection}\n")).unwrap_or_default();
        let code = verdict.end().exit_code();
        self.write(&format!("exit code: {code}\n{objection}\n{verdict}\n{}\n", verdict.to_json()));
        verdict
    }

    /// Keeps nothing of a run that never began.
    pub(super) fn forget(self) {
        // What cannot be removed says that there is no verdict.
        let _ = fs::remove_file(&self.text);
    }

    /// A verdict that cannot be kept is told all the same.
    fn write(&self, text: &str) {
        let folder = self.text.parent().map_or(Ok(()), fs::create_dir_all);
        let written = folder.and_then(|()| fs::write(&self.text, format!("{}\n{text}", self.plan)));
        if let Err(error) = written {
            eprintln!("{} cannot be written: {error}", self.text.display());
        }
    }
}

impl Evidence {
    /// Keeps these logs of one generation, if it is not too many yet.
    pub(super) fn keep(&self, logs: impl IntoIterator<Item = PathBuf>) {
        let take = |left: u64| left.checked_sub(1);
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_err() {
            return;
        }
        for log in logs {
            let kept = fs::create_dir_all(&self.folder)
                .and_then(|()| fs::copy(&log, self.folder.join(log.file_name().unwrap_or_default())));
            if let Err(error) = kept {
                eprintln!("{} cannot be kept: {error}", log.display());
            }
        }
    }
}

/// Where runs are kept, of this workspace.
fn folder() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let folder = root.join(target).join("stickystore").join("torture");
    // As short as it is known.
    std::path::absolute(&folder).map_or(folder, |folder| plain(&folder))
}

/// This path without the steps that go back.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        if part == std::path::Component::ParentDir {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::backend::Backend;
    use super::super::run::Until;
    use super::*;
    use crate::server::Folder;

    fn plan(plant: Option<&'static str>) -> Plan {
        let until = Until::Time(Duration::from_secs(9));
        Plan { backend: Backend::Redis, nodes: 1, seed: 5, until, is_layered: true, plant }
    }

    #[test]
    fn a_run_is_kept_from_its_beginning() {
        let folder = Folder::new("record");
        let record = Record::begin_in(folder.path(), &plan(None));
        let text = || fs::read_to_string(&record.text).unwrap();
        let called = "torture --backend=redis --nodes=1 --seconds=9 --seed=5 --layers\n";
        assert_eq!(text(), format!("{called}no verdict: it goes on, or was ended from outside\n"));
        let verdict = Record::begin_in(folder.path(), &plan(None)).keep(Verdict::default());
        let kept = fs::read_to_string(&verdict.kept).unwrap();
        assert!(kept.starts_with(&format!("{called}exit code: 4\n0 acknowledged")), "{kept}");
        assert!(kept.ends_with(&format!("{}\n", verdict.to_json())), "{kept}");
    }

    #[test]
    fn the_logs_of_some_generations_are_kept_and_none_of_a_planted_bugs() {
        let folder = Folder::new("record");
        let log = |generation: u64| {
            let log = folder.path().join(format!("0-0-{generation}"));
            fs::write(&log, "a line").unwrap();
            log
        };
        let record = Record::begin_in(folder.path(), &plan(None));
        let evidence = record.evidence(&plan(None));
        (0..GENERATIONS + 2).for_each(|generation| evidence.keep([log(generation)]));
        assert_eq!(fs::read_dir(&evidence.folder).unwrap().count() as u64, GENERATIONS);
        fs::remove_dir_all(&evidence.folder).unwrap();
        record.evidence(&plan(Some("fifo-ledger"))).keep([log(0)]);
        assert!(!evidence.folder.exists());
    }
}
