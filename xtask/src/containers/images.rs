//! Which images the services run on, and the stand-ins for official ones: built here from Debian's packages.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::process::Command;
use std::{fmt, fs};

use super::engine::Engine;
use super::services::{SERVICES, Service};
use crate::needs::{self, Need, is_root};
use crate::shell::{answers, step, target};
use crate::{Stop, shell};

/// Where images come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Images {
    /// As `docker-compose.yml` and its variables say.
    Official,
    /// Built from the distribution's packages.
    StandIns,
}

impl fmt::Display for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Official => "the compose file's",
            Self::StandIns => "stand-in",
        })
    }
}

/// What a stand-in is made of.
pub(crate) struct Recipe {
    /// Debian's packages.
    pub(crate) packages: &'static [&'static str],
    /// What else is copied into it.
    pub(crate) files: &'static [Copied],
    /// What runs in it, with `{port}`. Its network is the host's, so it binds the loopback.
    pub(crate) start: &'static [&'static str],
    /// The health check, a line of shell with `{port}`.
    pub(crate) health: &'static str,
}

/// A file or folder for a stand-in, of which no package exists.
#[derive(Hash)]
pub(crate) struct Copied {
    /// Where it is: under the target folder, or with `{cache}` or `{root}`, as [`Need`] has them; somebody has put it there.
    /// The path names its version.
    pub(crate) from: &'static str,
    /// Its absolute path in the image.
    pub(crate) to: &'static str,
}

/// The Debian that stand-ins are made of: they are the same wherever they are built.
const SUITE: &str = "bookworm";

const DEBOOTSTRAP: Need = Need {
    name: "debootstrap",
    probe: &["debootstrap", "--version"],
    install: &[
        &["apt-get", "update"],
        &["apt-get", "install", "--yes", "--no-install-recommends", "debootstrap"],
    ],
};

/// Whether stand-ins can be built here.
///
/// # Errors
/// Why they cannot.
pub(super) fn can_be_built() -> Result<(), Stop> {
    if !answers(Command::new("apt-get").arg("--version")) {
        return Err(Stop::Missing("stand-ins are built where there is apt-get, as on Debian".to_owned()));
    }
    if !is_root() {
        return Err(Stop::Missing("stand-ins are built by root only (debootstrap makes devices)".to_owned()));
    }
    Ok(())
}

/// Pulls the official images that are not there.
///
/// # Errors
/// If one cannot be pulled.
pub(super) fn pull(engine: &Engine) -> Result<(), Stop> {
    for service in SERVICES {
        let image = service.wanted_image();
        let pulled = || step(&format!("pull {image}"), &mut engine.command(&["pull", "--quiet", &image]));
        if !engine.has(&image) && pulled().is_err() {
            let way = format!("{} names another, `--local-images` builds stand-ins", service.image_variable);
            return Err(Stop::Missing(format!("{} cannot pull {image} ({way})", engine.name())));
        }
    }
    Ok(())
}

/// Builds the stand-in of this service unless the engine has it, and answers its name.
pub(super) fn stand_in(engine: &Engine, service: &Service) -> Result<String, Stop> {
    let image = name(service);
    if engine.has(&image) {
        println!("\n== {image}: there from an earlier build");
        return Ok(image);
    }
    needs::meet(&[DEBOOTSTRAP], true)?;
    let folder = target().join("stickystore/stand-ins").join(service.name);
    remove(&folder)?;
    let include = format!("--include={}", service.stand_in.packages.join(","));
    fs::create_dir_all(&folder).map_err(|error| Stop::Failed(format!("{}: {error}", folder.display())))?;
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.args(["--variant=minbase", &include, SUITE]).arg(&folder);
    let log = folder.with_extension("log");
    shell::step_into(&log, &format!("{image}: debootstrap"), &mut debootstrap)?;
    copy(service.stand_in.files, &target(), &folder)?;
    let archive = folder.with_extension("tar");
    let mut tar = Command::new("tar");
    // What the packages were installed from is not needed to run them.
    tar.args(["--create", "--one-file-system", "--exclude=./var/cache/apt", "--exclude=./var/lib/apt/lists"]);
    step(
        &format!("{image}: archive"),
        tar.arg("--file").arg(&archive).arg("--directory").arg(&folder).arg("."),
    )?;
    let mut import = engine.command(&["import"]);
    step(&format!("{image}: import"), import.arg(&archive).arg(&image))?;
    remove(&archive)?;
    remove(&folder)?;
    Ok(image)
}

