//! Real SDKs, unmodified, decide through the command: `integration-tests/sdks` has the scripts, and what they install.
//!
//! An SDK comes from its registry once, with pinned versions, into the target folder. Where it cannot be had the test is a
//! skip that says so, or a failure where `STICKYSTORE_REQUIRE` names what is missing: `python` or `node`.
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use stickystore_integration_tests::server::{Folder, Missing};

/// What an SDK needs, under the name by which `STICKYSTORE_REQUIRE` knows it, and how it is installed.
struct Sdk {
    folder: &'static str,
    toolchain: &'static str,
    /// Succeeds where the toolchain is whole; what it prints names its version.
    probe: &'static [&'static str],
    /// What pins the SDK, copied to where it is installed.
    pins: &'static [&'static str],
    /// Run there, in this order.
    install: &'static [&'static [&'static str]],
    /// Run there, with the command and the store.
    script: &'static [&'static str],
}

const OPTIMIZELY: Sdk = Sdk {
    folder: "optimizely",
    toolchain: "python",
    // A distribution may leave out the part that puts pip into a venv.
    probe: &["python3", "-c", "import ensurepip, sys, venv; print(sys.version, sys.base_prefix)"],
    pins: &["requirements.txt"],
    install: &[
        &["python3", "-m", "venv", "venv"],
        &[
            "venv/bin/python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
            "--only-binary",
            ":all:",
            "--requirement",
            "requirements.txt",
        ],
    ],
    // Its folder is no place for the caches of a run.
    script: &["venv/bin/python", "-B", "decide.py"],
};

const VWO: Sdk = Sdk {
    folder: "vwo",
    toolchain: "node",
    // npm is a script of node's.
    probe: &["npm", "--version"],
    pins: &["package.json", "package-lock.json"],
    install: &[&["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]],
    script: &["node", "decide.js"],
};

#[test]
fn optimizely_for_python_keeps_a_user_and_proves_what_it_replaces() {
    let Some(seen) = OPTIMIZELY.decide() else { return };
    assert!(seen.contains(r#""seen": [{"exp1": "replaced", "exp2": "unchanged"}]"#), "{seen}");
    assert!(seen.contains("the other experiment was never touched"), "it came to its end: {seen}");
}

#[test]
fn vwo_for_node_keeps_a_user_and_all_goals() {
    let Some(seen) = VWO.decide() else { return };
    assert!(seen.contains(r#""what":"both goals are kept","seen":"seen_vwo_bought""#), "{seen}");
    assert!(seen.contains("nothing was lost by that"), "it came to its end: {seen}");
}

impl Sdk {
    /// What its script saw, on a store of its own; nothing if the SDK cannot be had.
    fn decide(&self) -> Option<String> {
        let place = match self.install() {
            Ok(place) => place,
            Err(Missing(why)) => {
                println!("skipped: {why}");
                return None;
            }
        };
        let store = Folder::new(self.folder);
        let (script, words) = self.script.split_last().unwrap();
        let mut command = command(words, &place);
        command.arg(self.sources().join(script)).arg(env!("CARGO_BIN_EXE_stickystore"));
        command.arg(format!("embedded:{}", store.path().join("sticky.redb").display()));
        command.env_remove("STICKYSTORE_STORE").env_remove("STICKYSTORE_NAMESPACE");
        let ran = command.output().unwrap();
        let seen = String::from_utf8(ran.stdout).unwrap();
        assert!(ran.status.success(), "{seen}{}", String::from_utf8_lossy(&ran.stderr));
        print!("{seen}");
        Some(seen)
    }

    /// Where the SDK is installed, which is done once for its pins and the toolchain's version.
    fn install(&self) -> Result<PathBuf, Missing> {
        let sdks = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../stickystore/sdks");
        fs::create_dir_all(&sdks).unwrap();
        let version = run(self.probe, &sdks).map_err(|why| self.missing(&why))?;
        let mut hash = DefaultHasher::new();
        version.hash(&mut hash);
        for pin in self.pins {
            fs::read(self.sources().join(pin)).unwrap().hash(&mut hash);
        }
        let place = sdks.join(format!("{}-{:016x}", self.folder, hash.finish()));
        if !place.exists() {
            // Made aside, so that one that was stopped halfway is never taken for whole.
            let made = sdks.join(format!("{}-aside-{}", self.folder, std::process::id()));
            fs::create_dir_all(&made).unwrap();
            for pin in self.pins {
                fs::copy(self.sources().join(pin), made.join(pin)).unwrap();
            }
            let installed: Result<Vec<_>, _> = self.install.iter().map(|words| run(words, &made)).collect();
            if let Err(why) = installed {
                // What cannot be removed is only left over.
                let _ = fs::remove_dir_all(&made);
                return Err(self.missing(&why));
            }
            // Another run of the tests may have been faster: then its own serves as well.
            let moved = fs::rename(&made, &place);
            assert!(moved.is_ok() || place.exists(), "{moved:?}");
        }
        Ok(place)
    }

    fn sources(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../integration-tests/sdks").join(self.folder)
    }

    fn missing(&self, why: &str) -> Missing {
        Missing::because(self.toolchain, format!("the SDK of {} cannot be had: {why}", self.folder))
    }
}

/// These words, run in this folder.
fn command(words: &[&str], place: &Path) -> Command {
    let (program, arguments) = words.split_first().unwrap();
    // A program of the folder's own is meant from there, not from where the test runs.
    let own = place.join(program);
    let mut command = if own.exists() { Command::new(own) } else { Command::new(program) };
    command.args(arguments).current_dir(place);
    command
}

/// What it printed, or why it failed.
fn run(words: &[&str], place: &Path) -> Result<String, String> {
    let ran = command(words, place).output().map_err(|error| format!("{}: {error}", words.join(" ")))?;
    if ran.status.success() {
        return Ok(String::from_utf8_lossy(&ran.stdout).into_owned());
    }
    Err(format!("{}: {}", words.join(" "), String::from_utf8_lossy(&ran.stderr)))
}
