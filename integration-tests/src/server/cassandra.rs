//! Cassandra on demand: one node, or three that are a cluster.
//!
//! It is run from the jars that `cargo xtask test --install` brings, in one process a node, without its scripts.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use stickystore_cassandra::{CassandraStore, Config, Replication};
use stickystore_core::{Error, ErrorKind};

use super::{Failing, Folder, Missing, Port, Process, cache};
use crate::words::call;

/// The folder of the jars in the cache.
const JARS: &str = "cassandra-5.0.5";

/// How often other ports are tried when somebody else took the free ones first.
const ATTEMPTS: usize = 3;

/// What a JVM has to be told for it, in a file that the JVM reads itself.
const JVM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/servers/cassandra/jvm.options");

/// How a node is set up, besides what every node is.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// More lines of its configuration.
    pub lines: String,
    /// Files beside its configuration, which can name them by `{folder}`.
    pub files: Vec<(String, Vec<u8>)>,
    /// What its log says when it is ready, besides that it has started.
    pub ready: Option<String>,
}

impl Setup {
    /// With users, `cassandra` among them with the password `cassandra`, and rights.
    #[must_use]
    pub fn with_users(mut self) -> Self {
        self.lines += "authenticator: PasswordAuthenticator\nauthorizer: CassandraAuthorizer\n";
        self.ready = Some("Created default superuser role".to_owned());
        self
    }
}

/// A node of one's own, or several.
#[derive(Debug)]
pub struct Cassandra {
    nodes: Vec<Node>,
    port: Port,
    storage_port: Port,
    setup: Setup,
}

#[derive(Debug)]
struct Node {
    process: Option<Process>,
    address: String,
    /// The end of its part of the ring.
    token: i128,
    folder: Folder,
}

impl Cassandra {
    /// A node that is a cluster by itself.
    ///
    /// # Errors
    /// If there is no Cassandra here and none is required.
    pub fn start(setup: &Setup) -> Result<Self, Missing> {
        Self::cluster(1, setup)
    }

    /// So many nodes, on 127.0.0.1 and the addresses after it, one of which starts after the other.
    ///
    /// # Errors
    /// If there is no Cassandra here and none is required.
    pub fn cluster(count: u8, setup: &Setup) -> Result<Self, Missing> {
        if !jars().join("cassandra-all-5.0.5.jar").exists() {
            return Err(Missing::of("cassandra", "Cassandra 5.0.5 in the cache folder"));
        }
        if Command::new("java").arg("-version").stderr(Stdio::null()).status().is_err() {
            return Err(Missing::of("cassandra", "java"));
        }
        for _ in 0..ATTEMPTS {
            let node = |i: u8| Node {
                process: None,
                address: format!("127.0.0.{}", i + 1),
                token: i128::from(u64::MAX / u64::from(count)) * i128::from(i) + i128::from(i64::MIN) + 1,
                folder: Folder::new("cassandra"),
            };
            let nodes: Vec<_> = (0..count).map(node).collect();
            let addresses: Vec<_> = nodes.iter().map(|node| node.address.as_str()).collect();
            let (port, storage_port) = (Port::free_on(&addresses), Port::free_on(&addresses));
            let mut cluster = Self { nodes, port, storage_port, setup: setup.clone() };
            if (0..usize::from(count)).all(|i| cluster.run(i)) {
                return Ok(cluster);
            }
            eprintln!("{}", cluster.logs());
        }
        panic!("no Cassandra after {ATTEMPTS} attempts");
    }

    /// The port of all nodes.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The URL of a keyspace on all nodes.
    pub fn url(&self, keyspace: &str) -> String {
        let hosts: Vec<_> =
            self.nodes.iter().map(|node| format!("{}:{}", node.address, self.port())).collect();
        format!("cassandra://{}/{keyspace}", hosts.join(","))
    }

