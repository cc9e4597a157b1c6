//! The services of `docker-compose.yml`, as the tests know them: a store that adds its container adds an entry here and a
//! block there.

use std::env;
use std::net::TcpListener;

use super::images::{Copied, Recipe};
use crate::Stop;

/// A server in a container, for the conformance suite of one store.
pub(crate) struct Service {
    /// Its name in `docker-compose.yml`, in the suite's verdicts, and of the test binary of `integration-tests`.
    pub(crate) name: &'static str,
    /// The official image, pinned.
    pub(crate) image: &'static str,
    /// The variable that names another image.
    pub(crate) image_variable: &'static str,
    /// Where it listens on the loopback.
    pub(crate) port: u16,
    /// The variable that names another port.
    pub(crate) port_variable: &'static str,
    /// What the tests connect to, with `{port}`.
    pub(crate) url: &'static str,
    /// The variable in which the tests look for it.
    pub(crate) url_variable: &'static str,
    /// The cases that the suite skips, since the store declares not to need them; any other skip is a failure.
    pub(crate) skips: &'static [&'static str],
    /// What takes the place of the official image where that cannot be pulled.
    pub(crate) stand_in: Recipe,
}

/// Every service.
pub(crate) const SERVICES: &[Service] = &[CASSANDRA, MEMCACHED, MONGODB, REDIS];

const CASSANDRA: Service = Service {
    name: "cassandra",
    image: "cassandra:5.0.5",
    image_variable: "STICKYSTORE_CASSANDRA_IMAGE",
    port: 19042,
    port_variable: "STICKYSTORE_CASSANDRA_PORT",
    url: "cassandra://127.0.0.1:{port}/stickystore",
    url_variable: "STICKYSTORE_CASSANDRA_URL",
    skips: &["scan::without_the_ability_is_unsupported"],
    stand_in: Recipe {
        packages: &["openjdk-17-jre-headless"],
        files: &[
            Copied { from: "{cache}/cassandra-5.0.5", to: "/opt/cassandra-5.0.5" },
            Copied { from: "{root}/integration-tests/servers/cassandra", to: "/opt/cassandra-for-tests" },
        ],
        start: &[
            "java",
            "@/opt/cassandra-for-tests/jvm.options",
            "-javaagent:/opt/cassandra-5.0.5/jamm-0.4.0.jar",
            "-Djava.rmi.server.hostname=127.0.0.1",
            "-Dcassandra.config=file:///opt/cassandra-for-tests/cassandra.yaml",
            "-Dcassandra.storagedir=/var/lib/cassandra-for-tests",
            "-Dcassandra.ring_delay_ms=100",
            "-Dcassandra.native_transport_port={port}",
            "-cp",
            "/opt/cassandra-5.0.5/*",
            "org.apache.cassandra.service.CassandraDaemon",
        ],
        health: "bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}'",
    },
};

const MEMCACHED: Service = Service {
    name: "memcached",
    image: "memcached:1.6.32",
    image_variable: "STICKYSTORE_MEMCACHED_IMAGE",
    port: 21211,
    port_variable: "STICKYSTORE_MEMCACHED_PORT",
    url: "memcache://127.0.0.1:{port}",
    url_variable: "STICKYSTORE_MEMCACHED_URL",
    // It cannot be asked for its keys.
    skips: &[
        "damage::scan_reports_what_is_damaged_or_foreign",
        "expiry::hidden_from_a_scan",
        "identifiers::scan_gives_ids_verbatim",
        "namespaces::scan_gives_each_its_own",
        "scan::cursor_kept_as_text_goes_on",
        "scan::damaged_users_appear",
        "scan::empty_namespace_has_no_users",
        "scan::ids_come_back_verbatim",
        "scan::namespace_that_looks_like_a_pattern_is_literal",
        "scan::other_namespaces_never_appear",
        "scan::pages_give_each_user_once",
        "scan::scans_do_not_disturb_each_other",
        "scan::smallest_pages_give_each_user_once",
        "scan::untouched_users_are_met_while_others_write",
        "scan::users_come_whole",
        "scan::users_without_live_entries_never_appear",
    ],
    stand_in: Recipe {
        packages: &["memcached"],
        files: &[],
        start: &["memcached", "-u", "root", "-l", "127.0.0.1", "-p", "{port}", "-U", "0", "-m", "512"],
        health: "bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}'",
    },
};