/// The name says what is in it: another recipe is another image.
fn name(service: &Service) -> String {
    let mut hash = DefaultHasher::new();
    (SUITE, service.stand_in.packages, service.stand_in.files).hash(&mut hash);
    format!("localhost/stickystore-{}:{:016x}", service.name, hash.finish())
}

fn copy(files: &[Copied], from: &Path, to: &Path) -> Result<(), Stop> {
    for file in files {
        let place = to.join(file.to.trim_start_matches('/'));
        if place.exists() {
            return Err(Stop::Failed(format!(
                "{} is in the image already: name a place of its own",
                file.to
            )));
        }
        let folder = place.parent().unwrap_or(to);
        fs::create_dir_all(folder).map_err(|error| Stop::Failed(format!("{}: {error}", folder.display())))?;
        let mut copy = Command::new("cp");
        step(
            &format!("copy {}", file.from),
            copy.arg("-RLp").arg(from.join(needs::placed(file.from))).arg(place),
        )?;
    }
    Ok(())
}

/// Removes what an earlier build may have left; never across a mount, which a build that was killed leaves.
fn remove(path: &Path) -> Result<(), Stop> {
    let mut remove = Command::new("rm");
    remove.args(["--recursive", "--force", "--one-file-system"]).arg(path);
    if answers(&mut remove) {
        return Ok(());
    }
    Err(Stop::Failed(format!("{} cannot be removed: is something mounted in it?", path.display())))
}

#[cfg(test)]
mod tests {
    use super::super::services::SERVICES;
    use super::*;

    const FILES: &[Copied] = &[
        Copied { from: "cache/server-1.0", to: "/opt/server" },
        Copied { from: "cache/program", to: "/usr/local/bin/program" },
    ];

    #[test]
    fn files_and_folders_are_copied_to_their_places() {
        let folder = target().join("stickystore/tests").join(format!("copied-{}", std::process::id()));
        let image = folder.join("image");
        fs::create_dir_all(folder.join("cache/server-1.0/lib")).unwrap();
        fs::write(folder.join("cache/server-1.0/lib/jar"), "jar").unwrap();
        fs::write(folder.join("cache/program"), "program").unwrap();
        assert_eq!(copy(FILES, &folder, &image), Ok(()));
        assert_eq!(fs::read_to_string(image.join("opt/server/lib/jar")).unwrap(), "jar");
        assert_eq!(fs::read_to_string(image.join("usr/local/bin/program")).unwrap(), "program");
        let twice = "/opt/server is in the image already: name a place of its own";
        assert_eq!(copy(FILES, &folder, &image), Err(Stop::Failed(twice.to_owned())));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_that_nobody_has_brought_is_a_failure() {
        let nowhere = target().join("stickystore/tests/nowhere");
        let image = target().join("stickystore/tests").join(format!("image-{}", std::process::id()));
        let copied = copy(FILES, &nowhere, &image);
        fs::remove_dir_all(&image).unwrap();
        assert_eq!(copied, Err(Stop::Failed("copy cache/server-1.0".to_owned())));
    }

    #[test]
    fn another_recipe_is_another_image() {
        let image = |packages, files| {
            let stand_in = Recipe { packages, files, start: &[], health: "" };
            name(&Service { stand_in, ..SERVICES[0] })
        };
        let plain = image(&["server"], &[]);
        assert_eq!(plain, image(&["server"], &[]));
        assert!(plain.starts_with(&format!("localhost/stickystore-{}:", SERVICES[0].name)), "{plain}");
        assert_ne!(plain, image(&["server", "client"], &[]));
        assert_ne!(plain, image(&["server"], FILES));
    }
}
