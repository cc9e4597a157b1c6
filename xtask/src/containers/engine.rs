//! Docker or podman: which one is there, and its commands.

use std::path::PathBuf;
use std::process::Command;

use super::podman;
use crate::Stop;
use crate::shell::{answers, root};

/// An engine that answers.
pub(crate) enum Engine {
    Docker,
    Podman {
        /// What podman needs to be told on this machine.
        configuration: Option<PathBuf>,
    },
}

impl Engine {
    /// The one that is there, docker first: a program alone is not enough, its engine has to answer.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn find() -> Result<Self, Stop> {
        let docker = Self::Docker;
        let why_not_docker = if !answers(&mut docker.command(&["ps", "--quiet"])) {
            "docker does not answer"
        } else if !answers(&mut docker.command(&["compose", "version"])) {
            "docker has no `docker compose`"
        } else {
            return Ok(docker);
        };
        let podman = Self::Podman { configuration: podman::configuration()? };
        if answers(&mut podman.command(&["ps", "--quiet"])) {
            return Ok(podman);
        }
        Err(Stop::Missing(format!("no container engine: {why_not_docker}, podman does not answer")))
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman { .. } => "podman",
        }
    }

    /// The engine's own command, in the root.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        self.run(Command::new(self.name()), arguments)
    }

    /// The command for compose files, in the root.
    pub(super) fn compose(&self) -> Result<Command, Stop> {
        match self {
            Self::Docker => Ok(self.command(&["compose"])),
            // Without a pod, which needs an image of its own.
            Self::Podman { .. } => Ok(self.run(Command::new(podman::compose()?), &["--in-pod", "false"])),
        }
    }

    /// Whether this image is there.
    pub(super) fn has(&self, image: &str) -> bool {
        answers(&mut self.command(&["image", "inspect", image]))
    }

    /// Whether the container is healthy now.
    pub(super) fn finds_healthy(&self, container: &str) -> Result<bool, Stop> {
        match self {
            Self::Docker => {
                let health = self.says(&["inspect", "--format", "{{.State.Health.Status}}", container])?;
                Ok(health == "healthy")
            }
            // It checks when asked. By itself it does so on systemd's timers only, and there may be no systemd.
            Self::Podman { .. } => Ok(answers(&mut self.command(&["healthcheck", "run", container]))),
        }
    }

    /// What it prints, without white space around.
    ///
    /// # Errors
    /// If it fails.
    pub(super) fn says(&self, arguments: &[&str]) -> Result<String, Stop> {
        let failed = |why: &str| Stop::Failed(format!("{} {}: {why}", self.name(), arguments.join(" ")));
        let output = self.command(arguments).output().map_err(|error| failed(&error.to_string()))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(output.stdout.trim_ascii()).into_owned());
        }
        Err(failed(String::from_utf8_lossy(output.stderr.trim_ascii()).as_ref()))
    }

    fn run(&self, mut command: Command, arguments: &[&str]) -> Command {
        if let Self::Podman { configuration: Some(file) } = self {
            let (no_timers, yes) = podman::NO_TIMERS;
            command.env(podman::CONFIGURATION, file).env(no_timers, yes);
        }
        command.current_dir(root()).args(arguments);
        command
    }
}