const MONGODB: Service = Service {
    name: "mongodb",
    image: "mongo:7.0.14",
    image_variable: "STICKYSTORE_MONGODB_IMAGE",
    port: 37017,
    port_variable: "STICKYSTORE_MONGODB_PORT",
    // Its only member has a name that is known to the container alone.
    url: "mongodb://127.0.0.1:{port}/?directConnection=true",
    url_variable: "STICKYSTORE_MONGODB_URL",
    skips: &["scan::without_the_ability_is_unsupported"],
    stand_in: Recipe {
        packages: &["libcurl4", "liblzma5", "libssl3"],
        files: &[Copied { from: "{cache}/mongodb-6.0.5/mongod", to: "/usr/local/bin/mongod" }],
        start: &[
            "mongod",
            "--replSet",
            "set",
            "--bind_ip",
            "127.0.0.1",
            "--port",
            "{port}",
            "--dbpath",
            "/var/tmp",
            "--nounixsocket",
            "--wiredTigerCacheSizeGB",
            "0.25",
            "--setParameter",
            "ttlMonitorSleepSecs=1",
        ],
        // There is no client in it: the tests make the replica set.
        health: "bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}'",
    },
};

const REDIS: Service = Service {
    name: "redis",
    image: "redis:7.4.1",
    image_variable: "STICKYSTORE_REDIS_IMAGE",
    port: 16379,
    port_variable: "STICKYSTORE_REDIS_PORT",
    url: "redis://127.0.0.1:{port}",
    url_variable: "STICKYSTORE_REDIS_URL",
    skips: &["scan::without_the_ability_is_unsupported"],
    stand_in: Recipe {
        packages: &["redis-server"],
        files: &[],
        start: &[
            "redis-server",
            "--bind",
            "127.0.0.1",
            "--port",
            "{port}",
            "--save",
            "",
            "--appendonly",
            "no",
        ],
        health: "redis-cli -p {port} ping",
    },
};

impl Service {
    /// The official image, or the one that the variable names.
    pub(crate) fn wanted_image(&self) -> String {
        variable(self.image_variable).unwrap_or_else(|| self.image.to_owned())
    }

    /// The port of `up`: the usual one, or the one that the variable names.
    pub(crate) fn wanted_port(&self) -> Result<u16, Stop> {
        let Some(port) = variable(self.port_variable) else { return Ok(self.port) };
        port.parse().map_err(|_| {
            Stop::Failed(format!("{}={port} is no port: unset it, or say 1 to 65535", self.port_variable))
        })
    }

    /// The URL at this port.
    pub(crate) fn url_at(&self, port: u16) -> String {
        at_port(self.url, port)
    }
}

/// A text of a service with its port in it.
pub(super) fn at_port(text: &str, port: u16) -> String {
    text.replace("{port}", &port.to_string())
}

/// A port that nobody listens on now, so that a run meets neither `up` nor another run.
pub(super) fn free_port() -> Result<u16, Stop> {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    port.map(|address| address.port()).map_err(|error| Stop::Failed(format!("no free port: {error}")))
}

