//! What podman lacks on a machine: itself, `podman-compose`, and a configuration where there is no systemd.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use crate::Stop;
use crate::needs::{self, Need, is_root};
use crate::shell::{step, target};

/// The variable in which podman looks for its configuration.
pub(super) const CONFIGURATION: &str = "CONTAINERS_CONF";

/// Set, it keeps podman from asking systemd for timers: without systemd each container would log two errors.
pub(super) const NO_TIMERS: (&str, &str) = ("DISABLE_HC_SYSTEMD", "true");

/// podman-compose and all that it needs, from PyPI: the same everywhere, whatever a distribution has.
const COMPOSE: [&str; 3] = ["podman-compose==1.6.0", "PyYAML==6.0.3", "python-dotenv==1.2.4"];

/// For root on a machine without systemd, as in CI.
const WITHOUT_SYSTEMD: &str = r#"# Written by `cargo xtask`, for podman on a machine without systemd.
[engine]
# crun, podman's first choice, refuses cgroups of version 1 with version 2 mounted beside them ("hybrid mode").
runtime = "runc"

[containers]
# podman gives root's containers higher limits than root has itself, which takes CAP_SYS_RESOURCE: without it
# "error setting rlimit type 7" (nofile) or 6 (nproc).
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
"#;

const PODMAN: Need = Need {
    name: "podman",
    probe: &["podman", "--version"],
    install: &[
        &["apt-get", "update"],
        &["apt-get", "install", "--yes", "--no-install-recommends", "podman", "runc"],
    ],
};

const VENV: Need = Need {
    name: "python3-venv",
    probe: &["python3", "-c", "import ensurepip, venv"],
    install: &[
        &["apt-get", "update"],
        &["apt-get", "install", "--yes", "--no-install-recommends", "python3-venv"],
    ],
};

/// Brings podman, and what its compose is installed with.
pub(super) fn install() -> Result<(), Stop> {
    needs::meet(&[PODMAN, VENV], true)
}

/// Writes the configuration if this machine needs one and the user has named none.
pub(super) fn configuration() -> Result<Option<PathBuf>, Stop> {
    let has_systemd = Path::new("/run/systemd/system").exists();
    if env::consts::OS != "linux" || has_systemd || !is_root() || env::var_os(CONFIGURATION).is_some() {
        return Ok(None);
    }
    let file = target().join("stickystore/containers.conf");
    write(&file, WITHOUT_SYSTEMD)?;
    Ok(Some(file))
}

/// `podman-compose`, brought into a folder of ours on first use: the system's Python stays as it is.
pub(super) fn compose() -> Result<PathBuf, Stop> {
    let folder = target().join("stickystore").join(COMPOSE.join("+").replace("==", "-"));
    let program = folder.join("bin/podman-compose");
    // Written last, so that half an installation is none.
    let is_complete = folder.join("complete");
    if is_complete.exists() {
        return Ok(program);
    }
    let mut venv = Command::new("python3");
    step("podman-compose: venv", venv.args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut pip = Command::new(folder.join("bin/pip"));
    // Wheels only: nothing of a package runs while it is installed.
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", "--no-deps"]);
    step("podman-compose: install", pip.args(COMPOSE))?;
    write(&is_complete, "")?;
    Ok(program)
}

pub(super) fn write(file: &Path, text: &str) -> Result<(), Stop> {
    let folder = file.parent().unwrap_or(file);
    let done: io::Result<()> = fs::create_dir_all(folder).and_then(|()| fs::write(file, text));
    done.map_err(|error| Stop::Failed(format!("{}: {error}", file.display())))
}
