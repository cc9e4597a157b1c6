//! What the tests of this folder have at hand: the command with a store of the test's own.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

/// A folder with a store in it, removed with its handle.
pub(crate) struct Bench(PathBuf);

/// What a run of the command gave.
pub(crate) struct Ran(Output);

impl Bench {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("stickystore-verbs-{}-{next}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn store(&self) -> String {
        format!("embedded:{}", self.0.join("sticky.redb").display())
    }

    /// The command on this store.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "")
    }

    /// The same, with this on stdin.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        run(&[arguments, &["--store", &self.store()]].concat(), input, &self.0)
    }

    /// The command in the folder, without naming a store.
    pub(crate) fn run_here(&self, arguments: &[&str]) -> Ran {
        run(arguments, "", &self.0)
    }

    /// The same, with this on stdin.
    #[cfg(feature = "redis")]
    pub(crate) fn run_anywhere(&self, arguments: &[&str], input: &str) -> Ran {
        run(arguments, input, &self.0)
    }

    #[cfg(feature = "redis")]
    pub(crate) fn folder(&self) -> &std::path::Path {
        &self.0
    }

    /// A file in the folder.
    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// What is in the folder.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut files: Vec<_> =
            self.0.read_dir().unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        files
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // What cannot be removed is only left over.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run(arguments: &[&str], input: &str, folder: &std::path::Path) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stickystore"));
    command.args(arguments).current_dir(folder);
    command.env_remove("STICKYSTORE_STORE").env_remove("STICKYSTORE_NAMESPACE");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A verb that reads nothing may have ended before.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    Ran(child.wait_with_output().unwrap())
}

impl Ran {
    /// What it printed, if it ended with this code.
    #[track_caller]
    pub(crate) fn says(&self, code: i32) -> String {
        let stderr = String::from_utf8_lossy(&self.0.stderr);
        assert_eq!(self.0.status.code(), Some(code), "{stderr}");
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    /// What it printed as JSON, if it ended with this code.
    #[track_caller]
    pub(crate) fn json(&self, code: i32) -> Value {
        serde_json::from_str(&self.says(code)).unwrap()
    }

    /// What it complained of, if it ended with this code.
    #[track_caller]
    pub(crate) fn complains(&self, code: i32) -> String {
        self.says(code);
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }
}