/// An empty variable is none, for compose and for us.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use saphyr::{LoadableYamlNode as _, Yaml};

    use super::*;
    use crate::shell::root;

    fn read(path: &str) -> String {
        fs::read_to_string(root().join(path)).unwrap()
    }

    /// The block of this service in the compose file.
    fn with_block<T>(service: &Service, look: impl FnOnce(&Yaml<'_>) -> T) -> T {
        let text = read("docker-compose.yml");
        let documents = Yaml::load_from_str(&text).unwrap();
        look(&documents[0]["services"][service.name])
    }

    #[test]
    fn the_compose_file_has_exactly_these_services() {
        let text = read("docker-compose.yml");
        let documents = Yaml::load_from_str(&text).unwrap();
        let services = documents[0]["services"].as_mapping().unwrap();
        // One with a profile comes only when asked for, and no test asks.
        let by_default = services.iter().filter(|(_, block)| block.as_mapping_get("profiles").is_none());
        let there: BTreeSet<_> = by_default.map(|(name, _)| name.as_str().unwrap()).collect();
        assert_eq!(there, SERVICES.iter().map(|service| service.name).collect());
    }

    #[test]
    fn images_are_named_by_their_variable_and_pinned() {
        for service in SERVICES {
            let image = with_block(service, |block| block["image"].as_str().unwrap().to_owned());
            assert_eq!(image, format!("${{{}:-{}}}", service.image_variable, service.image));
            let (_, tag) = service.image.rsplit_once(':').unwrap();
            let numbers: Vec<_> = tag.split(['.', '-']).take(3).collect();
            assert!(numbers.len() == 3 && numbers.iter().all(|n| n.parse::<u32>().is_ok()), "pinned: {tag}");
        }
    }

    #[test]
    fn ports_are_on_the_loopback_and_named_by_their_variable() {
        for service in SERVICES {
            let ports = with_block(service, |block| {
                let ports = block["ports"].as_vec().unwrap();
                ports.iter().map(|port| port.as_str().unwrap().to_owned()).collect::<Vec<_>>()
            });
            let start = format!("127.0.0.1:${{{}:-{}}}:", service.port_variable, service.port);
            assert_eq!(ports.len(), 1, "{}", service.name);
            let inside = ports[0].strip_prefix(&start).unwrap_or_else(|| panic!("{} is {start}..", ports[0]));
            assert_ne!(inside.parse(), Ok(service.port), "not where somebody's own server may listen");
        }
    }

    #[test]
    fn every_service_has_a_health_check_in_one_line() {
        for service in SERVICES {
            let test = with_block(service, |block| block["healthcheck"]["test"].as_str().map(str::to_owned));
            assert!(test.is_some_and(|test| !test.is_empty()), "{}", service.name);
        }
    }

    #[test]
    fn services_share_neither_ports_nor_variables() {
        let ports: BTreeSet<_> = SERVICES.iter().map(|service| service.port).collect();
        assert_eq!(ports.len(), SERVICES.len());
        let variables =
            SERVICES.iter().flat_map(|one| [one.image_variable, one.port_variable, one.url_variable]);
        assert_eq!(variables.collect::<BTreeSet<_>>().len(), 3 * SERVICES.len());
    }

    #[test]
    fn the_tests_look_for_a_server_in_every_service_s_variable_and_in_no_other() {
        let mut looked_for = BTreeSet::new();
        for file in fs::read_dir(root().join("integration-tests/src/server")).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            let names =
                text.split('"').filter(|name| name.starts_with("STICKYSTORE_") && name.ends_with("_URL"));
            looked_for.extend(names.map(str::to_owned));
        }
        let ours: BTreeSet<_> = SERVICES.iter().map(|service| service.url_variable.to_owned()).collect();
        assert_eq!(looked_for, ours, "a store with a server of its own adds its container, see CONTRIBUTING");
    }

    #[test]
    fn every_service_has_its_suite_through_both_apis() {
        for service in SERVICES {
            let suite = read(&format!("integration-tests/tests/{}/conformance.rs", service.name));
            for api in ["asynchronous", "blocking"] {
                assert!(suite.contains(&format!("Harness::{api}(\"{}\"", service.name)), "{}", service.name);
            }
        }
    }

    #[test]
    fn a_stand_in_listens_on_its_port_on_the_loopback_only() {
        for service in SERVICES {
            let start = service.stand_in.start.join(" ");
            assert!(start.contains("{port}") && service.url_at(1).contains("127.0.0.1:1"), "{start}");
            assert!(
                start.contains("127.0.0.1"),
                "its network is the host's, so it binds the loopback: {start}"
            );
        }
    }
}
