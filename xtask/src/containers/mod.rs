//! The servers of the stores in containers: `up`, `down`, `test --containers`, and what `ci` makes of it.

use std::env;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::process::Command;

use stickystore_conformance::CASES;

use self::compose::Project;
use self::engine::Engine;
pub(crate) use self::images::Images;
use self::services::{SERVICES, Service};
use crate::shell::{answers, cargo, root};
use crate::{Stop, test};

mod compose;
mod engine;
mod images;
mod podman;
mod services;

/// The project of `up`, of which a machine has one: its ports are fixed.
const PROJECT: &str = "stickystore";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Build stand-ins for the official images from Debian's packages; brings podman if no engine answers.
    #[arg(long)]
    local_images: bool,
}

/// Brings the services up and says where they are.
pub(crate) fn up(options: &Options) -> Result<(), Stop> {
    let images = if options.local_images { Images::StandIns } else { Images::Official };
    let engine = ready(images)?;
    let project = Project::new(&engine, PROJECT, images, Service::wanted_port)?;
    if let Err(why) = project.up() {
        project.down()?;
        return Err(why);
    }
    println!("\n`cargo xtask down` takes them down; the tests use them with:");
    for (name, url) in project.urls() {
        println!("export {name}={url}");
    }
    Ok(())
}

/// Takes down what `up` has brought.
pub(crate) fn down() -> Result<(), Stop> {
    Project::new(&Engine::find()?, PROJECT, Images::Official, Service::wanted_port)?.down()
}

/// Runs the conformance suite of every service's store against its container.
pub(crate) fn test(images: Images) -> Result<(), Stop> {
    test_on(&ready(images)?, images)
}

/// The same in CI: official images where they can be had, else stand-ins; where neither can be, it says so, and fails if
/// `CI` is set: what a submission is judged by must have run.
pub(crate) fn in_ci() -> Result<(), Stop> {
    let why_not_official = match ready(Images::Official) {
        Ok(engine) => return test_on(&engine, Images::Official),
        Err(why) => why,
    };
    let Err(why_no_stand_ins) = images::can_be_built() else {
        println!("\n== containers: on stand-ins, since there are no official images: {why_not_official}");
        return test(Images::StandIns);
    };
    let why = format!("containers: NOT RUN, because {why_not_official}; {why_no_stand_ins}");
    if env::var_os("CI").is_some() {
        return Err(Stop::Failed(why));
    }
    println!("\n== {why}");
    Ok(())
}

fn test_on(engine: &Engine, images: Images) -> Result<(), Stop> {
    // A name for each work tree, so that runs in several do not take each other's containers down.
    let mut hash = DefaultHasher::new();
    root().hash(&mut hash);
    let name = format!("{PROJECT}-test-{:016x}", hash.finish());
    let project = Project::new(engine, &name, images, |_| services::free_port())?;
    project.during(|| {
        let names: Vec<_> = SERVICES.iter().map(|service| service.name).collect();
        let mut tests = conformance(&names, "conformance::");
        tests.envs(project.urls()).env(test::REQUIRE, names.join(","));
        let verdicts = test::judged("containers", &mut tests)?;
        for service in SERVICES {
            verdicts.judge_whole(service.name, CASES.len(), service.skips)?;
            is_followed(service)?;
        }
        println!("\n== containers: good, on {} with {images} images", engine.name());
        Ok(())
    })
}

/// The suites of these stores, as cargo has built them for all tests; those whose names have this in them.
fn conformance(names: &[&str], filter: &str) -> Command {
    let mut tests = cargo(&["test", "--workspace", "--all-features", "--no-fail-fast"]);
    for name in names {
        tests.args(["--test", name]);
    }
    tests.args(["--", filter]);
    tests
}

/// Sees that the suite uses the server that the variable names and no other: without one there, it must fail.
fn is_followed(service: &Service) -> Result<(), Stop> {
    let first = CASES.first().map(|case| format!("::{}::{}", case.group, case.name)).unwrap_or_default();
    let mut tests = conformance(&[service.name], &first);
    if answers(tests.env(service.url_variable, service.url_at(services::free_port()?))) {
        let variable = service.url_variable;
        return Err(Stop::Failed(format!("the suite of {} does not use {variable}", service.name)));
    }
    Ok(())
}

/// The engine, with what these images need.
fn ready(images: Images) -> Result<Engine, Stop> {
    match images {
        Images::Official => {
            let engine = Engine::find()?;
            images::pull(&engine)?;
            Ok(engine)
        }
        Images::StandIns => {
            images::can_be_built()?;
            match Engine::find() {
                Ok(Engine::Docker) => Ok(Engine::Docker),
                _ => {
                    podman::install()?;
                    Engine::find()
                }
            }
        }
    }
}