    /// Ends this node at once, as `kill -9` does.
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].process = None;
    }

    /// Starts this node again, with what it had.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_again(&mut self, node: usize) {
        assert!(self.run(node), "Cassandra starts again: {}", self.logs());
    }

    /// Stops this node in its tracks: the kernel still accepts connections for it.
    pub fn pause(&self, node: usize) {
        self.nodes[node].process.as_ref().unwrap().pause();
    }

    /// Lets this node go on.
    pub fn resume(&self, node: usize) {
        self.nodes[node].process.as_ref().unwrap().resume();
    }

    fn run(&mut self, i: usize) -> bool {
        let (port, ready) = (self.port(), self.setup.ready.clone());
        let is_first = self.nodes[i].folder.path().read_dir().unwrap().next().is_none();
        let configuration = self.configuration(i);
        let is_alone = self.nodes.len() == 1;
        let node = &mut self.nodes[i];
        let folder = node.folder.path().to_owned();
        for (name, content) in &self.setup.files {
            fs::write(folder.join(name), content).unwrap();
        }
        fs::write(folder.join("cassandra.yaml"), configuration).unwrap();
        let log = fs::File::create(folder.join("log")).unwrap();
        let mut command = Command::new("java");
        command.arg(format!("@{JVM}"));
        command.arg(format!("-javaagent:{}", jars().join("jamm-0.4.0.jar").display()));
        command.arg(format!("-Dcassandra.config=file://{}", folder.join("cassandra.yaml").display()));
        command.arg(format!("-Dcassandra.storagedir={}", folder.join("data").display()));
        command
            .args(["-Dcassandra.superuser_setup_delay_ms=0", "-Dcassandra.skip_wait_for_gossip_to_settle=0"]);
        // A node that joins others has to hear from them first.
        command.arg(format!("-Dcassandra.ring_delay_ms={}", if is_alone || !is_first { 100 } else { 4_000 }));
        command.arg("-cp").arg(jars().join("*")).arg("org.apache.cassandra.service.CassandraDaemon");
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let address = node.address.clone();
        let log = folder.join("log");
        let is_ready = || {
            TcpStream::connect((address.as_str(), port)).is_ok()
                && (!is_first
                    || ready.as_ref().is_none_or(|ready| {
                        fs::read_to_string(&log).is_ok_and(|log| log.contains(ready.as_str()))
                    }))
        };
        node.process = Process::start(command, is_ready).unwrap();
        node.process.is_some()
    }

    fn configuration(&self, i: usize) -> String {
        let Node { address, token, folder, .. } = &self.nodes[i];
        let (port, storage_port, seed) = (self.port(), self.storage_port.number(), &self.nodes[0].address);
        let more = self.setup.lines.replace("{folder}", &folder.path().display().to_string());
        format!(
            "cluster_name: stickystore
num_tokens: 1
initial_token: {token}
auto_bootstrap: false
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: \"{seed}:{storage_port}\"
listen_address: {address}
rpc_address: {address}
storage_port: {storage_port}
native_transport_port: {port}
commitlog_sync: periodic
commitlog_sync_period: 10000ms
auto_snapshot: false
memtable_allocation_type: heap_buffers
file_cache_size: 16MiB
key_cache_size: 0MiB
counter_cache_size: 0MiB
credentials_validity: 0ms
permissions_validity: 0ms
roles_validity: 0ms
{more}"
        )
    }

    fn logs(&self) -> String {
        let log = |node: &Node| fs::read_to_string(node.folder.path().join("log")).unwrap_or_default();
        self.nodes.iter().map(log).collect::<Vec<_>>().join("\n")
    }
}

impl Failing for Cassandra {
    fn die(&mut self) {
        self.kill(0);
    }

    fn live_again(&mut self) {
        self.start_again(0);
    }

    fn pause(&self) {
        Cassandra::pause(self, 0);
    }

    fn resume(&self) {
        Cassandra::resume(self, 0);
    }
}

fn jars() -> PathBuf {
    cache::folder().join(JARS)
}

/// Makes the table of this URL, kept so many times. A node that has just started may have no time for a connection yet.
///
/// # Panics
/// If it cannot be made within a minute.
pub fn make_table(url: &str, copies: &str) {
    let (config, copies) = (Config::from_url(url).unwrap(), copies.parse::<Replication>().unwrap());
    let make = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let call = call();
        let is_early =
            |error: &Error| error.kind() == ErrorKind::Unavailable && Instant::now() < call.deadline;
        loop {
            match runtime.block_on(CassandraStore::apply_schema(&config, &copies, call)) {
                Err(error) if is_early(&error) => {}
                made => return made.unwrap(),
            }
        }
    };
    // Whoever asks may be on a runtime already.
    std::thread::spawn(make).join().unwrap();
}

/// A node that tests share: theirs alone, or the one that `STICKYSTORE_CASSANDRA_URL` names.
#[derive(Debug)]
pub struct Shared {
    url: String,
    /// Kept for as long as somebody uses it.
    _server: Option<Cassandra>,
}

impl Shared {
    /// The one of this process, with its table; it ends with its last user.
    ///
    /// # Errors
    /// If there is no Cassandra here and none is required.
    pub fn get() -> Result<Arc<Self>, Missing> {
        static SHARED: Mutex<Weak<Shared>> = Mutex::new(Weak::new());
        // A test that failed to start one leaves it as it was.
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = shared.upgrade() {
            return Ok(running);
        }
        let running = match std::env::var("STICKYSTORE_CASSANDRA_URL") {
            Ok(url) => Self { url, _server: None },
            Err(_) => {
                let server = Cassandra::start(&Setup::default())?;
                Self { url: server.url("stickystore"), _server: Some(server) }
            }
        };
        make_table(&running.url, "1");
        let running = Arc::new(running);
        *shared = Arc::downgrade(&running);
        Ok(running)
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }
}
