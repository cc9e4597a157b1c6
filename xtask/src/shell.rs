//! Running the tools that a command is made of: named, timed, in the workspace's root.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, PipeReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::Stop;
use crate::failures::Failures;

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Where cargo builds, and where reports go; from the root, if it is said relatively, as `cargo` runs there.
pub(crate) fn target() -> PathBuf {
    root().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// `cargo` with these arguments, in the root.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    // The variable names the cargo that runs this very command.
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(arguments);
    command
}

/// Runs a step with its output shown; says its name and how long it took.
pub(crate) fn step(name: &str, command: &mut Command) -> Result<(), Stop> {
    println!("\n== {name}");
    let start = Instant::now();
    let status = command.status().map_err(|error| Stop::Failed(format!("{name}: {error}")))?;
    println!("== {name}: {:.1} s", start.elapsed().as_secs_f64());
    if status.success() { Ok(()) } else { Err(Stop::Failed(name.to_owned())) }
}

/// Runs tests as a step, shown as they go, and gives what the failing ones said to be told again.
pub(crate) fn step_of_tests(name: &str, command: &mut Command) -> (Result<(), Stop>, Failures) {
    let mut failures = Failures::default();
    let tested = io::pipe().and_then(|(reader, writer)| Ok((reader, writer.try_clone()?, writer)));
    let (reader, out, error) = match tested {
        Ok(pipe) => pipe,
        Err(error) => return (Err(Stop::Failed(format!("{name}: {error}"))), failures),
    };
    let reader = std::thread::spawn(move || retell(reader));
    let done = step(name, command.stdout(out).stderr(error));
    // The command holds its ends of the pipe until it is given others.
    command.stdout(Stdio::inherit()).stderr(Stdio::inherit());
    if let Ok(read) = reader.join() {
        failures = read;
    }
    (done, failures)
}

/// Shows each line, and reads it for failures.
fn retell(reader: PipeReader) -> Failures {
    let mut failures = Failures::default();
    for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        failures.read(&line);
    }
    failures
}

/// Runs a step of many words, which are shown only if it fails.
pub(crate) fn step_into(log: &Path, name: &str, command: &mut Command) -> Result<(), Stop> {
    let io = |error: io::Error| Stop::Failed(format!("{}: {error}", log.display()));
    let file = File::create(log).map_err(io)?;
    command.stdout(file.try_clone().map_err(io)?).stderr(file);
    let done = step(name, command);
    if done.is_err() {
        println!("{}", String::from_utf8_lossy(&fs::read(log).map_err(io)?));
    }
    done
}

/// Whether a tool is there and answers.
pub(crate) fn answers(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
