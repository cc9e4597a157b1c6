//! Where a run takes place: the server, the wires to it, and what befalls both.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::backend::Backend;
use super::clock;
use super::dice::Dice;
use super::history::Moment;
use super::plants::Plant;
use super::run::Plan;
use super::twice::Twice;
use super::windows::Flights;
use super::wire::Wire;
use crate::meddler::Meddler;
use crate::proxy::Proxy;
use crate::server::cassandra::{Cassandra, Setup, make_table};
use crate::server::memcached::Memcached;
use crate::server::mongodb::MongoDb;
use crate::server::redis::Redis;
use crate::server::{Folder, Missing};

/// How often a server is killed, that claims to survive it.
const KILLS: Duration = Duration::from_secs(4);

/// How long a node is away, where others go on without it.
const AWAY: Duration = Duration::from_secs(2);

/// The server of a run, and the wires of its processes.
#[derive(Debug)]
pub(super) struct Place {
    server: Server,
    wires: Vec<Wire>,
    twice: Vec<(Meddler, Arc<Twice>)>,
    next_kill: Instant,
    /// The node that is away, and since when.
    away: Option<(usize, Moment, Instant)>,
    /// From when to when a server was away.
    kills: Vec<(Moment, Moment)>,
    /// Where the proxies live.
    _runtime: Runtime,
}

#[derive(Debug)]
enum Server {
    Memory,
    Embedded(Folder),
    Redis(Redis),
    Memcached(Memcached),
    MongoDb(MongoDb),
    MongoDbSet(MongoDb),
    Cassandra(Cassandra),
    CassandraCluster(Cassandra),
}

impl Place {
    pub(super) fn start(plan: &Plan) -> Result<Self, Missing> {
        let Plan { backend, nodes, seed, .. } = *plan;
        let is_forgetful = plan.plant.and_then(Plant::named) == Some(Plant::NothingOnDisk);
        let server = match (backend, nodes) {
            (Backend::Memory, _) => Server::Memory,
            (Backend::Embedded, _) => Server::Embedded(Folder::new("torture-embedded")),
            (Backend::Redis, _) if is_forgetful => Server::Redis(Redis::start(&[])?),
            (Backend::Redis, _) => {
                Server::Redis(Redis::start(&["--appendonly", "yes", "--appendfsync", "always"])?)
            }
            (Backend::Memcached, _) => Server::Memcached(Memcached::start(&["-m", "256"])?),
            (Backend::MongoDb, 1) => Server::MongoDb(MongoDb::start(&[])?),
            (Backend::MongoDb, nodes) => Server::MongoDbSet(MongoDb::replica_set(nodes.into(), &[])?),
            (Backend::Cassandra, 1) => Server::Cassandra(Cassandra::start(&Setup::default())?),
            (Backend::Cassandra, nodes) => {
                Server::CassandraCluster(Cassandra::cluster(nodes, &Setup::default())?)
            }
        };
        if let Server::Cassandra(server) | Server::CassandraCluster(server) = &server {
            make_table(&server.url(KEYSPACE), &nodes.to_string());
        }
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (mut wires, mut twice) = (Vec::new(), Vec::new());
        for process in 0..plan.processes() {
            let Some(mut port) = server.wired() else { break };
            if backend == Backend::Redis {
                let fault = Arc::new(Twice::new(port, seed ^ process));
                let meddler = runtime.block_on(Meddler::start(port, Arc::clone(&fault) as _));
                port = meddler.port();
                twice.push((meddler, fault));
            }
            wires.push(Wire::new(runtime.block_on(Proxy::start(port)), backend.calm()));
        }
        let next_kill = Instant::now() + KILLS;
        Ok(Self { server, wires, twice, next_kill, away: None, kills: Vec::new(), _runtime: runtime })
    }

