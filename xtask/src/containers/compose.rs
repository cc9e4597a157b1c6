//! One run of the compose file: up, until everything is healthy, and down.

use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::engine::Engine;
use super::images::{Images, stand_in};
use super::podman::write;
use super::services::{SERVICES, Service, at_port};
use crate::Stop;
use crate::shell::{step, target};

/// How long a service may take until it is healthy: much longer than the slowest does.
const HEALTHY_WITHIN: Duration = Duration::from_secs(180);

/// How often it is asked.
const ASKED_EVERY: Duration = Duration::from_millis(200);

/// The services under a name of their own, on ports of their own.
pub(super) struct Project<'a> {
    engine: &'a Engine,
    name: String,
    ports: Vec<(&'static Service, u16)>,
    /// Names of images and ports, for the compose file.
    variables: Vec<(&'static str, String)>,
    /// What differs from the compose file for stand-ins.
    changes: Option<PathBuf>,
}

impl<'a> Project<'a> {
    /// Every service, each at the port that this answers; brings the images.
    pub(super) fn new(
        engine: &'a Engine,
        name: &str,
        images: Images,
        port: impl Fn(&Service) -> Result<u16, Stop>,
    ) -> Result<Self, Stop> {
        let name = name.to_owned();
        let mut project = Self { engine, name, ports: Vec::new(), variables: Vec::new(), changes: None };
        for service in SERVICES {
            let port = port(service)?;
            project.ports.push((service, port));
            project.variables.push((service.port_variable, port.to_string()));
        }
        if images == Images::StandIns {
            for service in SERVICES {
                project.variables.push((service.image_variable, stand_in(engine, service)?));
            }
            let file = target().join("stickystore").join(format!("{}.yml", project.name));
            write(&file, &stand_in_changes(&project.ports))?;
            project.changes = Some(file);
        }
        Ok(project)
    }

    /// The variables in which the tests find the services.
    pub(super) fn urls(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.ports.iter().map(|(service, port)| (service.url_variable, service.url_at(*port)))
    }

    /// Starts everything and waits until it is healthy.
    pub(super) fn up(&self) -> Result<(), Stop> {
        step("containers: up", self.compose()?.args(["up", "--detach"]))?;
        let start = Instant::now();
        for (service, port) in &self.ports {
            self.wait_for(service, start + HEALTHY_WITHIN)?;
            println!(
                "{} is healthy on port {port} after {:.1} s",
                service.name,
                start.elapsed().as_secs_f64()
            );
        }
        Ok(())
    }

    /// Removes everything that `up` has made, also of an earlier run that was stopped.
    pub(super) fn down(&self) -> Result<(), Stop> {
        if self.containers(None)?.is_empty() {
            println!("no container of {} is there", self.name);
            return Ok(());
        }
        step("containers: down", self.compose()?.args(["down", "--volumes"]))?;
        // podman-compose says success even where it could not remove something.
        match self.containers(None)? {
            left if left.is_empty() => Ok(()),
            left => Err(Stop::Failed(format!("containers are left over: {left}"))),
        }
    }

    /// Does this while everything is up, and takes it down whatever comes of it.
    pub(super) fn during<T>(&self, work: impl FnOnce() -> Result<T, Stop>) -> Result<T, Stop> {
        self.down()?;
        let done = self.up().and_then(|()| work());
        let down = self.down();
        let done = done?;
        down.map(|()| done)
    }

    fn wait_for(&self, service: &Service, until: Instant) -> Result<(), Stop> {
        let container = self.containers(Some(service))?;
        if container.is_empty() {
            return Err(Stop::Failed(format!("{}: compose has made no container", service.name)));
        }
        loop {
            let state = self.engine.says(&["inspect", "--format", "{{.State.Status}}", &container])?;
            let why = if state == "exited" || state == "dead" {
                "its container has ended".to_owned()
            } else if state == "running" && self.engine.finds_healthy(&container)? {
                return Ok(());
            } else if Instant::now() > until {
                format!("not healthy within {HEALTHY_WITHIN:?} ({state})")
            } else {
                thread::sleep(ASKED_EVERY);
                continue;
            };
            // What the server says about it; the reason stands without that too.
            let _ = self.engine.command(&["logs", &container]).status();
            return Err(Stop::Failed(format!("{}: {why}", service.name)));
        }
    }

    /// The ids of the containers, of this service or of all.
    fn containers(&self, service: Option<&Service>) -> Result<String, Stop> {
        let mut filters = vec![format!("label=com.docker.compose.project={}", self.name)];
        filters.extend(service.map(|one| format!("label=com.docker.compose.service={}", one.name)));
        let filters = filters.iter().flat_map(|filter| ["--filter", filter]);
        self.engine.says(&["ps", "--all", "--quiet"].into_iter().chain(filters).collect::<Vec<_>>())
    }

    fn compose(&self) -> Result<Command, Stop> {
        let mut compose = self.engine.compose()?;
        compose.args(["--project-name", &self.name, "--file", "docker-compose.yml"]);
        if let Some(changes) = &self.changes {
            compose.arg("--file").arg(changes);
        }
        compose.envs(self.variables.iter().map(|(name, value)| (name, value)));
        Ok(compose)
    }
}

/// An override file, in the part of YAML that is JSON.
fn stand_in_changes(ports: &[(&Service, u16)]) -> String {
    let services = ports.iter().map(|(service, port)| {
        let start: Vec<_> = service.stand_in.start.iter().map(|word| at_port(word, *port)).collect();
        let changed = json!({
            // A network of its own needs bridges and firewall rules, which not every bare kernel has.
            "network_mode": "host",
            "command": start,
            "healthcheck": { "test": at_port(service.stand_in.health, *port) },
        });
        (service.name.to_owned(), changed)
    });
    json!({ "services": services.collect::<serde_json::Map<_, _>>() }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_listen_and_are_asked_at_the_port_of_this_run() {
        for service in SERVICES {
            let changes: serde_json::Value =
                serde_json::from_str(&stand_in_changes(&[(service, 12345)])).unwrap();
            let changed = &changes["services"][service.name];
            assert_eq!(changed["network_mode"], "host");
            assert!(changed["command"].to_string().contains("12345"), "{changed}");
            assert!(changed["healthcheck"]["test"].to_string().contains("12345"), "{changed}");
            assert!(!changes.to_string().contains("{port}"), "{changes}");
        }
    }
}