    /// Where this process finds the store.
    pub(super) fn url(&self, process: u64) -> String {
        let wire = self.wires.get(usize::try_from(process).unwrap()).map_or(0, Wire::port);
        match &self.server {
            Server::Memory => "memory:".to_owned(),
            Server::Embedded(folder) => format!("embedded:{}", folder.path().join("store").display()),
            Server::Redis(_) => format!("redis://127.0.0.1:{wire}"),
            Server::Memcached(_) => format!("memcache://127.0.0.1:{wire}"),
            Server::MongoDb(_) => format!("mongodb://127.0.0.1:{wire}/?directConnection=true"),
            Server::MongoDbSet(server) => server.url(),
            Server::Cassandra(_) => format!("cassandra://127.0.0.1:{wire}/{KEYSPACE}"),
            Server::CassandraCluster(server) => server.url(KEYSPACE),
        }
    }

    /// Disturbs wires and servers, if it is time.
    pub(super) fn disturb(&mut self, dice: &mut Dice) {
        for wire in &mut self.wires {
            wire.disturb(dice);
        }
        if let Some((_, _, until)) = self.away {
            if Instant::now() >= until {
                self.bring_back();
            }
        } else if Instant::now() >= self.next_kill {
            let began = clock::now();
            if let Some((node, time)) = self.server.kill(dice) {
                self.away = Some((node, began, Instant::now() + time));
            }
            self.next_kill = Instant::now() + KILLS;
        }
    }

    /// Ends all disturbances.
    pub(super) fn calm(&mut self) {
        self.wires.iter_mut().for_each(Wire::calm);
        self.twice.iter().for_each(|(_, twice)| twice.stop());
        self.bring_back();
    }

    fn bring_back(&mut self) {
        if let Some((node, began, _)) = self.away.take() {
            self.server.start_again(node);
            self.kills.push((began, clock::now()));
            self.next_kill = Instant::now() + KILLS;
        }
    }

    /// The faults that hit a call in flight, by name, given when each process had any.
    pub(super) fn faults(&self, flights: &BTreeMap<u64, Flights>) -> BTreeMap<String, u64> {
        let mut faults = BTreeMap::new();
        for (wire, flights) in self.wires.iter().zip(flights.values()) {
            wire.faults(flights, &mut faults);
        }
        let landed: u64 = self.twice.iter().map(|(_, twice)| twice.landed()).sum();
        let kills = self
            .kills
            .iter()
            .filter(|(begin, end)| flights.values().any(|flights| flights.any(*begin, *end)));
        let kills = u64::try_from(kills.count()).unwrap();
        for (name, count) in [("duplicated", landed), ("server killed", kills)] {
            if count > 0 {
                *faults.entry(name.to_owned()).or_default() += count;
            }
        }
        faults
    }
}

/// Where Cassandra's table is.
const KEYSPACE: &str = "stickystore";

impl Server {
    /// The port to which wires go, if there are any.
    fn wired(&self) -> Option<u16> {
        match self {
            Self::Redis(server) => Some(server.port()),
            Self::Memcached(server) => Some(server.port()),
            Self::MongoDb(server) => Some(server.port()),
            Self::Cassandra(server) => Some(server.port()),
            Self::Memory | Self::Embedded(_) | Self::MongoDbSet(_) | Self::CassandraCluster(_) => None,
        }
    }

    /// Kills a node that the store claims to do without, or to find again as it was; gives which, and for how long.
    fn kill(&mut self, dice: &mut Dice) -> Option<(usize, Duration)> {
        match self {
            Self::Redis(server) => {
                server.kill();
                Some((0, Duration::ZERO))
            }
            Self::MongoDbSet(server) => {
                let primary = server.primary()?;
                server.kill(primary);
                Some((primary, AWAY))
            }
            Self::CassandraCluster(server) => {
                let node = usize::try_from(dice.below(3)).unwrap();
                server.kill(node);
                Some((node, AWAY))
            }
            _ => None,
        }
    }

    fn start_again(&mut self, node: usize) {
        match self {
            Self::Redis(server) => server.start_again(),
            Self::MongoDbSet(server) => server.start_again(node),
            Self::CassandraCluster(server) => server.start_again(node),
            _ => {}
        }
    }
}
